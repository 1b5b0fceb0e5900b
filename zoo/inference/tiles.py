"""Cutting a picture into tiles that overlap, and joining what is found in them without a seam."""

import json
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zoo.errors import OptionError
from zoo.inference.output_stride import output_stride
from zoo.inference.test_time import TestTime

if TYPE_CHECKING:
    from zoo.model import SegmentationModel

SIZE = 1024
"""Side of a tile in pixels, where none is given."""

WHOLE = 2048 * 2048
"""Pictures of more pixels are tiled unless told otherwise."""


class Span(NamedTuple):
    """One tile along one axis.

    Attributes:
        start: Its first pixel.
        stop: Behind its last pixel.
        first: From here on its answers are used, at first faded in.
        last: Up to here its answers are used, at last faded out. `first` of the next one lies before it by the
            width of the fading.
    """

    start: int
    stop: int
    first: int
    last: int


@dataclass(frozen=True)
class Tiling:
    """How a picture is cut.

    Attributes:
        size: Side of the tiles in pixels; the last of a row may be larger by less than `multiple`.
        overlap: By how many pixels neighbours overlap at least; at most half of `size`.
        multiple: Tiles begin at multiples of this: the model's stride, so that its cells lie where they do for the
            whole picture.
        smooth: Fade from one tile to the next over `overlap` pixels. If not, each pixel is taken from the tile in
            which it lies deeper: that is exact where the overlap is as large as what the model sees.
    """

    size: int = SIZE
    overlap: int = SIZE // 4
    multiple: int = 1
    smooth: bool = True

    def __post_init__(self) -> None:
        if type(self.size) is not int or self.size < 2:
            raise OptionError(f"tile={self.size!r}: expected the side of a tile in pixels, such as {SIZE}")
        if not 0 <= self.overlap <= self.size // 2:
            raise OptionError(f"overlap={self.overlap}: tiles of {self.size} overlap by 0…{self.size // 2} pixels")
        if self.size - self.overlap <= self.multiple:
            least = self.overlap + self.multiple + 1
            raise OptionError(
                f"tile={self.size}: too small for an overlap of {self.overlap} and steps of {self.multiple} pixels, "
                f"the model's stride; give at least {least}, or another overlap"
            )

    def spans(self, length: int) -> list[Span]:
        """The tiles along an axis of so many pixels, evenly spread."""
        if length <= self.size:
            return [Span(0, length, 0, length)]
        step = self.size - self.overlap - self.multiple  # rounding may bring two tiles closer by `multiple`
        more = -(-(length - self.size) // max(step, 1))
        starts = [(length - self.size) * index // more // self.multiple * self.multiple for index in range(more + 1)]
        stops = [*(start + self.size for start in starts[:-1]), length]
        seams = [(start + stop) // 2 for start, stop in zip(starts[1:], stops, strict=False)]
        reach = (
            min(self.overlap, *(after - before for before, after in pairwise(seams)), self.overlap) // 2
            if self.smooth
            else 0
        )
        firsts, lasts = [0, *(seam - reach for seam in seams)], [*(seam + reach for seam in seams), length]
        return [Span(*span) for span in zip(starts, stops, firsts, lasts, strict=True)]


def weights(spans: list[Span], index: int) -> NDArray[np.float32]:
    """How much each pixel `first` … `last` of a tile counts: the weights of all tiles at a pixel add up to 1."""
    span = spans[index]
    found = np.ones(span.last - span.first, dtype=np.float32)
    if index > 0:
        width = spans[index - 1].last - span.first
        found[:width] = _rise(width)
    if index + 1 < len(spans):
        width = span.last - spans[index + 1].first
        if width:
            found[-width:] = 1 - _rise(width)
    return found


def _rise(width: int) -> NDArray[np.float32]:
    """From 0 to 1 without a corner."""
    found: NDArray[np.float32] = np.sin((np.arange(width) + 0.5) * (np.pi / 2 / max(width, 1))).astype(np.float32)
    return found**2


def plan_tiles(
    model: "SegmentationModel",
    size: tuple[int, int],
    tile: int | str | None = "auto",
    overlap: float | int | str = "auto",
    test_time: TestTime | None = None,
) -> Tiling | None:
    """Decide whether and how a picture is tiled.

    Args:
        model: At the output stride that it is asked at.
        size: (H, W) of the picture.
        tile: Side of the tiles in pixels; ``"auto"``: `SIZE` for pictures of more than `WHOLE` pixels; None: never.
        overlap: A share of the tile (a float), pixels (an int), or ``"auto"``: as much as the model sees around a
            pixel, where that is known and no more than half of a tile; else a quarter of the tile.
        test_time: How the model is asked. Scales below 1 let it see more of the picture.

    Returns:
        None: in one piece.

    Raises:
        OptionError: Tiles of that size and overlap cannot be.
    """
    if tile is None or (tile == "auto" and size[0] * size[1] <= WHOLE):
        return None
    side = SIZE if tile == "auto" else tile
    if not isinstance(side, int):
        raise OptionError(f"tile={tile!r}: expected the side of a tile in pixels, 'auto' or None")
    if max(size) <= side:
        return None
    asked = test_time or TestTime()
    multiple = output_stride(model)
    seen = receptive_field(model, asked)
    if overlap == "auto":
        # The field of a pixel lies skew by up to half a cell on either side.
        wanted = None if seen is None else seen + multiple
        pixels = wanted if wanted is not None and 2 * wanted <= side else side // 4
    elif isinstance(overlap, str):
        raise OptionError(f"overlap={overlap!r}: expected a share of the tile, pixels, or 'auto'")
    else:
        pixels = overlap if isinstance(overlap, int) else int(overlap * side)
    return Tiling(side, pixels, multiple, smooth=seen is None or pixels < seen)


def receptive_field(model: "SegmentationModel", test_time: TestTime) -> int | None:
    """The most rows or columns of a picture that a pixel of the answer depends on; None: all, or not known."""
    if test_time.window is not None:
        return None  # an answer depends on where in its window it lies
    seen = _field_of(json.dumps(model.config.to_json(), sort_keys=True))
    if seen is None or test_time.scales == (1.0,):
        return seen
    return None  # resized tiles do not have their cells where the resized picture has them


@lru_cache(maxsize=16)
def _field_of(config: str) -> int | None:
    from zoo.assembly import build
    from zoo.config import ModelConfig
    from zoo.errors import ZooError
    from zoo.hub.skeleton import hollow
    from zoo.summary.receptive import receptive_fields

    try:
        net = hollow(lambda: build(ModelConfig.from_json(json.loads(config)))).eval().to("meta")
        found = receptive_fields(net)["out"]
    except (ZooError, RuntimeError, TypeError, NotImplementedError):  # a stranger's net that cannot be run on shapes
        return None
    if isinstance(found, str):
        return None
    return found if isinstance(found, int) else max(found)
