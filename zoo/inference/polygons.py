"""The outlines of a label map's regions as polygons along the edges of pixels."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Ring = list[tuple[int, int]]
"""Corners (x, y) of a closed line, the first not repeated: x to the right, y down, 0 at the picture's outer edge."""

_OUTSIDE = -1


class Polygon(NamedTuple):
    """One region: pixels of one label that touch along their sides.

    Attributes:
        label: Its class.
        outer: Its outline, clockwise as seen.
        holes: What is cut out of it, counter-clockwise.
    """

    label: int
    outer: Ring
    holes: list[Ring]

    @property
    def pixels(self) -> int:
        """How many pixels it covers."""
        return (twice_area(self.outer) + sum(map(twice_area, self.holes))) // 2


def polygons(labels: NDArray[np.integer[Any]]) -> list[Polygon]:
    """All regions of a label map (H, W), in the order of their first pixels."""
    sides = _sides(labels)
    rings, owners = _rings(sides, labels.shape[1])
    flat = labels.reshape(-1)
    found = {
        number: Polygon(int(flat[ring.pixel]), ring.corners, []) for number, ring in enumerate(rings) if ring.outline
    }
    if len(found) == len(rings):
        return list(found.values())
    begin = _run_starts(labels).reshape(-1)
    around: dict[int, int] = {number: number for number in found}
    for number, ring in enumerate(rings):
        path, outside = [], number
        while outside not in around:  # left of a hole lies its own region, as far as an outline or another hole
            path.append(outside)
            outside = owners(int(begin[rings[outside].pixel]))
        for passed in path:
            around[passed] = around[outside]
        if not ring.outline:
            found[around[number]].holes.append(ring.corners)
    return list(found.values())


def feature_collection(
    labels: NDArray[np.integer[Any]], classes: Sequence[str], picture: str | None = None
) -> dict[str, Any]:
    """The regions of a label map (H, W) as GeoJSON-like data; coordinates are pixels, x to the right, y down.

    Every feature has ``class``, ``label`` and ``pixels`` among its properties.
    """
    height, width = labels.shape
    features = [
        {
            "type": "Feature",
            "properties": {"class": classes[found.label], "label": found.label, "pixels": found.pixels},
            "geometry": {"type": "Polygon", "coordinates": [_closed(ring) for ring in (found.outer, *found.holes)]},
        }
        for found in polygons(labels)
    ]
    about = {"width": width, "height": height, **({} if picture is None else {"picture": picture})}
    return {"type": "FeatureCollection", **about, "features": features}


def twice_area(ring: Ring) -> int:
    """Twice the area within a ring: positive where it runs clockwise as seen, negative otherwise."""
    return sum(x * below - across * y for (x, y), (across, below) in zip(ring, [*ring[1:], ring[0]], strict=True))


def _closed(ring: Ring) -> list[list[int]]:
    return [list(corner) for corner in (*ring, ring[0])]


class _Side(NamedTuple):
    """The straight pieces of outline along one side of pixels, walked with the region on the right.

    Attributes:
        first: (n,) the pixel at which each piece begins, in the order of walking through the picture.
        onto: (n,) the pixel at which the next piece begins.
        left: (n,) whether that is on the side before (the outline turns left) and not on the side after.
        order: (pixels,) the rank of every pixel in the order of walking.
    """

    first: NDArray[np.int64]
    onto: NDArray[np.int64]
    left: NDArray[np.bool_]
    order: NDArray[np.int64]


def _sides(labels: NDArray[np.integer[Any]]) -> list[_Side]:
    """Top, right, bottom and left: each is the top of the map turned by so many quarters."""
    padded = np.pad(labels.astype(np.int32), 1, constant_values=_OUTSIDE)
    numbers = np.pad(np.arange(labels.size, dtype=np.int64).reshape(labels.shape), 1)
    return [_tops(np.rot90(padded, quarter), np.rot90(numbers, quarter)) for quarter in range(4)]


def _tops(padded: NDArray[np.int32], numbers: NDArray[np.int64]) -> _Side:
    here, inner = padded[1:-1, 1:-1], numbers[1:-1, 1:-1]
    ahead = padded[1:-1, 2:] == here
    beyond = ahead & (padded[:-2, 2:] == here)  # the region goes on ahead and above: the outline turns left
    edge = here != padded[:-2, 1:-1]
    straight = edge & ahead & ~beyond
    begins, ends = edge.copy(), edge & ~straight
    begins[:, 1:] &= ~straight[:, :-1]
    left = beyond[ends]
    order = np.empty(inner.size, np.int64)
    order[inner.reshape(-1)] = np.arange(inner.size)
    return _Side(inner[begins], np.where(left, numbers[:-2, 2:][ends], inner[ends]), left, order)


class _Ring(NamedTuple):
    corners: Ring
    outline: bool  # or a hole
    pixel: int  # of the region: its first, or the one left of the hole's leftmost edge


def _rings(sides: list[_Side], width: int) -> tuple[list[_Ring], Callable[[int], int]]:
    """Follow the pieces round; also a function from a pixel to the number of the ring along its left side."""
    starts: list[int] = np.cumsum([0, *(len(side.first) for side in sides)]).tolist()
    following: list[int] = np.concatenate([_following(sides, starts, number) for number in range(4)]).tolist()
    corners = np.concatenate([_corners(side.first, number, width) for number, side in enumerate(sides)])
    points = list(map(tuple, corners.tolist()))
    owner = [-1] * len(following)
    rings: list[_Ring] = []
    for start in range(starts[1]):  # every ring has a piece along the top of some pixel
        if owner[start] >= 0:
            continue
        pieces, piece = [], start
        while owner[piece] < 0:
            owner[piece] = len(rings)
            pieces.append(piece)
            piece = following[piece]
        ring = [points[piece] for piece in pieces]
        outline, pixel = twice_area(ring) > 0, int(sides[0].first[start])
        if not outline:
            right = min((piece for piece in pieces if starts[1] <= piece < starts[2]), key=lambda piece: points[piece])
            pixel = int(sides[1].first[right - starts[1]])
        rings.append(_Ring(ring, outline, pixel))
    ranks = sides[3].order[sides[3].first]

    def along_left(pixel: int) -> int:
        piece = int(np.searchsorted(ranks, sides[3].order[pixel], side="right")) - 1
        return owner[starts[3] + piece]

    return rings, along_left


def _following(sides: list[_Side], starts: list[int], number: int) -> NDArray[np.int64]:
    """For every piece of a side the one after it."""
    side = sides[number]
    found = np.empty(len(side.first), np.int64)
    for turn, chosen in ((1, ~side.left), (-1, side.left)):
        other = (number + turn) % 4
        by_pixel = np.argsort(sides[other].first)
        place = np.searchsorted(sides[other].first, side.onto[chosen], sorter=by_pixel)
        found[chosen] = by_pixel[place] + starts[other]
    return found


def _corners(pixels: NDArray[np.int64], side: int, width: int) -> NDArray[np.int64]:
    """Where walking along a side of these pixels begins: (n, 2), x and y."""
    right, below = side in (1, 2), side in (2, 3)
    return np.stack([pixels % width + right, pixels // width + below], 1)


def _run_starts(labels: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """(H, W): for every pixel the number of the pixel at which its run of equal labels in its row begins."""
    begins = np.ones(labels.shape, bool)
    begins[:, 1:] = labels[:, 1:] != labels[:, :-1]
    numbers = np.arange(labels.size, dtype=np.int64).reshape(labels.shape)
    return np.maximum.accumulate(np.where(begins, numbers, 0).reshape(-1)).reshape(labels.shape)
