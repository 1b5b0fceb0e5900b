"""``report.html``: a run on one page."""

from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zoo
from zoo.config import Color
from zoo.errors import ZooError
from zoo.files import atomic_path
from zoo.html.page import chip, command, figure, page, pairs
from zoo.html.pictures import VOID
from zoo.labels import class_colors
from zoo.quantities import percent
from zoo.report import sections
from zoo.report.course import Course, number
from zoo.report.pictures import Shown, gallery, show
from zoo.training.measured import Measured

if TYPE_CHECKING:
    from zoo.data.dataset import SegmentationDataset
    from zoo.model import SegmentationModel

NAME = "report.html"


@dataclass
class Seen:
    """What the best weights do, as far as it can be found out.

    Attributes:
        measured: Their evaluation.
        pictures: Some pictures.
        note: Why something is missing.
    """

    measured: Measured | None = None
    pictures: list[Shown] = field(default_factory=list)
    note: str = ""


def write_report(
    run: Path,
    *,
    data: str | None = None,
    root: str | None = None,
    out: Path | None = None,
    each: int = 2,
    measure: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write the report of a run folder.

    Args:
        run: The folder.
        data: A data set or folder to take the pictures from; the run's own by default.
        root: Where a registered data set lies.
        out: The file; ``report.html`` in the folder by default.
        each: How many best, median and worst pictures to show.
        measure: Whether to evaluate the best weights where the run has not kept their evaluation, or `data` is given.
        progress: Told about such an evaluation.

    Raises:
        RunError: It is not a run folder.
        ZooError: The data that were given cannot be used.
        OSError: The file cannot be written.
    """
    course = Course.read(run)
    seen = Seen(Measured.read(run))
    try:
        _look(course, seen, data, root, each, measure, progress)
    except (ZooError, OSError) as error:
        if data is not None:
            raise
        seen.note = f"There are no pictures: {str(error).splitlines()[0]}"
    path = out or run / NAME
    with atomic_path(path) as temporary:
        temporary.write_text(report(course, seen), encoding="utf-8")
    return path


def report(course: Course, seen: Seen) -> str:
    """The page."""
    opening = course.opening
    title = f"{opening.get('model', 'A model')} on {opening.get('data', 'some data')}"
    parts = [
        f"<h1>{escape(title)}</h1>\n{_state(course)}\n{_figures(course, seen)}",
        f"<h2>Curves</h2>\n{sections.curves(course)}" if course.evaluations or course.curve("train", "loss") else "",
        _classes(course, seen),
        f"<h2>Confusion matrix</h2>\n{sections.confusion(seen.measured.metrics)}" if seen.measured else "",
        _pictures(seen),
        f'<h2>Recipe</h2>\n<pre class="recipe">{escape(course.recipe_text)}</pre>' if course.recipe_text else "",
        _commands(course),
        f"<h2>Time</h2>\n{pairs(_times(course))}",
        f"<h2>Environment</h2>\n{pairs(_environment(course))}",
        f"<footer>Written by Zoo {escape(zoo.__version__)}.</footer>",
    ]
    return page(title, "\n".join(part for part in parts if part), generator="zoo report", style=sections.STYLE)


def _look(
    course: Course,
    seen: Seen,
    data: str | None,
    root: str | None,
    each: int,
    measure: bool,
    progress: Callable[[int, int], None] | None,
) -> None:
    best = course.path / "best.safetensors"
    if not best.is_file():
        seen.note = "No weights have been measured yet." if not course.evaluations else f"There is no {best.name}."
        return
    if seen.measured is None and not measure:
        return
    model = zoo.load(best)
    dataset = _dataset(course, model, data, root)
    if measure and (data is not None or seen.measured is None):
        seen.measured = _measure(course, model, dataset, progress)
    if seen.measured is not None:
        seen.pictures = show(model, dataset, seen.measured.pictures, each)


def _dataset(course: Course, model: "SegmentationModel", data: str | None, root: str | None) -> "SegmentationDataset":
    from zoo.data.catalog import open_dataset
    from zoo.training.recipe import build

    table = build(course.recipe, source=str(course.path / "recipe.toml")).data
    return open_dataset(
        data or table.name,
        table.val,
        channels=model.config.in_channels,
        values=table.values or None,
        root=root or (table.root if data is None else None),
    )


def _measure(
    course: Course,
    model: "SegmentationModel",
    dataset: "SegmentationDataset",
    progress: Callable[[int, int], None] | None,
) -> Measured:
    from zoo.evaluation.evaluate import evaluate
    from zoo.evaluation.pictures import PictureScores

    scores = PictureScores(model.config.num_classes)
    metrics = evaluate(model, dataset, progress=progress, observers=[scores])
    step = course.best.get("step", course.step)
    return Measured(step, dataset.split, metrics, tuple(model.config.palette), tuple(scores.scores()))


def _state(course: Course) -> str:
    total = f" of {course.steps:,}" if course.steps else ""
    state = (
        f"Finished after {course.step:,} steps." if course.finished else f"Not finished: step {course.step:,}{total}."
    )
    opening = course.opening
    split = course.recipe.get("data", {})
    told = [
        f"{opening[key]:,} {what}"
        for key, what in (("train_images", "pictures to learn from"), ("val_images", "to measure on"))
        if isinstance(opening.get(key), int)
    ]
    names = ", ".join(str(split[key]) for key in ("train", "val") if key in split) if isinstance(split, dict) else ""
    absent = opening.get("absent") or []
    missing = f" No training mask holds {', '.join(map(str, absent))}." if absent else ""
    where = f" (splits {names})" if names else ""
    pictures = f" {', '.join(told)}{where}." if told else ""
    why = f"\n<p><b>Stopped:</b> {escape(course.stopped)}</p>" if course.stopped else ""
    return f'<p class="soft">{escape(state + pictures + missing)}</p>{why}'


def _figures(course: Course, seen: Seen) -> str:
    best = course.best
    measured = seen.measured.metrics.to_json() if seen.measured else {}
    numbers = {key: number(best.get(key, measured.get(key))) for key in ("miou", "pixel_acc", "mean_acc", "fw_iou")}
    shown = [
        figure(f"{percent(numbers['miou'])} %", f"best mean IoU, step {best.get('step', '–')}"),
        figure(f"{percent(numbers['pixel_acc'])} %", "pixel accuracy"),
        figure(f"{percent(numbers['mean_acc'])} %", "mean accuracy"),
        figure(f"{percent(numbers['fw_iou'])} %", "frequency-weighted IoU"),
    ]
    if seen.measured:
        shown.append(figure(f"{percent(seen.measured.metrics.mean_dice)} %", "mean Dice"))
    parameters = number(course.opening.get("parameters"))
    if parameters is not None:
        shown.append(figure(f"{parameters / 1e6:.1f} M" if parameters >= 1e6 else f"{parameters:,.0f}", "parameters"))
    shown.append(figure(sections.duration(course.seconds), "in all"))
    return f'<div class="facts">{"".join(shown)}</div>'


def _classes(course: Course, seen: Seen) -> str:
    palette: tuple[Color, ...] = ()
    if seen.measured is not None:
        iou, palette = seen.measured.metrics.iou, seen.measured.palette
    else:
        given = course.best.get("iou")
        iou = {str(name): number(value) for name, value in given.items()} if isinstance(given, dict) else {}
    if not iou:
        return ""
    return f"<h2>Every class</h2>\n{sections.classes(iou, palette, seen.measured.metrics if seen.measured else None)}"


def _pictures(seen: Seen) -> str:
    note = f'<p class="soft">{escape(seen.note)}</p>' if seen.note else ""
    if not seen.pictures or seen.measured is None:
        return f"<h2>Pictures</h2>\n{note}" if note else ""
    palette = seen.measured.palette
    names = list(seen.measured.metrics.iou)
    colors = class_colors(palette, len(names))
    chips = "".join(chip(*entry) for entry in (*zip(names, colors, strict=True), ("no label", VOID)))
    shown = f'<div class="chips">{chips}</div>\n{gallery(seen.pictures, colors)}'
    words = (
        f"From the split {seen.measured.split!r}, by the mean IoU within the picture. In the last column wrong pixels "
        "are red; grey pixels have no label."
    )
    return f'<h2>Best, median and worst pictures</h2>\n<p class="small soft">{escape(words)}</p>\n{shown}{note}'


def _commands(course: Course) -> str:
    run = str(course.path)
    repeat = course.command("train", "--recipe", f"{run}/recipe.toml", "--out", f"{run}-again")
    shown = [("To repeat it, with every setting above", repeat)]
    if not course.finished:
        shown.append(("To continue it", course.command("train", "--out", run, "--resume")))
    shown.append(("To use it", course.command("predict", f"{run}/best.safetensors", "PICTURE", "--out", "FOLDER")))
    lines = "\n".join(f'<p class="small soft">{what}</p>{command(text)}' for what, text in shown)
    return f"<h2>Commands</h2>\n{lines}"


def _times(course: Course) -> list[tuple[str, str]]:
    rate, memory = course.images_per_second, number(course.last("end", "peak_memory"))
    rows = [
        ("Whole run", sections.duration(course.seconds)),
        ("Steps", sections.duration(course.training_seconds)),
        (f"{len(course.evaluations)} evaluations", sections.duration(course.evaluation_seconds)),
        ("Throughput", "–" if rate is None else f"{rate:.1f} images/s"),
    ]
    if memory is not None:
        rows.append(("Peak memory", f"{memory / 1e9:.2f} GB"))
    if course.resumed:
        rows.append(("Resumed", "once" if course.resumed == 1 else f"{course.resumed} times"))
    return rows


def _environment(course: Course) -> list[tuple[str, str]]:
    opening = course.opening
    rows: list[tuple[str, Any]] = [(key, opening[key]) for key in ("zoo", "torch", "python") if key in opening]
    more = opening.get("environment")
    rows += list(more.items()) if isinstance(more, dict) else []
    rows += [(key, opening[key]) for key in ("device", "threads") if key in opening]
    return [(str(key), str(value)) for key, value in rows]
