"""Pictures that need not fit into memory: from file to file."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from zoo.data.png import label_writer
from zoo.inference.painting import paint, photograph
from zoo.inference.raster import Raster
from zoo.inference.test_time import TestTime
from zoo.inference.tiled import Progress, label_bands
from zoo.inference.tiles import Tiling
from zoo.labels import class_colors

if TYPE_CHECKING:
    from zoo.model import SegmentationModel

OVERVIEW = 4096
"""The longer side of an overlay at most; of larger pictures every second, third … pixel is shown."""

Finish = Callable[[NDArray[np.int64], NDArray[np.uint8 | np.uint16] | None], Mapping[str, str]]

_PLAIN = TestTime()
_ROWS = 256  # of a picture that are read at once for its overview


class Overview:
    """A reduced picture and its labels, gathered on the way.

    Args:
        raster: The picture.
        alpha: Strength of the colours.
    """

    def __init__(self, raster: Raster, alpha: float) -> None:
        self._raster, self._alpha = raster, alpha
        self._step = -(-max(raster.size) // OVERVIEW)
        self._labels: list[NDArray[np.uint8 | np.uint16]] = []
        self._photo: list[NDArray[np.uint8]] = []

    def add(self, top: int, labels: NDArray[np.uint8 | np.uint16]) -> None:
        """Take finished rows."""
        step, (_, width) = self._step, self._raster.size
        for start in range(0, len(labels), _ROWS):
            stop = min(start + _ROWS, len(labels))
            skip = -(top + start) % step
            self._labels.append(labels[start:stop][skip::step, ::step].copy())
            rows = self._raster.read(top + start, top + stop, 0, width)
            self._photo.append(photograph(rows[:, skip::step, ::step]))

    def paint(self, palette: tuple[tuple[int, int, int], ...]) -> Image.Image:
        """The overlay, RGB."""
        return Image.fromarray(paint(np.concatenate(self._photo), np.concatenate(self._labels), palette, self._alpha))


def write_label_map(
    model: "SegmentationModel",
    raster: Raster,
    tiling: Tiling,
    path: Path,
    *,
    test_time: TestTime = _PLAIN,
    amp: bool = False,
    overview: Overview | None = None,
    keep: bool = False,
    finish: Finish | None = None,
    progress: Progress | None = None,
) -> NDArray[np.int64]:
    """Segment a picture tile by tile into a PNG file, which appears when it is complete.

    Args:
        model: At the output stride that `test_time` wants.
        raster: The picture.
        tiling: See `zoo.inference.tiles.plan_tiles`.
        path: The label map to write.
        test_time: How the model is asked about each tile.
        amp: Compute in bfloat16.
        overview: Gathers a reduced picture.
        keep: Hand the whole label map (H, W) to `finish`: a byte or two per pixel of memory.
        finish: Called at the end, before the file appears, with the pixels of every class and the labels if they were
            kept; returns what words to keep in the file.
        progress: Told about every tile.

    Returns:
        How many pixels each of the K classes has.
    """
    config = model.config
    counts = np.zeros(config.num_classes, np.int64)
    kept = []
    palette = class_colors(config.palette, config.num_classes)
    with label_writer(path, raster.size, palette, classes=config.num_classes) as writer:
        for band in label_bands(model, raster, tiling, test_time, amp=amp, progress=progress):
            writer.write(band.labels)
            for rows in np.array_split(band.labels, max(len(band.labels) // _ROWS, 1)):  # bincount makes 64 bits of 8
                counts += np.bincount(rows.ravel(), minlength=config.num_classes)
            if overview is not None:
                overview.add(band.top, band.labels)
            if keep:
                kept.append(band.labels)
        if finish is not None:
            writer.text.update(finish(counts, np.concatenate(kept) if keep else None))
    return counts
