"""Plain text for the terminal, without a library: listings must start at once."""

import os
import sys
from collections.abc import Iterable, Sequence


def table(rows: Iterable[Sequence[str]]) -> str:
    """Align columns with two spaces between them; on a terminal the last one is cut to the width there is."""
    rows = [list(row) for row in rows]
    if not rows:
        return ""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    limit = os.get_terminal_size(sys.stdout.fileno()).columns if sys.stdout.isatty() else None
    lines = []
    for row in rows:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        lines.append(line if limit is None or len(line) <= limit else line[: limit - 1] + "…")
    return "\n".join(lines)


def size(count: int | None) -> str:
    """A number of bytes for people: ``"513.0 MiB"``."""
    if count is None:
        return ""
    value, unit = float(count), "B"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1000 or unit == "GiB":
            break
        value /= 1024
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def printable(text: str) -> str:
    """The text with control characters and half characters escaped: a file's words must not steer the terminal."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
