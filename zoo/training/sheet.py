"""A contact sheet: picture, truth and prediction side by side, with the colours explained."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from zoo.config import IGNORE, Color

_GAP = 6
_TEXT = 15
_PAPER = (255, 255, 255)
_INK = (40, 40, 40)
_VOID = (224, 224, 224)
_HEADINGS = ("image", "truth", "prediction")

Triple = tuple[NDArray[np.uint8], NDArray[np.integer], NDArray[np.integer]]
"""Picture (H, W, 3) uint8, true labels (H, W), predicted labels (H, W)."""


def contact_sheet(
    triples: Iterable[Triple], classes: Sequence[str], palette: Sequence[Color], *, columns: int = 4, tile: int = 160
) -> Image.Image:
    """Lay out picture | truth | prediction for each sample, `columns` samples in a row, and a legend below.

    Args:
        triples: The samples, of any sizes; each is scaled into tiles of `tile` pixels in height.
        classes: Names of the K classes.
        palette: Their colours; pixels without a label are light grey.
        columns: Samples in a row.
        tile: Height of a tile.

    Returns:
        An RGB picture.
    """
    colors = np.full((256, 3), _VOID, dtype=np.uint8)
    colors[: len(palette)] = palette
    colors[IGNORE] = _VOID
    strips = [
        [_tile(Image.fromarray(photo), tile, smooth=True)]
        + [_tile(Image.fromarray(colors[labels]), tile, smooth=False) for labels in (truth, prediction)]
        for photo, truth, prediction in triples
    ]
    width = max((part.width for strip in strips for part in strip), default=tile)
    columns = max(min(columns, len(strips)), 1)
    block = 3 * (width + _GAP) + 2 * _GAP
    rows = -(-len(strips) // columns)
    font = ImageFont.load_default(_TEXT)
    legend = _legend_rows(classes, font, columns * block - 2 * _GAP)
    top = _TEXT + 3 * _GAP
    height = top + rows * (tile + 2 * _GAP) + len(legend) * (_TEXT + _GAP) + 2 * _GAP
    sheet = Image.new("RGB", (columns * block, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, strip in enumerate(strips):
        left, y = number % columns * block + _GAP, top + number // columns * (tile + 2 * _GAP)
        for place, part in enumerate(strip):
            x = left + place * (width + _GAP)
            sheet.paste(part, (x, y))
            if number < columns:
                draw.text((x, _GAP), _HEADINGS[place], _INK, font)
    y = top + rows * (tile + 2 * _GAP) + _GAP
    for row in legend:
        for x, label in row:
            draw.rectangle((x + _GAP, y, x + _GAP + _TEXT, y + _TEXT), tuple(colors[label].tolist()), _INK)
            draw.text((x + 2 * _GAP + _TEXT, y - 1), classes[label], _INK, font)
        y += _TEXT + _GAP
    return sheet


def _tile(picture: Image.Image, height: int, *, smooth: bool) -> Image.Image:
    size = (max(round(picture.width * height / picture.height), 1), height)
    return picture.resize(size, Image.Resampling.BICUBIC if smooth else Image.Resampling.NEAREST)


def _legend_rows(
    classes: Sequence[str], font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int
) -> list[list[tuple[int, int]]]:
    """Break the legend into rows of (x, label) that fit into `width`."""
    rows: list[list[tuple[int, int]]] = [[]]
    x = 0
    for label, name in enumerate(classes):
        needed = round(font.getlength(name)) + _TEXT + 5 * _GAP
        if rows[-1] and x + needed > width:
            rows.append([])
            x = 0
        rows[-1].append((x, label))
        x += needed
    return rows
