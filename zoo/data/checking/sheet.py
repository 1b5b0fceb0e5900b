"""A picture of samples: each beside itself with its labels laid over it, and the colours explained."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from zoo.config import IGNORE
from zoo.data.catalog import open_dataset
from zoo.data.checking.report import Report
from zoo.data.dataset import SegmentationDataset
from zoo.errors import DataError
from zoo.files import atomic_path

_GAP, _TEXT, _TILE, _PAIRS = 8, 14, 180, 3
_PAPER, _INK, _VOID = (255, 255, 255), (40, 40, 40), (255, 255, 255)
_ALPHA = 0.6


def write_sheet(
    path: str | os.PathLike[str],
    report: Report,
    data: str | os.PathLike[str],
    *,
    samples: int = 12,
    values: Mapping[int, int] | None = None,
    root: str | os.PathLike[str] | None = None,
) -> None:
    """Write a picture of evenly spread samples of all splits of a checked data set.

    Masks of 0 and 255, or of other values that are no labels, are shown as `report.values` would read them. Samples
    that cannot be read are left out.

    Raises:
        DataError: Nothing can be shown, or the file cannot be written.
    """
    meant = values if report.values is None else report.values
    opened = [open_dataset(data, one.split, values=meant, root=root) for one in report.splits if one.images]
    sheet = contact_sheet(opened, samples)
    try:
        with atomic_path(Path(path)) as temporary:
            sheet.save(temporary, format="PNG")
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror or error}") from None


def contact_sheet(datasets: Sequence[SegmentationDataset], samples: int = 12) -> Image.Image:
    """Picture | overlay of some samples of each split, three to a row, and a legend; an RGB picture.

    Pixels without a label are whitened.

    Raises:
        DataError: No sample can be read.
    """
    tiles: list[tuple[str, Image.Image]] = []
    failure: DataError | None = None
    for dataset in datasets:
        wanted = min(max(samples // len(datasets), 1), len(dataset))
        for index in sorted({round(place * (len(dataset) - 1) / max(wanted - 1, 1)) for place in range(wanted)}):
            try:
                tiles.append((f"{dataset.split}: {dataset.label(index)}", _pair(dataset, index)))
            except DataError as error:
                failure = failure or error
    if not tiles:
        raise failure or DataError("there is no sample to show")
    font = ImageFont.load_default(_TEXT)
    width = max(picture.width for _, picture in tiles) + _GAP
    across = min(_PAIRS, len(tiles))
    row = _TILE + _TEXT + 2 * _GAP
    legend = _legend(datasets[0].classes, font, across * width)
    top = -(-len(tiles) // across) * row + _GAP
    sheet = Image.new("RGB", (across * width + _GAP, top + len(legend) * (_TEXT + _GAP) + _GAP), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, (name, picture) in enumerate(tiles):
        x, y = number % across * width + _GAP, number // across * row + _GAP
        draw.text((x, y), _fitting(name, font, width - 2 * _GAP), _INK, font)
        sheet.paste(picture, (x, y + _TEXT + _GAP // 2))
    for line, entries in enumerate(legend):
        y = top + line * (_TEXT + _GAP)
        for x, label in entries:
            draw.rectangle((x, y, x + _TEXT, y + _TEXT), tuple(datasets[0].palette[label]), _INK)
            draw.text((x + _TEXT + _GAP // 2, y - 1), datasets[0].classes[label], _INK, font)
    return sheet


def _pair(dataset: SegmentationDataset, index: int) -> Image.Image:
    """A sample's picture, and beside it the same under its labels."""
    image, mask = dataset[index]
    photo = image.numpy()[:3].transpose(1, 2, 0)
    photo = np.repeat(photo, 3, axis=2) if photo.shape[2] == 1 else photo
    both = np.concatenate([photo, _overlaid(photo, mask.numpy(), dataset)], axis=1)
    picture = Image.fromarray(np.ascontiguousarray(both))
    width = max(round(picture.width * _TILE / picture.height), 2)
    return picture.resize((min(width, 4 * _TILE), _TILE), Image.Resampling.BOX if picture.height > _TILE else 0)


def _overlaid(photo: NDArray[np.uint8], mask: NDArray[np.int64], dataset: SegmentationDataset) -> NDArray[np.uint8]:
    colors = np.full((IGNORE + 1, 3), _VOID, dtype=np.float32)
    colors[: len(dataset.palette)] = dataset.palette
    laid: NDArray[np.uint8] = np.rint((1 - _ALPHA) * photo + _ALPHA * colors[mask]).astype(np.uint8)
    return laid


def _legend(
    classes: Sequence[str], font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int
) -> list[list[tuple[int, int]]]:
    """Rows of (x, label) that fit into `width`."""
    rows: list[list[tuple[int, int]]] = [[]]
    x = _GAP
    for label, name in enumerate(classes):
        needed = round(font.getlength(name)) + _TEXT + 2 * _GAP
        if rows[-1] and x + needed > width:
            rows.append([])
            x = _GAP
        rows[-1].append((x, label))
        x += needed
    return rows


def _fitting(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """The text, shortened at its front where it is too long."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength("…" + text) > width:
        text = text[1:]
    return "…" + text
