"""``report.html`` of a run in stages: all of them on one page, with links to the page of each."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from zoo.files import atomic_path
from zoo.html.page import command, page
from zoo.report import formats
from zoo.report.comparison import rows, stages_of
from zoo.report.course import Course

NAME = "report.html"


def write_stages_report(run: Path) -> Path:
    """Write the page over all stages of a run, of which one at least has begun; raises `RunError` or `OSError`."""
    path = run / NAME
    text = stages_report(run, [Course.read(folder) for folder in stages_of(run)])
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def stages_report(run: Path, courses: Sequence[Course]) -> str:
    """The page."""
    title = f"{run.resolve().name}: {', '.join(course.name for course in courses)}"
    recipe = (run / "recipe.toml").read_text(encoding="utf-8", errors="replace")
    again = courses[-1].command("train", "--recipe", f"{run}/recipe.toml", "--out", f"{run}-again")
    notes = [f"{course.name}: {course.stopped}" for course in courses if course.stopped]
    starts = [sum(before.step for before in courses[:place]) for place in range(len(courses))]
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="soft">{len(courses)} stages, one after the other.</p>',
        *(f"<p>{escape(note)}</p>" for note in notes),
        formats.overview(rows(courses)),
        f"<h2>Curves</h2>\n{formats.curves(courses, starts)}",
        f"<h2>Every stage</h2>\n{_links(run, courses)}",
        f'<h2>Recipe</h2>\n<pre class="recipe">{escape(recipe)}</pre>',
        f"<h2>To repeat it</h2>\n{command(again)}",
    ]
    return page(title, "\n".join(parts), generator="zoo report", style=formats.STYLE)


def _links(run: Path, courses: Sequence[Course]) -> str:
    shown = []
    for course in courses:
        name = escape(course.name)
        there = (course.path / NAME).is_file()
        link = f'<a href="{quote(course.path.name)}/{NAME}">{name}</a>' if there else name
        state = "finished" if course.finished else f"not finished: step {course.step} of {course.steps or '?'}"
        shown.append(f"<li>{link}, {escape(state)}</li>")
    return "<ol>\n" + "\n".join(shown) + "\n</ol>"
