"""A contact sheet: many results on one page."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from zoo.config import Color

PAGE = 60
"""So many pictures go on one sheet."""

_COLUMNS = 4
_THUMB = (320, 240)
_GAP = 12
_LINE = 18
_PAPER, _INK = (250, 250, 248), (40, 40, 40)
_BOX = 12


def contact_sheet(
    pictures: Iterable[tuple[str, Path]], classes: Sequence[str], palette: Sequence[Color]
) -> Image.Image:
    """Lay small copies of pictures out with their names beneath and the colours of the classes at the foot.

    Args:
        pictures: Name and file of each.
        classes: The classes to name.
        palette: Their colours.
    """
    entries = list(pictures)
    columns = max(min(_COLUMNS, len(entries)), 2)
    width = _GAP + columns * (_THUMB[0] + _GAP)
    rows = -(-len(entries) // columns)
    font = ImageFont.load_default()
    legend = _legend(list(zip(classes, palette, strict=False)), font, width - 2 * _GAP)
    height = _GAP + rows * (_THUMB[1] + _LINE + _GAP) + (len(legend) * _LINE + _GAP if legend else 0)
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, (name, path) in enumerate(entries):
        left = _GAP + number % columns * (_THUMB[0] + _GAP)
        top = _GAP + number // columns * (_THUMB[1] + _LINE + _GAP)
        with Image.open(path) as picture:
            small = picture.convert("RGB")
        small.thumbnail(_THUMB)
        sheet.paste(small, (left + (_THUMB[0] - small.width) // 2, top + (_THUMB[1] - small.height) // 2))
        draw.text((left, top + _THUMB[1] + 3), _shortened(name, font, _THUMB[0]), _INK, font)
    top = _GAP + rows * (_THUMB[1] + _LINE + _GAP)
    for line in legend:
        for left, name, color in line:
            draw.rectangle((_GAP + left, top + 2, _GAP + left + _BOX, top + 2 + _BOX), color, (128, 128, 128))
            draw.text((_GAP + left + _BOX + 5, top + 2), name, _INK, font)
        top += _LINE
    return sheet


Font = ImageFont.ImageFont | ImageFont.FreeTypeFont


def _legend(classes: Sequence[tuple[str, Color]], font: Font, width: int) -> list[list[tuple[int, str, Color]]]:
    """Lines of (distance from the left, name, colour)."""
    lines: list[list[tuple[int, str, Color]]] = []
    left = width + 1
    for name, color in classes:
        name = _shortened(name, font, width // 2)
        needs = _BOX + 5 + round(font.getlength(name)) + 16
        if left + needs > width:
            lines.append([])
            left = 0
        lines[-1].append((left, name, color))
        left += needs
    return lines


def _shortened(name: str, font: Font, width: int) -> str:
    """The end of a name that fits; the plain font knows Latin letters only."""
    name = name.encode("latin-1", "replace").decode("latin-1")
    while font.getlength(name) > width and len(name) > 4:
        name = "..." + name[4:]
    return name
