"""``zoo demo``."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from zoo.demo.learning import Learnt
    from zoo.demo.seeing import Shown


@click.command()
@click.option("--out", metavar="DIR", type=click.Path(path_type=Path), help="Where it goes.  [default: zoo-demo]")
@click.option("--train", "training", is_flag=True, help="Train a small model from nothing instead: three minutes.")
@click.option("--steps", type=click.IntRange(min=1), help="Train shorter or longer.", hidden=True)
@click.option("--open", "opening", is_flag=True, help="Open the report in a browser.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as a JSON object; progress goes to stderr.")
def command(out: Path | None, training: bool, steps: int | None, opening: bool, as_json: bool) -> None:
    """See it work: pictures that come with Zoo, segmented with weights that come with Zoo.

    Takes seconds and needs no network. DIR gets a label map and an overlay of every picture, and a page that shows
    them. With --train a small model learns generated scenes instead, is measured, and shows pictures it never saw.
    """
    began = time.perf_counter()
    out = out or _free(Path("zoo-demo"))
    if training or steps is not None:
        _train(out, steps, as_json, began)
        return

    from zoo.demo.seeing import see

    shown = see(out)
    seconds = time.perf_counter() - began
    if as_json:
        pictures = [
            {"picture": one.name, "labels": str(one.labels), "overlay": str(one.overlay), "weights": one.record.name}
            for one in shown.pictures
        ]
        click.echo(json.dumps({"report": str(shown.page), "pictures": pictures, "seconds": round(seconds, 1)}))
    else:
        click.echo(_seen(shown, seconds))
    if opening:
        click.launch(str(shown.page.absolute()))


def _train(out: Path, steps: int | None, as_json: bool, began: float) -> None:
    from zoo.cli._watching import watching
    from zoo.data.shapes import TABLE
    from zoo.demo.learning import learn

    try:
        with watching(err=as_json, palette=dict(zip(TABLE.classes, TABLE.palette, strict=True))) as report:
            learnt = learn(out, steps=steps, report=report)
    except KeyboardInterrupt:
        click.echo(f"Stopped. What there is lies in {out}.", err=True)
        raise SystemExit(130) from None
    seconds = time.perf_counter() - began
    if as_json:
        places = {
            "checkpoint": str(learnt.checkpoint),
            "pictures": str(learnt.pictures),
            "contact_sheet": str(learnt.sheet),
        }
        click.echo(json.dumps({**learnt.metrics.to_json(), **places, "seconds": round(seconds, 1)}))
    else:
        click.echo(_learnt(learnt, seconds))


def _free(path: Path) -> Path:
    """`path`, or the first of path-2, path-3 … that does not exist: a second demo does not replace the first."""
    chosen, number = path, 1
    while chosen.exists():
        number += 1
        chosen = path.with_name(f"{path.name}-{number}")
    return chosen


def _seen(shown: "Shown", seconds: float) -> str:
    from zoo.demo.page import next_commands
    from zoo.hub.publishing.facts import measured_on, percent, table

    lines = []
    for one in shown.pictures:
        area = sorted(one.prediction.area.items(), key=lambda entry: -entry[1])[:4]
        what = ", ".join(f"{name} {share:.0%}" for name, share in area)
        lines.append(f"  {one.overlay}  {what}")
    for name, record in {one.record.name: one.record for one in shown.pictures}.items():
        miou = table(record, "metrics").get("miou")
        number = f", mIoU {percent(miou)} % on {measured_on(record)}" if miou is not None else ""
        lines.append(f"  by {name}{number}")
    following = "\n".join(f"  {line}" for line in next_commands())
    return (
        f"{len(shown.pictures)} pictures segmented, {seconds:.0f} s in all\n" + "\n".join(lines) + "\n"
        f"  look at {shown.page}\nNext:\n{following}"
    )


def _learnt(learnt: "Learnt", seconds: float) -> str:
    import shlex

    from zoo.cli._text import table
    from zoo.cli._watching import percent

    metrics = learnt.metrics
    rows = [(name, percent(value).rjust(7), "█" * round(24 * (value or 0))) for name, value in metrics.iou.items()]
    return (
        f"\n{table(rows)}\n\n"
        f"mIoU {percent(metrics.miou)} on {metrics.confusion.total:,} pixels of pictures it never saw, "
        f"pixel accuracy {percent(metrics.pixel_acc)}; {seconds:.0f} s in all\n"
        f"  look at      {learnt.sheet}\n"
        f"  predictions  {learnt.pictures}\n"
        f"  the model    {learnt.checkpoint}\n"
        f"Next: zoo train fcn8s@resnet18 --data FOLDER --out RUN, or "
        f"zoo predict {shlex.quote(str(learnt.checkpoint))} PICTURE --out FOLDER"
    )
