"""Which boxes of a picture a model is asked about."""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor

from zoo.data.crops import windows
from zoo.data.objects import Box
from zoo.data.selective import selective_search
from zoo.errors import DataError, did_you_mean
from zoo.inference.naming import asked_about
from zoo.pipeline.options import Proposals

Listed: TypeAlias = Mapping[str, Sequence[Box]]
"""Boxes of pictures by their names."""

_COLUMNS = ("picture", "x0", "y0", "x1", "y1")
_FAR = 10**6  # pixels; further out nothing can be meant


def boxes_of(picture: Tensor, how: Proposals, listed: Sequence[Box] | None = None) -> list[Box]:
    """The boxes of a picture that are asked about: enlarged, large enough, not too many.

    Args:
        picture: (C, H, W), uint8 or floating point in 0…1.
        how: What is wanted.
        listed: The boxes of the file, in the file's order, not yet enlarged; None: of the other sources.

    Raises:
        DataError: A listed box lies beside the picture; or selective search is wanted and not installed.
    """
    size = (picture.shape[-2], picture.shape[-1])
    if listed is not None:
        for box in listed:
            if box.top >= size[0] or box.left >= size[1] or box.bottom <= 0 or box.right <= 0:
                raise DataError(
                    f"{how.file}: the box {box.left},{box.top},{box.right},{box.bottom} lies beside its picture of "
                    f"{size[1]}×{size[0]} pixels"
                )
        return [box for box in (box.enlarged(how.enlarge) for box in listed) if _short(box) >= how.least][: how.most]
    candidates = windows(*size) if how.source == "windows" else selective_search(_bytes(picture))
    whole = Box(0, 0, *size)
    ranked = sorted((box for box in candidates if box != whole), key=lambda box: (-_area(box), box))
    enlarged = [box for box in (box.enlarged(how.enlarge) for box in ranked) if _short(box) >= how.least]
    few = len(enlarged) if how.most is None else min(how.most - 1, len(enlarged))
    chosen = [enlarged[place * len(enlarged) // few] for place in range(few)]
    return [whole.enlarged(how.enlarge), *chosen]  # whatever is wanted, every pixel is seen


def read_boxes(path: Path) -> Listed:
    """Read boxes from a file: ``.csv``, or JSON.

    CSV has a first line that names the columns ``picture,x0,y0,x1,y1`` (others are not looked at) and a line per box;
    JSON is ``{"photo.jpg": [[x0, y0, x1, y1], …], …}``. x runs to the right, y down, in pixels from the picture's upper
    left corner; the box holds the columns x0…x1 - 1 and the rows y0…y1 - 1. It may reach beyond the picture, fractions
    are rounded outwards, and the order counts: the first boxes are the best. A picture is found by its path as given,
    its file name, or that without the suffix.

    Raises:
        DataError: The file cannot be read; says where.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: the boxes cannot be read: {reason}") from None
    return _from_csv(path, text) if path.suffix.lower() == ".csv" else _from_json(path, text)


def listed_for(boxes: Listed, number: int, size: tuple[int, int], file: str) -> Sequence[Box]:
    """The boxes of picture `number` of the batch that is asked about; turned with it where it is shown mirrored.

    Args:
        boxes: What `read_boxes` gave.
        number: Its place in the batch.
        size: (H, W) of what the model is shown of it.
        file: What to call the boxes in messages.

    Raises:
        DataError: It is not known which picture it is, it is shown in parts, or the file has no boxes of it.
    """
    asked = asked_about()
    name = None if asked is None or number >= len(asked.names) else asked.names[number]
    if asked is None or name is None:
        raise DataError(f"the boxes of {file} belong to pictures by name: give a picture by its path, in one piece")
    if asked.size != size:
        raise DataError(
            f"the boxes of {file} belong to whole pictures: {name} is {asked.size[1]}×{asked.size[0]}, "
            f"{size[1]}×{size[0]} of it were asked about. Leave out tiles, scales and windows"
        )
    for key in (name, Path(name).name, Path(name).stem):
        if key in boxes:
            return [_turned(box, size[1]) for box in boxes[key]] if asked.mirrored else boxes[key]
    raise DataError(f"{file} has no boxes of {name}.{did_you_mean(Path(name).name, boxes)}")


def _from_csv(path: Path, text: str) -> Listed:
    lines = csv.DictReader(text.splitlines())
    missing = [name for name in _COLUMNS if name not in (lines.fieldnames or ())]
    if missing:
        raise DataError(
            f"{path}: the first line has no {', '.join(missing)}; expected the columns {','.join(_COLUMNS)}"
        )
    found: dict[str, list[Box]] = {}
    for line in lines:
        where = f"{path}, line {lines.line_num}"
        try:
            numbers = [float(line[name]) for name in _COLUMNS[1:]]
        except (TypeError, ValueError):
            raise DataError(f"{where}: expected numbers under {', '.join(_COLUMNS[1:])}") from None
        found.setdefault(line["picture"], []).append(_box(numbers, where))
    return found


def _from_json(path: Path, text: str) -> Listed:
    try:
        record: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: neither JSON nor named .csv: {error}") from None
    if not isinstance(record, dict):
        raise DataError(f'{path}: expected {{"photo.jpg": [[x0, y0, x1, y1], …]}}')
    found = {}
    for name, boxes in record.items():
        if not isinstance(boxes, list):
            raise DataError(f"{path}: {name}: expected a list of boxes [x0, y0, x1, y1]")
        found[name] = [_box(box, f"{path}: {name}, box {number}") for number, box in enumerate(boxes, start=1)]
    return found


def _box(numbers: Any, where: str) -> Box:
    fine = (
        isinstance(numbers, list)
        and len(numbers) == 4
        and all(isinstance(value, int | float) and not isinstance(value, bool) for value in numbers)
        and all(abs(value) < _FAR for value in numbers)
    )
    if not fine:
        raise DataError(f"{where}: {numbers!r}: expected four numbers x0, y0, x1, y1 in pixels")
    x0, y0, x1, y1 = numbers
    if x1 <= x0 or y1 <= y0:
        raise DataError(f"{where}: {numbers}: x1 lies to the right of x0, y1 below y0")
    return Box(math.floor(y0), math.floor(x0), math.ceil(y1), math.ceil(x1))


def _turned(box: Box, width: int) -> Box:
    """Where a box lies in the mirror image of a picture of that width."""
    return Box(box.top, width - box.right, box.bottom, width - box.left)


def _short(box: Box) -> int:
    return min(box.bottom - box.top, box.right - box.left)


def _area(box: Box) -> int:
    return (box.bottom - box.top) * (box.right - box.left)


def _bytes(picture: Tensor) -> Tensor:
    picture = picture.cpu()
    return (picture * 255).round().clamp(0, 255).to(torch.uint8) if picture.is_floating_point() else picture
