"""Writing the data.toml that a checked folder lacks."""

import json
from pathlib import Path

from zoo.data.checking.report import Report
from zoo.data.description import FILE
from zoo.data.images import voc_palette
from zoo.errors import DataError
from zoo.files import atomic_path


def write_description(report: Report) -> Path:
    """Write data.toml into a checked folder, as far as the masks tell what belongs into it, and return its path.

    Class names are made up where nobody gave any. Values that are no labels get a mapping in ascending order, colours
    a palette in order of frequency: both are meant to be looked through.

    Raises:
        DataError: The data have no folder, have such a file already, do not show their classes, or the file cannot be
            written.
    """
    if not report.where:
        raise DataError(f"{report.name}: has no folder that a {FILE} could lie in")
    path = Path(report.where) / FILE
    if path.exists():
        raise DataError(f"{path}: is there already; remove it first if a new one is wanted")
    try:
        with atomic_path(path) as temporary:
            temporary.write_text(description(report), encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror or error}") from None
    return path


def description(report: Report) -> str:
    """The text of data.toml for a report; raises `DataError` where the masks do not show their classes."""
    count = len(report.classes)
    palette = report.palette
    notes = ["# Names of the classes, in the order of their labels."]
    if report.values is not None:
        count = len(set(report.values.values()))
        palette = voc_palette(count)
        notes = ["# Made from the values that the masks hold: give the classes their names, and check `values`."]
    elif report.colors and not count:
        count, palette = len(report.colors), report.colors
        notes = ["# Made from the colours that the masks hold, the most frequent first: give them their names."]
        notes.append("# A colour that means no class belongs into `ignore` instead: ignore = [[0, 0, 0]].")
    elif report.classes and not report.described:
        notes = ["# Made from the labels that the masks hold: give the classes their names."]
    if not count:
        raise DataError(f"{report.name}: its masks do not show which classes there are; see the problems")
    names = report.classes if len(report.classes) == count else tuple(f"class {label}" for label in range(count))
    lines = [
        f"name = {json.dumps(report.name, ensure_ascii=False)}",
        *notes,
        "classes = [",
        *(f"  {json.dumps(name, ensure_ascii=False)}," for name in names),
        "]",
        "palette = [",
        *(f"  [{red}, {green}, {blue}]," for red, green, blue in palette),
        "]",
    ]
    if report.values is not None:
        pairs = ", ".join(f"{value} = {label}" for value, label in report.values.items())
        lines.append(f"values = {{{pairs}}}")
    elif report.ignore:
        lines.append(f"ignore = {list(report.ignore)}")
    return "\n".join(lines) + "\n"
