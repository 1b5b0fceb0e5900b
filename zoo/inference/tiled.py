"""Label maps of pictures of any size, a band of rows at a time, in memory that does not grow with the picture."""

import tempfile
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zoo.inference.class_map import class_map
from zoo.inference.forward import answering, answers, refuse_nan
from zoo.inference.probabilities import probabilities
from zoo.inference.raster import Raster
from zoo.inference.test_time import TestTime
from zoo.inference.tiles import Span, Tiling, weights

if TYPE_CHECKING:
    from zoo.model import SegmentationModel

_IN_MEMORY = 64 * 2**20  # bytes of half-finished probabilities; more go to a temporary file
_PLAIN = TestTime()

Progress = Callable[[int, int], None]
"""Called with how many tiles are done, and how many there are."""


class Band(NamedTuple):
    """Finished rows of a label map: labels (h, W), uint8 or uint16, from row `top` on."""

    top: int
    labels: NDArray[np.uint8 | np.uint16]


def label_bands(
    model: "SegmentationModel",
    raster: Raster,
    tiling: Tiling,
    test_time: TestTime = _PLAIN,
    *,
    amp: bool = False,
    progress: Progress | None = None,
) -> Iterator[Band]:
    """Yield the label map of a picture from top to bottom.

    Between tiles that are faded the probabilities are averaged with weights that add up to 1. A row of tiles leaves the
    probabilities of its overlap with the next row to a temporary file.

    Args:
        model: Run in evaluation mode; at the output stride that `test_time` wants.
        raster: The picture.
        tiling: See `zoo.inference.tiles.plan_tiles`.
        test_time: How the model is asked about each tile.
        amp: Compute in bfloat16.
        progress: Told about every tile.

    Raises:
        ZooError: The model answers with NaN.
        DataError: The picture cannot be read.
    """
    rows, columns = (tiling.spans(length) for length in raster.size)
    dtype = np.uint8 if model.config.num_classes <= 256 else np.uint16
    done, total = 0, len(rows) * len(columns)
    with answering(model), _Strips() as strips:
        for number, row in enumerate(rows):
            ready = (rows[number + 1].first if number + 1 < len(rows) else row.last) - row.first
            band = np.empty((ready, raster.size[1]), dtype)
            beside: Tensor | None = None
            for index, column in enumerate(columns):
                picture = raster.read(row.start, row.stop, column.start, column.stop)[None]
                if not tiling.smooth and test_time.plain:
                    labels, broken = class_map(model, picture, amp=amp)
                    labels = own_part(labels, row, column)
                    end = column.last
                else:
                    found = own_part(probabilities(model, picture, test_time, amp=amp), row, column)
                    found = found * tile_weights(rows, number, columns, index).to(found.device)
                    end = columns[index + 1].first if index + 1 < len(columns) else column.last
                    found, beside = _join(found, beside, end - column.first)
                    found = strips.join(index, found, ready)
                    labels, broken = answers(found)
                refuse_nan(broken)
                band[:, column.first : end] = labels[0].cpu().numpy()
                done += 1
                if progress is not None:
                    progress(done, total)
            yield Band(row.first, band)


def own_part(found: Tensor, row: Span, column: Span) -> Tensor:
    """The part of a tile's answers (…, h, w) that is used."""
    return found[
        ..., row.first - row.start : row.last - row.start, column.first - column.start : column.last - column.start
    ]


def tile_weights(rows: list[Span], row: int, columns: list[Span], column: int) -> Tensor:
    """How much each pixel of a tile's `own_part` counts, (h, w): those of all tiles at a pixel add up to 1."""
    return torch.from_numpy(weights(rows, row)[:, None] * weights(columns, column))


def _join(found: Tensor, before: Tensor | None, ready: int) -> tuple[Tensor, Tensor]:
    """Add what the tile to the left left over; (finished columns, what is left over for the next tile)."""
    if before is not None and before.shape[-1]:
        found[..., : before.shape[-1]] += before
    return found[..., :ready], found[..., ready:].clone()


class _Strips:
    """The half-finished last rows of each tile of a row, for the row of tiles below."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 (closed on exit)
        self._shapes: dict[int, tuple[int, ...]] = {}
        self._slots: list[int] = []
        self._end = 0

    def __enter__(self) -> "_Strips":
        return self

    def __exit__(self, *args: object) -> None:
        self._file.close()

    def join(self, index: int, found: Tensor, ready: int) -> Tensor:
        """Add what the tile above left over, keep what is left over here, and return the finished rows."""
        if index in self._shapes:
            above = self._read(index)
            found[:, :, : above.shape[2]] += above.to(found.device)
        if ready < found.shape[2]:
            self._write(index, found[:, :, ready:])
        return found[:, :, :ready]

    def _read(self, index: int) -> Tensor:
        shape = self._shapes[index]
        self._file.seek(self._slots[index])
        data = bytearray(self._file.read(int(np.prod(shape)) * 4))
        return torch.frombuffer(data, dtype=torch.float32).view(shape)

    def _write(self, index: int, strip: Tensor) -> None:
        data = strip.float().cpu().contiguous().numpy()
        if index == len(self._slots):  # strips of one column of tiles are all of one size
            self._slots.append(self._end)
            self._end += data.nbytes
        self._shapes[index] = data.shape
        self._file.seek(self._slots[index])
        self._file.write(data.tobytes())
