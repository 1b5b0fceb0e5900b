"""What a check found, as text and as JSON."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from zoo.config import Color

SHOWN = 5
"""Files that are named of every problem in the text; JSON has all."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or worth knowing.

    Attributes:
        kind: ``"no picture"``, ``"no mask"``, ``"unreadable"``, ``"sizes"``, ``"values"``, ``"binary"``, ``"colours"``,
            ``"duplicates"``, ``"empty"``; of notes also ``"stray masks"``, ``"rare"``, ``"blank"``, ``"repeated"``.
        message: What it is, and what to do.
        items: Each file or class that it concerns.
    """

    kind: str
    message: str
    items: tuple[str, ...] = ()

    def lines(self, shown: int = SHOWN) -> list[str]:
        """The message, and the first items indented below it."""
        more = len(self.items) - shown
        rest = [f"    … and {more} more"] if more > 0 else []
        return [self.message, *(f"    {item}" for item in self.items[:shown]), *rest]


@dataclass(frozen=True, slots=True)
class SplitReport:
    """What one split holds.

    Attributes:
        split: Its name.
        images: Its samples, readable or not.
        sizes: (H, W, how many) of its pictures, the most frequent first.
        pixels: Labelled pixels per class.
        occurrences: Images per class.
        ignored: Pixels without a label.
        blank: Images without any label.
    """

    split: str
    images: int
    sizes: tuple[tuple[int, int, int], ...]
    pixels: tuple[int, ...]
    occurrences: tuple[int, ...]
    ignored: int
    blank: int

    def size(self) -> str:
        """The pictures' sizes, for people: ``"480 × 360"``, or their range."""
        if not self.sizes:
            return "—"
        if len(self.sizes) == 1:
            return f"{self.sizes[0][1]} × {self.sizes[0][0]}"
        heights, widths = [size[0] for size in self.sizes], [size[1] for size in self.sizes]
        height, width, count = self.sizes[0]
        span = f"{min(widths)} × {min(heights)} … {max(widths)} × {max(heights)}"
        return f"{span}, {len(self.sizes)} sizes, most often {width} × {height} ({count})"


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that a check found.

    Attributes:
        name: The data set.
        where: Its folder; empty where it has none.
        layout: How its files lie: ``"annot"``, ``"images"``, ``"voc"``; empty where there are none.
        classes: Names of its classes; empty where nobody can tell.
        palette: Their colours.
        described: Whether the names are known, rather than made up from the masks.
        splits: What each split holds.
        problems: What must be put right before training.
        notes: What is worth knowing.
        values: File value → label that would make sense of the masks, where their values are no labels.
        colors: Colours of masks that nobody has named, the most frequent first.
        ignore: File values, besides 255, that mean no label.
    """

    name: str
    where: str
    layout: str
    classes: tuple[str, ...]
    palette: tuple[Color, ...]
    described: bool
    splits: tuple[SplitReport, ...]
    problems: tuple[Finding, ...]
    notes: tuple[Finding, ...]
    values: dict[int, int] | None = None
    colors: tuple[Color, ...] = ()
    ignore: tuple[int, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether there is no problem."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        return {
            "ok": self.ok,
            "data": self.name,
            "where": self.where,
            "layout": self.layout,
            "classes": list(self.classes),
            "splits": {
                one.split: {
                    "images": one.images,
                    "sizes": [{"height": h, "width": w, "images": n} for h, w, n in one.sizes],
                    "pixels": dict(zip(self.classes, one.pixels, strict=False)),
                    "occurrences": dict(zip(self.classes, one.occurrences, strict=False)),
                    "ignored": one.ignored,
                    "blank": one.blank,
                }
                for one in self.splits
            },
            "problems": [_record(finding) for finding in self.problems],
            "notes": [_record(finding) for finding in self.notes],
        }

    def to_text(self) -> str:
        """The report for people, of several lines."""
        known = f"{len(self.classes)} classes" if self.classes else "classes unknown"
        where = f" ({self.where})" if self.where and self.where != self.name else ""
        blocks = [f"{self.name}{where}: {known}", _table(_split_rows(self.splits))]
        if self.classes and any(one.pixels for one in self.splits):
            blocks.append(_table(_class_rows(self.classes, self.splits)))
        blocks += ["\n".join(_numbered(self.problems, "problem"))] if self.problems else []
        blocks += ["\n".join(_numbered(self.notes, "note"))] if self.notes else []
        blocks += ["No problems."] if self.ok else []
        return "\n\n".join(blocks)

    def short(self) -> str:
        """The problems alone, each with its first example, on a few lines."""
        lines = [f"{self.name}: {counted(len(self.problems), 'problem')}"]
        for number, problem in enumerate(self.problems, start=1):
            first, *rest = problem.lines(1)
            lines += [f"  {number}. {first}", *(f"  {line}" for line in rest)]
        return "\n".join(lines)


def _record(finding: Finding) -> dict[str, Any]:
    return {"kind": finding.kind, "message": finding.message, "items": list(finding.items)}


def _numbered(findings: Iterable[Finding], what: str) -> list[str]:
    findings = list(findings)
    lines = [f"{counted(len(findings), what)}:"]
    for number, finding in enumerate(findings, start=1):
        first, *rest = finding.lines()
        lines += [f"  {number}. {first}", *(f"  {line}" for line in rest)]
    return lines


def counted(count: int, what: str) -> str:
    """``"1 sample"``, ``"2 samples"``."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def _split_rows(splits: Sequence[SplitReport]) -> list[list[str]]:
    rows = [["split", "images", "without a label", "width × height"]]
    for one in splits:
        total = one.ignored + sum(one.pixels)
        rows.append([one.split, str(one.images), _share(one.ignored, total), one.size()])
    return rows


def _class_rows(classes: Sequence[str], splits: Sequence[SplitReport]) -> list[list[str]]:
    rows = [["class", *(f"{one.split} {what}" for one in splits for what in ("pixels", "images"))]]
    for label, name in enumerate(classes):
        cells = [(_share(one.pixels[label], sum(one.pixels)), str(one.occurrences[label])) for one in splits]
        rows.append([name, *(cell for pair in cells for cell in pair)])
    return rows


def _share(part: int, whole: int) -> str:
    if whole == 0:
        return "—"
    share = 100 * part / whole
    return f"{share:.2f} %" if share >= 0.01 or part == 0 else "< 0.01 %"


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Columns aligned: the first and the last column of text to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place == 0 or not _number(rows[-1][place]) else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _number(cell: str) -> bool:
    return cell.endswith("%") or cell.isdigit() or cell == "—"
