"""``report.html`` of a run in stages: all of them on one page, with links to the page of each."""

import shlex
from collections.abc import Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from zoo.files import atomic_path
from zoo.html.curves import Curve, chart
from zoo.html.page import command, page
from zoo.report import formats
from zoo.report.comparison import rows, run_folders
from zoo.report.course import Course, Point

NAME = "report.html"


def stages_of(run: Path) -> list[Path]:
    """The folders of the stages that have begun, in order; none where it is a run of one stage."""
    folders = run_folders(run)
    return [] if folders == [run] else folders


def write_stages_report(run: Path, out: Path | None = None) -> Path:
    """Write the page over all stages of a run; raises `RunError` where it has none, or `OSError`."""
    path = out or run / NAME
    text = stages_report(run, [Course.read(folder) for folder in run_folders(run)])
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def stages_report(run: Path, courses: Sequence[Course]) -> str:
    """The page."""
    title = f"{run.resolve().name}: {', '.join(course.name for course in courses)}"
    recipe = (run / "recipe.toml").read_text(encoding="utf-8", errors="replace")
    again = shlex.join(["zoo", "train", "--recipe", f"{run}/recipe.toml", "--out", f"{run}-again"])
    notes = [f"{course.name}: {course.stopped}" for course in courses if course.stopped]
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="soft">{len(courses)} stages, each from the weights of the one before.</p>',
        *(f"<p>{escape(note)}</p>" for note in notes),
        formats.overview(rows(courses)),
        f"<h2>Curves</h2>\n{_curves(courses)}",
        f"<h2>Every stage</h2>\n{_links(run, courses)}",
        f'<h2>Recipe</h2>\n<pre class="recipe">{escape(recipe)}</pre>',
        f"<h2>To repeat it</h2>\n{command(again)}",
    ]
    return page(title, "\n".join(parts), generator="zoo report", style=formats.STYLE)


def _curves(courses: Sequence[Course]) -> str:
    """Each stage in its own colour, beginning at the step where the one before ended."""
    starts = [0]
    for course in courses:
        starts.append(starts[-1] + course.step)

    def joined(title: str, kind: str, key: str, percent: bool = False) -> str:
        curves = [
            Curve(course.name, _moved(course.curve(kind, key), start), dots=kind == "eval", number=place)
            for place, (course, start) in enumerate(zip(courses, starts, strict=False))
        ]
        return chart(curves, title=title, percent=percent)

    drawn = (
        joined("Training loss", "train", "loss"),
        joined("Validation loss", "eval", "val_loss"),
        joined("Training mIoU", "eval", "train_miou", percent=True),
        joined("Validation mIoU", "eval", "miou", percent=True),
    )
    return f'<div class="plots">\n{"".join(drawn)}</div>'


def _moved(points: Sequence[Point], start: int) -> list[Point]:
    return [(step + start, value) for step, value in points]


def _links(run: Path, courses: Sequence[Course]) -> str:
    shown = []
    for course in courses:
        name = escape(course.name)
        there = (course.path / NAME).is_file()
        link = f'<a href="{quote(course.path.name)}/{NAME}">{name}</a>' if there else name
        state = "finished" if course.finished else f"not finished: step {course.step} of {course.steps or '?'}"
        shown.append(f"<li>{link}, {escape(state)}</li>")
    return "<ol>\n" + "\n".join(shown) + "\n</ol>"
