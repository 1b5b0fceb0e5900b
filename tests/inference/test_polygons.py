"""Polygons against counting, filling and scipy's components."""

import json

import numpy as np
import pytest
from PIL import Image, ImageDraw

from zoo.inference.polygons import feature_collection, polygons, twice_area


def random_map(seed, size, classes, cell):
    small = np.random.default_rng(seed).integers(0, classes, (-(-size[0] // cell), -(-size[1] // cell)))
    return np.kron(small, np.ones((cell, cell), int))[: size[0], : size[1]].astype(np.uint8)


MAPS = [random_map(seed, (23, 31), classes, cell) for seed in range(4) for classes in (1, 2, 5) for cell in (1, 3)]


def inside(polygon, size):
    """Which pixel centres lie within, by the even-odd rule written out."""
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    within = np.zeros(size, bool)
    for ring in (polygon.outer, *polygon.holes):
        for (x0, y0), (x1, y1) in zip(ring, [*ring[1:], ring[0]], strict=True):
            if x0 == x1:
                within ^= (x0 > x) & (min(y0, y1) < y) & (y < max(y0, y1))
    return within


@pytest.mark.parametrize("labels", MAPS)
def test_every_pixel_is_in_the_polygon_of_its_region(labels):
    found = polygons(labels)
    painted = np.full(labels.shape, -1)
    for polygon in found:
        within = inside(polygon, labels.shape)
        assert within.sum() == polygon.pixels
        assert (painted[within] == -1).all()
        painted[within] = polygon.label
    assert np.array_equal(painted, labels)


@pytest.mark.parametrize("labels", MAPS)
def test_one_polygon_for_every_component(labels):
    ndimage = pytest.importorskip("scipy.ndimage")
    count = sum(ndimage.label(labels == label)[1] for label in np.unique(labels))
    assert len(polygons(labels)) == count


def test_corners_are_where_the_line_turns():
    labels = np.zeros((4, 5), np.uint8)
    labels[1:3, 1:4] = 7
    background, box = polygons(labels)
    assert (background.label, box.label) == (0, 7)
    assert sorted(background.outer) == [(0, 0), (0, 4), (5, 0), (5, 4)]
    assert background.pixels == 14
    assert sorted(box.outer) == sorted(background.holes[0]) == [(1, 1), (1, 3), (4, 1), (4, 3)]
    assert twice_area(box.outer) == 12
    assert twice_area(background.holes[0]) == -12


def test_islands_in_holes():
    labels = np.zeros((9, 9), np.uint8)
    labels[1:8, 1:8] = 1
    labels[2:7, 2:7] = 0
    labels[3:6, 3:6] = 1
    labels[4, 4] = 2
    found = polygons(labels)
    assert [(one.label, one.pixels, len(one.holes)) for one in found] == [
        (0, 32, 1),
        (1, 24, 1),
        (0, 16, 1),
        (1, 8, 1),
        (2, 1, 0),
    ]


def test_holes_beside_each_other_belong_to_the_region_around():
    labels = np.ones((5, 12), np.uint8)
    labels[2, [2, 4, 6, 9]] = 0
    found = polygons(labels)
    assert len(found[0].holes) == 4
    assert sum(one.pixels for one in found) == 60


def test_pixels_that_touch_at_a_corner_are_two_regions():
    assert [one.pixels for one in polygons(np.eye(2, dtype=np.uint8))] == [1, 1, 1, 1]


def test_another_painter_agrees():
    """Pillow fills the same pixels, when it is given pixel centres instead of edges (convex shapes)."""
    image = Image.new("L", (40, 30))
    ImageDraw.Draw(image).rectangle((5, 6, 20, 17), fill=3)
    box = next(one for one in polygons(np.array(image)) if one.label == 3)
    assert box.pixels == 16 * 12


def test_geojson():
    record = json.loads(json.dumps(feature_collection(np.array([[0, 1]], np.uint8), ["sea", "land"], "a.png")))
    assert (record["type"], record["width"], record["height"], record["picture"]) == (
        "FeatureCollection",
        2,
        1,
        "a.png",
    )
    sea, land = record["features"]
    assert sea["properties"] == {"class": "sea", "label": 0, "pixels": 1}
    (ring,) = land["geometry"]["coordinates"]
    assert land["geometry"]["type"] == "Polygon"
    assert ring[0] == ring[-1]
    assert sorted(map(tuple, ring[:-1])) == [(1, 0), (1, 1), (2, 0), (2, 1)]


def test_many_labels():
    labels = np.arange(600, dtype=np.uint16).reshape(20, 30)
    assert [one.label for one in polygons(labels)] == list(range(600))
