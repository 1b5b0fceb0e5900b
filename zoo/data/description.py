"""data.toml: what a folder's pictures cannot say themselves.

::

    name = "cells"
    classes = ["background", "cell"]              # or their number: classes = 2
    palette = [[0, 0, 0], [255, 255, 255]]        # for pictures, and to read masks in colours
    ignore = 254                                  # or several: [11, 254]; colours too: [[0, 0, 0]]
    values = {0 = 0, 255 = 1}                     # file value = label, where they differ

All of it is optional. 255 is ignored unless `values` maps it.
"""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo.config import Color
from zoo.data.images import voc_palette
from zoo.data.labels import MAX_CLASSES, ClassTable, check_values, count_of
from zoo.errors import DataError, did_you_mean

FILE = "data.toml"

_KEYS = ("name", "classes", "palette", "ignore", "values")


@dataclass(frozen=True, slots=True)
class Description:
    """A data.toml as read.

    Attributes:
        name: The data set's name, where given.
        table: Classes, colours and what is ignored; `table.classes` is empty where the file names none.
        values: File value → label, where given.
        states_255: Whether the file says itself that 255 is ignored, so that 0/255 masks are no slip.
    """

    name: str | None = None
    table: ClassTable = field(default_factory=lambda: ClassTable((), ()))
    values: dict[int, int] | None = None
    states_255: bool = False


def read_description(folder: Path) -> Description:
    """Read ``folder/data.toml``; without one, an empty description.

    Raises:
        DataError: It is no TOML, has an unknown key, or a value that makes no sense.
    """
    path = folder / FILE
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Description()
    except (OSError, ValueError) as error:  # TOMLDecodeError and UnicodeDecodeError are ValueErrors
        raise DataError(f"{path}: cannot be read: {error}") from None
    for key in content:
        if key not in _KEYS:
            raise DataError(f"{path}: has no key {key!r}.{did_you_mean(key, _KEYS)} The keys are {', '.join(_KEYS)}.")
    name = content.get("name")
    if name is not None and not (isinstance(name, str) and name):
        raise DataError(f"{path}: name is {name!r}; a text is expected")
    values = content.get("values")
    if values is not None:
        if not isinstance(values, dict):
            raise DataError(f"{path}: values is {values!r}; a table is expected, e.g. values = {{0 = 0, 255 = 1}}")
        values = check_values(values, str(path))
    ignore, void = _ignored(content.get("ignore", []), path)
    table = _classes(content, values, path)
    return Description(name, ClassTable(table.classes, table.palette, ignore, void), values, 255 in ignore)


def _classes(content: dict[str, Any], values: dict[int, int] | None, path: Path) -> ClassTable:
    classes, palette = content.get("classes"), content.get("palette")
    colors: tuple[Color, ...] = ()
    if palette is not None:
        if not isinstance(palette, list) or not all(_is_color(color) for color in palette):
            raise DataError(f"{path}: palette is {palette!r}; a list of [red, green, blue], each 0…255, is expected")
        colors = tuple((r, g, b) for r, g, b in palette)
    if classes is None:
        count = len(colors) or (count_of(values) if values else 0)
        names = ClassTable.numbered(count).classes
    elif isinstance(classes, int) and not isinstance(classes, bool):
        names = ClassTable.numbered(max(classes, 0)).classes
    elif isinstance(classes, list) and all(isinstance(name, str) and name for name in classes):
        names = tuple(classes)
    else:
        raise DataError(f"{path}: classes is {classes!r}; a list of names, or their number, is expected")
    if classes is not None and not 1 <= len(names) <= MAX_CLASSES:
        raise DataError(f"{path}: classes are {len(names)}; 1…{MAX_CLASSES} are possible (255 is the ignored label)")
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise DataError(f"{path}: classes repeats {', '.join(map(repr, repeated))}; names must differ")
    if colors and len(colors) != len(names):
        raise DataError(f"{path}: palette has {len(colors)} colours for {len(names)} classes; one each is expected")
    if values and count_of(values) > len(names):
        raise DataError(f"{path}: values leads to label {count_of(values) - 1}, but there are {len(names)} classes")
    return ClassTable(names, colors or voc_palette(len(names)))


def _ignored(ignore: Any, path: Path) -> tuple[frozenset[int], tuple[Color, ...]]:
    entries = ignore if isinstance(ignore, list) else [ignore]
    values = [entry for entry in entries if isinstance(entry, int) and not isinstance(entry, bool) and entry in _RANGE]
    colors = [entry for entry in entries if isinstance(entry, list) and _is_color(entry)]
    if len(values) + len(colors) != len(entries):
        raise DataError(
            f"{path}: ignore is {ignore!r}; a file value 0…65535, a list of them, or a list of colours "
            "[[red, green, blue]] is expected"
        )
    return frozenset(values), tuple((r, g, b) for r, g, b in colors)


def _is_color(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 3
        and all(isinstance(part, int) and not isinstance(part, bool) and 0 <= part <= 255 for part in value)
    )


_RANGE = range(1 << 16)
