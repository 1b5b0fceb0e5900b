"""The table of several runs as text, Markdown, CSV and HTML."""

import csv
import io
from collections.abc import Callable, Sequence
from html import escape
from typing import Any

from zoo.html.curves import Curve, chart
from zoo.html.page import command, page
from zoo.quantities import percent
from zoo.report import comparison
from zoo.report.comparison import Row
from zoo.report.course import Course
from zoo.report.sections import duration

_MISSING = "–"


def _loss(value: float | None) -> str:
    return _MISSING if value is None else f"{value:.4f}"


def _amount(value: float | None) -> str:
    return _MISSING if value is None else f"{value / 1e6:.2f} M" if value >= 1e6 else f"{value:,.0f}"


_COLUMNS: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("run", "name", str),
    ("model", "model", str),
    ("train loss", "train_loss", _loss),
    ("valid loss", "valid_loss", _loss),
    ("train mIoU, %", "train_miou", percent),
    ("valid mIoU, %", "valid_miou", percent),
    ("best mIoU, %", "best_miou", percent),
    ("test mIoU, %", "test_miou", percent),
    ("parameters", "parameters", _amount),
    ("time", "seconds", duration),
)
STYLE = "tr > .best { font-weight: 700; color: var(--accent); }\n"
"""What a page needs for `overview`."""

_WORDS = 2  # columns of words; the others are numbers


def text(courses: Sequence[Course]) -> str:
    """A table for the terminal."""
    shown = [[title for title, *_ in _COLUMNS], *_cells(courses)]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if place < _WORDS else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in shown
    ]
    return "\n".join([*lines, *(f"Note: {note}" for note in comparison.notes(courses))]) + "\n"


def markdown(courses: Sequence[Course]) -> str:
    """A table in Markdown."""
    shown = [[title for title, *_ in _COLUMNS], *_cells(courses)]
    lines = [f"| {' | '.join(_plain(cell) for cell in row)} |" for row in shown]
    lines.insert(1, f"| {' | '.join('---' if place < _WORDS else '---:' for place in range(len(_COLUMNS)))} |")
    notes = [f"\n{_plain(note)}" for note in comparison.notes(courses)]
    return "\n".join([*lines, *notes]) + "\n"


def table(courses: Sequence[Course]) -> str:
    """CSV for programs: fractions, seconds, and nothing where a number is missing."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([key for _, key, _ in _COLUMNS])
    for row in comparison.rows(courses):
        values = [getattr(row, key) for _, key, _ in _COLUMNS]
        writer.writerow(["" if value is None else value for value in values])
    return file.getvalue()


def html(courses: Sequence[Course]) -> str:
    """A page with the curves over each other."""
    title = "Runs compared"
    parts = [
        f"<h1>{title}</h1>",
        "".join(f'<p class="soft">{escape(note)}.</p>' for note in comparison.notes(courses)),
        overview(comparison.rows(courses)),
        f"<h2>Curves</h2>\n{curves(courses, [0] * len(courses))}",
        _classes(courses),
        _settings(courses),
        "<h2>Where they are</h2>\n" + command("\n".join(str(course.path) for course in courses)),
    ]
    return page(title, "\n".join(part for part in parts if part), generator="zoo compare", style=STYLE)


def _cells(courses: Sequence[Course]) -> list[list[str]]:
    return [[show(getattr(row, key)) for _, key, show in _COLUMNS] for row in comparison.rows(courses)]


def _plain(cell: str) -> str:
    """Text that ends neither a cell nor a row, and starts nothing."""
    return escape(cell, quote=False).replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("*", "\\*")


def overview(rows: Sequence[Row]) -> str:
    """The table in HTML, the best mIoU of each column in bold."""
    head = "".join(f"<th{_number(place)}>{escape(title)}</th>" for place, (title, *_) in enumerate(_COLUMNS))
    body = []
    for row in rows:
        cells = []
        for place, (_, key, show) in enumerate(_COLUMNS):
            value = getattr(row, key)
            known = [getattr(other, key) for other in rows if getattr(other, key) is not None]
            top = key.endswith("miou") and len(known) > 1 and value == max(known)
            cells.append(f"<td{_number(place, best=top)}>{escape(show(value))}</td>")
        body.append(f"<tr>{''.join(cells)}</tr>\n")
    return f'<div class="scroll"><table>\n<tr>{head}</tr>\n{"".join(body)}</table></div>'


def _number(place: int, *, best: bool = False) -> str:
    names = [*(["number"] if place >= _WORDS else []), *(["best"] if best else [])]
    return f' class="{" ".join(names)}"' if names else ""


def curves(courses: Sequence[Course], starts: Sequence[int]) -> str:
    """Losses and mIoU of all runs over each other, in HTML; each begins at its own step, one of `starts`."""
    called = comparison.names(courses)

    def overlay(title: str, kind: str, key: str, percent: bool = False) -> str:
        drawn = [
            Curve(
                name,
                [(step + start, value) for step, value in course.curve(kind, key)],
                dots=kind == "eval",
                number=place,
            )
            for place, (name, course, start) in enumerate(zip(called, courses, starts, strict=True))
        ]
        return chart(drawn, title=title, percent=percent)

    charts = (
        overlay("Training loss", "train", "loss"),
        overlay("Validation loss", "eval", "val_loss"),
        overlay("Training mIoU", "eval", "train_miou", percent=True),
        overlay("Validation mIoU", "eval", "miou", percent=True),
    )
    return f'<div class="plots">\n{"".join(charts)}</div>'


def _classes(courses: Sequence[Course]) -> str:
    """IoU of every class with the best weights, where all runs have the same classes."""
    tables = [course.best.get("iou") for course in courses]
    known = [table for table in tables if isinstance(table, dict) and table]
    if len(known) != len(courses) or any(table.keys() != known[0].keys() for table in known):
        return ""
    body = []
    for name in known[0]:
        values = [table[name] for table in known]
        top = max((value for value in values if value is not None), default=None)
        cells = "".join(
            f"<td{_number(_WORDS, best=len(known) > 1 and value is not None and value == top)}>{percent(value)}</td>"
            for value in values
        )
        body.append(f"<tr><td>{escape(name)}</td>{cells}</tr>\n")
    head = "".join(f'<th class="number">{escape(name)}</th>' for name in comparison.names(courses))
    return (
        '<h2>IoU of every class, %</h2>\n<div class="scroll"><table>\n'
        f"<tr><th>class</th>{head}</tr>\n{''.join(body)}</table></div>"
    )


def _settings(courses: Sequence[Course]) -> str:
    found = comparison.differences(courses)
    if not found:
        return ""
    head = "".join(f"<th>{escape(name)}</th>" for name in comparison.names(courses))
    body = "".join(
        f"<tr><td>{escape(key)}</td>{''.join(f'<td>{escape(value)}</td>' for value in values)}</tr>\n"
        for key, values in found
    )
    return (
        '<h2>Settings that differ</h2>\n<div class="scroll"><table>\n'
        f"<tr><th>setting</th>{head}</tr>\n{body}</table></div>"
    )
