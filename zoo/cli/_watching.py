"""Watching a run: a live display on a terminal, plain lines elsewhere."""

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console, Group

    from zoo.config import Color
    from zoo.training.log import Record, Report

_PAUSE = 10.0  # seconds between two plain lines of training, so that a long run leaves a short log
_MOST_BARS = 24


@contextmanager
def watching(*, err: bool = False, palette: "Mapping[str, Color] | None" = None) -> Iterator["Report"]:
    """Yield a function for `train(report=…)`.

    Args:
        err: Write to standard error, where standard output carries a result.
        palette: Class name → colour, for the bars of the live display.
    """
    stream = sys.stderr if err else sys.stdout
    if not stream.isatty():
        yield _Lines(err)
        return
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=err, highlight=False, markup=False)
    display = _Display(console, palette or {})
    with Live(console=console, get_renderable=display.render, refresh_per_second=4, transient=True):
        yield display


def opening(record: "Record") -> str:
    """One line on what is trained on what."""
    frozen = record["parameters"] - record["trained_parameters"]
    crop = record["crop"] if isinstance(record["crop"], str) else f"{record['crop'][1]}×{record['crop'][0]}"
    count = record["threads"]
    threads = f", {count} thread{'s' if count > 1 else ''}" if record["device"] == "cpu" else ""
    threads += f", {record['processes']} processes" if "processes" in record else ""
    return (
        f"{record['model']} on {record['data']}: {record['parameters'] / 1e6:.1f} M parameters"
        f"{f' ({frozen:,} frozen)' if frozen else ''}, {record['classes']} classes, "
        f"{record['train_images']} + {record['val_images']} pictures, "
        f"{record['steps']} steps of {record['batch_size']} at {crop}, {record['device']}{threads}"
    )


def notes(record: "Record") -> list[str]:
    """What should be known before the first step."""
    found = []
    if record["kind"] == "resume":
        found.append(f"resumed after step {record['step']}")
    if record["absent"]:
        found.append(f"note: no training mask holds {', '.join(record['absent'])}; the model cannot learn it")
    return found


def evaluation(record: "Record") -> str:
    """One line on an evaluation."""
    loss, learned = record.get("val_loss"), record.get("train_miou")
    return (
        f"step {record['step']}: mIoU {percent(record['miou'])}, pixel accuracy {percent(record['pixel_acc'])}"
        f"{'' if loss is None else f', loss {loss:.4f}'}"
        f"{'' if learned is None else f' (training mIoU {percent(learned)})'}"
        f"{', best so far' if record['best'] else ''}"
    )


def remaining(steps: int, batch_size: int, rate: float | None) -> str:
    """About how long some steps take at this many images per second, evaluations left out; empty where unknown."""
    if not rate or steps <= 0:
        return ""
    minutes = steps * batch_size / rate / 60
    return "< 1 min" if minutes < 1 else f"{minutes:.0f} min" if minutes < 100 else f"{minutes / 60:.1f} h"


def stage(record: "Record") -> str:
    """The heading of a stage."""
    return f"stage {record['name']} ({record['number']} of {record['of']})"


def percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}".replace("%", " %")


class _Lines:
    """Plain lines."""

    def __init__(self, err: bool) -> None:
        self._err = err
        self._spoken = time.monotonic()
        self._steps = self._size = 0

    def __call__(self, record: "Record") -> None:
        match record["kind"]:
            case "start" | "resume":
                self._steps, self._size = record["steps"], record["batch_size"]
                for line in (opening(record), *notes(record)):
                    click.echo(line, err=self._err)
            case "stage":
                click.echo(stage(record), err=self._err)
            case "train" if time.monotonic() - self._spoken >= _PAUSE:
                self._spoken = time.monotonic()
                left = remaining(self._steps - record["step"], self._size, record["images_per_second"])
                click.echo(
                    f"step {record['step']}/{self._steps}: loss {record['loss']:.4f}, lr {record['lr']:.2e}, "
                    f"{record['images_per_second']:.1f} images/s{f', {left} left' if left else ''}",
                    err=self._err,
                )
            case "eval":
                self._spoken = time.monotonic()
                click.echo(evaluation(record), err=self._err)
            case "warning":
                click.echo(f"Warning: {record['text']}", err=True)
            case "stopping":  # inside a signal handler: a buffered write could meet itself
                os.write(2, b"stopping after this step ...\n")


class _Display:
    """Bars of the last evaluation's classes over one line of progress. Calling it only notes what is new."""

    def __init__(self, console: "Console", palette: "Mapping[str, Color]") -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._console = console
        self._palette = palette
        self._iou: dict[str, float | None] = {}
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[numbers]}"),
            TimeRemainingColumn(),
            console=console,
        )
        self._task = self._bar.add_task("training", total=None, numbers="")
        self._loss: float | None = None
        self._rate = self._score = ""
        self._stopping = False

    def render(self) -> "Group":
        from rich.console import Group

        return Group(*([self._bars()] if self._iou else []), self._bar)

    def __call__(self, record: "Record") -> None:
        match record["kind"]:
            case "start" | "resume":
                self._bar.update(self._task, total=record["steps"], completed=record["step"])
                for line in (opening(record), *notes(record)):
                    self._console.print(line)
            case "stage":
                self._console.print(stage(record))
            case "step":
                loss = record["loss"]
                self._loss = loss if self._loss is None else 0.9 * self._loss + 0.1 * loss
                numbers = f"loss {self._loss:.3f}{self._score}  lr {record['lr']:.1e}{self._rate}"
                self._show("training", completed=record["step"], numbers=numbers)
            case "train":
                self._rate = f"  {record['images_per_second']:.1f} images/s"
            case "evaluating":
                self._show(f"evaluating {record['done']}/{record['total']}")
            case "eval":
                self._iou = record["iou"]
                self._score = f"  mIoU {percent(record['miou'])}"
                self._console.print(evaluation(record))
            case "warning":
                self._console.print(f"Warning: {record['text']}")
            case "stopping":
                self._stopping = True
                self._show("stopping")

    def _show(self, what: str, **changes: Any) -> None:
        self._bar.update(self._task, description="stopping" if self._stopping else what, **changes)

    def _bars(self) -> Any:
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        table = Table.grid(padding=(0, 1))
        shown = list(self._iou.items())[:_MOST_BARS]
        half = -(-len(shown) // 2)
        for first, second in zip(shown[:half], [*shown[half:], None], strict=False):
            cells: list[Any] = []
            for entry in (first, second):
                if entry is None:
                    continue
                name, value = entry
                red, green, blue = self._palette.get(name, (120, 170, 220))
                style = f"rgb({red},{green},{blue})"
                bar = ProgressBar(total=1, completed=value or 0, width=16, complete_style=style, finished_style=style)
                cells += [name, bar, percent(value).rjust(7)]
            table.add_row(*cells)
        return table
