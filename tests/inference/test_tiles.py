"""Tiles: where they lie, that nothing is lost between them, and that the answer is that of the whole picture."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from tiny_world import tiny_net

import zoo
from zoo.errors import OptionError, ZooError
from zoo.inference.forward import answering, logits
from zoo.inference.probabilities import probabilities
from zoo.inference.raster import HeldRaster
from zoo.inference.test_time import TestTime
from zoo.inference.tiled import label_bands
from zoo.inference.tiles import Tiling, plan_tiles, receptive_field, weights
from zoo.registry import forget, register, registering_as


@pytest.fixture
def model():
    with registering_as("tiny"):
        register("model", "tiny_net")(tiny_net)
    torch.manual_seed(1)
    yield zoo.create_model("tiny_net", num_classes=5).eval()
    forget("tiny")


PLAIN = TestTime()


def picture(height, width, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (3, height, width), dtype=np.uint8))


def joined(model, image, tiling, test_time=PLAIN):
    bands = list(label_bands(model, HeldRaster(image), tiling, test_time))
    tops = np.cumsum([0, *(len(band.labels) for band in bands)])
    assert [band.top for band in bands] == tops[:-1].tolist()
    return np.concatenate([band.labels for band in bands])


@pytest.mark.parametrize("smooth", [True, False])
@pytest.mark.parametrize("multiple", [1, 8, 32])
@pytest.mark.parametrize(("size", "overlap"), [(128, 0), (128, 32), (128, 64), (96, 17)])
def test_every_pixel_counts_once(size, overlap, multiple, smooth):
    tiling = Tiling(size, overlap, multiple, smooth)
    for length in [*range(1, 40), size - 1, size, size + 1, size + 31, 2 * size, 1000, 1001, 4999]:
        spans = tiling.spans(length)
        total = np.zeros(length)
        for index, span in enumerate(spans):
            assert span.start % multiple == 0
            assert 0 <= span.start <= span.first < span.last <= span.stop <= length
            assert span.stop - span.start < size + multiple
            total[span.first : span.last] += weights(spans, index)
        assert np.allclose(total, 1, atol=1e-6)
        assert spans[0].start == 0
        assert spans[-1].stop == length
        for before, after in pairwise(spans):
            assert before.stop - after.start >= overlap
            # What is used lies half of the overlap deep in its tile; less where it is faded in.
            reach = overlap // 2 if smooth else 0
            assert after.first - after.start >= overlap // 2 - reach
            assert before.stop - before.last >= overlap // 2 - reach


@pytest.mark.parametrize(
    ("size", "overlap", "words"),
    [(1, 0, "tile=1"), (64, 33, "0…32"), (64, -1, "0…32"), (40, 10, "too small"), ("64", 0, "tile='64'")],
)
def test_tiles_that_cannot_be(size, overlap, words):
    with pytest.raises(OptionError, match=words):
        Tiling(size, overlap, 32)


@pytest.mark.parametrize("size", [(256, 320), (252, 100)])
@pytest.mark.parametrize("asked", [TestTime(), TestTime(mirror=True)])
def test_with_enough_overlap_the_labels_are_those_of_the_whole(model, size, asked):
    tiling = plan_tiles(model, size, 96, test_time=asked)
    assert not tiling.smooth
    assert receptive_field(model, asked) <= tiling.overlap <= 48
    image = picture(*size)
    whole = probabilities(model, image[None], asked).argmax(1)[0].numpy()
    assert len(np.unique(whole)) >= 3
    found = joined(model, image, tiling, asked)
    assert np.array_equal(found, whole)


def test_a_deep_net_whose_field_is_known():
    assert receptive_field(zoo.create_model("fcn32s@resnet18", num_classes=4), TestTime()) > 400


def test_smooth_tiles_are_a_weighted_mean(model):
    """Against the whole sum, written out: probabilities of every tile times its weights."""
    image, tiling = picture(150, 210), Tiling(64, 24, 4)
    rows, columns = tiling.spans(150), tiling.spans(210)
    total = torch.zeros(5, 150, 210)
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            found = probabilities(model, image[None, :, row.start : row.stop, column.start : column.stop])[0]
            weight = torch.from_numpy(weights(rows, i)[:, None] * weights(columns, j)[None])
            own = found[:, row.first - row.start :, column.first - column.start :]
            place = (slice(None), slice(row.first, row.last), slice(column.first, column.last))
            total[place] += own[:, : row.last - row.first, : column.last - column.first] * weight
    assert torch.allclose(total.sum(0), torch.ones(150, 210), atol=1e-5)
    best = total.topk(2, dim=0).values
    sure = (best[0] - best[1] > 1e-5).numpy()
    found = joined(model, image, tiling)
    assert sure.mean() > 0.99
    assert np.array_equal(found[sure], total.argmax(0).numpy()[sure])


def test_half_finished_rows_in_a_file_are_the_same(model, monkeypatch):
    image, tiling = picture(150, 210), Tiling(64, 24, 4)
    expected = joined(model, image, tiling)
    monkeypatch.setattr("zoo.inference.tiled._IN_MEMORY", 1)
    assert np.array_equal(joined(model, image, tiling), expected)


def test_when_pictures_are_tiled(model):
    assert plan_tiles(model, (2048, 2048)) is None
    assert plan_tiles(model, (2048, 2049)).size == 1024
    assert plan_tiles(model, (2048, 2049), None) is None
    assert plan_tiles(model, (100, 100), 100) is None
    assert plan_tiles(model, (100, 101), 100, 0.25).overlap == 25
    tiling = plan_tiles(model, (100, 101), 100, 3)
    assert tiling.overlap == 3
    assert tiling.smooth
    assert tiling.multiple == 4
    assert plan_tiles(model, (100, 101), 100, 40).smooth is False
    for asked in (TestTime((0.5, 1)), TestTime(window=(8, 8))):
        assert plan_tiles(model, (100, 101), 100, test_time=asked) == Tiling(100, 25, 4)
    with pytest.raises(OptionError, match="tile='big'"):
        plan_tiles(model, (100, 100), "big")
    with pytest.raises(OptionError, match="overlap='much'"):
        plan_tiles(model, (100, 101), 100, "much")


def test_a_net_that_sees_everything_is_faded():
    model = zoo.create_model("deeplabv3plus@resnet18", num_classes=3)
    assert receptive_field(model, TestTime()) is None
    assert plan_tiles(model, (400, 400), 256) == Tiling(256, 64, 16)


def test_progress_and_nan(model):
    seen = []
    with answering(model):
        logits(model, picture(8, 8)[None])
    list(label_bands(model, HeldRaster(picture(100, 150)), Tiling(64, 8, 4), progress=lambda *now: seen.append(now)))
    assert seen[-1][0] == seen[-1][1] == len(seen)
    torch.nn.init.constant_(model.head.score.bias, float("nan"))
    with pytest.raises(ZooError, match="NaN"):
        list(label_bands(model, HeldRaster(picture(100, 150)), Tiling(64, 8, 4)))
