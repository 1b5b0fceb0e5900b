"""The parts of a report that show numbers: curves, classes, the confusion matrix."""

from collections.abc import Sequence
from html import escape

from zoo.config import Color
from zoo.evaluation.metrics import Metrics
from zoo.html.curves import Curve, chart
from zoo.html.page import bar, chip
from zoo.labels import class_colors
from zoo.quantities import percent
from zoo.report.course import Course, number

STYLE = """
.photos.four { grid-template-columns: repeat(4, 1fr); }
.photos .row { grid-column: 1 / -1; margin-top: .5rem; font-size: .86rem; overflow-wrap: anywhere; }
.confusion { width: 100%; height: auto; display: block; }
.confusion text { font-size: 11px; fill: var(--text); }
details > summary { cursor: pointer; color: var(--soft); }
.bar { width: 32%; }
"""

_WRITTEN = 16  # classes up to which a cell has its number
_NAMED = 40  # and up to which rows and columns have their names
_LEAST = 0.005
_SIZE = 760


def curves(course: Course) -> str:
    """Loss, mIoU and learning rate over the steps."""
    best = course.best
    score = number(best.get("miou"))
    marks = [] if score is None else [(best["step"], score)]
    return (
        '<div class="plots">\n'
        + "".join(
            (
                chart(
                    [
                        Curve("training", course.curve("train", "loss")),
                        Curve("validation", course.curve("eval", "val_loss"), dots=True),
                    ],
                    title="Loss",
                ),
                chart(
                    [
                        Curve("training", course.curve("eval", "train_miou"), dots=True),
                        Curve("validation", course.curve("eval", "miou"), dots=True),
                    ],
                    title="Mean IoU",
                    percent=True,
                    marks=marks,
                ),
                chart([Curve("learning rate", course.curve("train", "lr"))], title="Learning rate"),
                chart([Curve("images per second", course.curve("train", "images_per_second"))], title="Throughput"),
            )
        )
        + '</div>\n<p class="small soft">Loss and mean IoU of the training are of its batches as they were learned '
        "from: augmented, with dropout, the loss with its auxiliary parts.</p>"
    )


def classes(iou: dict[str, float | None], palette: Sequence[Color], metrics: Metrics | None) -> str:
    """A table with a bar for the IoU of every class, and more where the whole matrix is known."""
    colors = class_colors(palette, len(iou))
    more = ("Dice", "precision", "recall", "share of pixels") if metrics else ()
    head = "".join(f'<th class="number">{what}</th>' for what in more)
    rows = []
    total = metrics.confusion.total if metrics else 0
    for place, ((name, value), color) in enumerate(zip(iou.items(), colors, strict=True)):
        cells: list[float | None] = []
        if metrics:
            share = int(metrics.confusion.true[place]) / total if total else None
            cells = [metrics.dice[name], metrics.precision[name], metrics.acc[name], share]
        numbers = "".join(f'<td class="number">{percent(cell)}</td>' for cell in cells)
        rows.append(
            f'<tr><td>{chip(name, color)}</td><td class="number">{percent(value)}</td>{bar(value)}{numbers}</tr>\n'
        )
    return (
        '<div class="scroll"><table>\n<tr><th>class</th><th class="number">IoU, %</th><th></th>'
        f"{head}</tr>\n{''.join(rows)}</table></div>"
    )


def confusion(metrics: Metrics) -> str:
    """The matrix as a drawing, each row in shares of the true class, and the worst mistakes in words."""
    names = list(metrics.iou)
    counts = metrics.confusion.counts
    true = metrics.confusion.true
    shares = (counts.double() / true.clamp(min=1).unsqueeze(1)).tolist()
    size = len(names)
    named = size <= _NAMED
    margin = 8 + min(max(len(name) for name in names), 18) * 6.6 if named else 8
    cell = min(42.0, (_SIZE - margin) / size)
    side = margin + size * cell + 4
    drawn = [
        f'<svg class="confusion" style="max-width: {side:.0f}px" viewBox="0 0 {side:.0f} {side:.0f}" '
        'role="img" '
        'aria-label="Confusion matrix: true classes in rows, predicted ones in columns">',
        f'<rect x="{margin:.1f}" y="{margin:.1f}" width="{size * cell:.1f}" height="{size * cell:.1f}" '
        'style="fill: none; stroke: var(--line)"/>',
    ]
    for row, name in enumerate(names):
        if named:
            short = escape(name if len(name) <= 18 else f"{name[:17]}…")
            middle = margin + (row + 0.5) * cell
            drawn.append(f'<text x="{margin - 5:.1f}" y="{middle + 4:.1f}" text-anchor="end">{short}</text>')
            drawn.append(f'<text transform="translate({middle + 4:.1f} {margin - 5:.1f}) rotate(-90)">{short}</text>')
        for column, other in enumerate(names):
            share = shares[row][column]
            if share < _LEAST:
                continue
            x, y = margin + column * cell, margin + row * cell
            color = "var(--s2)" if row == column else "var(--s4)"
            drawn.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{cell - 1:.1f}" height="{cell - 1:.1f}" '
                f'style="fill: {color}; fill-opacity: {0.12 + 0.88 * share:.2f}">'
                f"<title>{escape(name)} taken for {escape(other)}: {share:.1%}</title></rect>"
            )
            if size <= _WRITTEN and share >= 0.01:
                ink = "; fill: var(--card)" if share > 0.55 else ""
                drawn.append(
                    f'<text x="{x + cell / 2 - 0.5:.1f}" y="{y + cell / 2 + 4:.1f}" text-anchor="middle" '
                    f'style="pointer-events: none{ink}">{share * 100:.0f}</text>'
                )
    drawn.append("</svg>")
    return (
        '<p class="small soft">Per cent of the pixels of the true class (row) that were taken for each class '
        "(column).</p>\n" + "\n".join(drawn) + _mistakes(names, shares, counts.tolist())
    )


def _mistakes(names: list[str], shares: list[list[float]], counts: list[list[int]], most: int = 6) -> str:
    """The confusions that cost the most pixels."""
    found = sorted(
        ((counts[i][j], i, j) for i in range(len(names)) for j in range(len(names)) if i != j and counts[i][j]),
        reverse=True,
    )[:most]
    if not found:
        return ""
    lines = "".join(
        f"<li>{escape(names[i])} taken for {escape(names[j])}: {pixels:,} pixels, "
        f"{shares[i][j]:.1%} of {escape(names[i])}</li>"
        for pixels, i, j in found
    )
    return f'\n<p class="small">What costs the most:</p><ul class="small">{lines}</ul>'


def duration(seconds: float | None) -> str:
    """``"1 h 23 min"``, ``"4 min 5 s"``, ``"12 s"``."""
    if seconds is None:
        return "–"
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
