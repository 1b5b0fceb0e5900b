"""``zoo demo``."""

import json
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from zoo.data.dataset import SegmentationDataset
    from zoo.evaluation.metrics import Metrics
    from zoo.model import SegmentationModel

SETTINGS: dict[str, dict[str, Any]] = {
    "model": {"name": "fcn8s@resnet10t"},
    "data": {"name": "shapes", "batch_size": 8, "scale": [1.0, 1.0], "jitter": 0.0},
    "optim": {"lr": 2e-3},
    "run": {"steps": 900, "eval_every": 150},
}
"""Chosen for two cores: what gets furthest in two and a half minutes from random weights."""

_PICTURES = 16


@click.command()
@click.option("--out", metavar="DIR", type=click.Path(path_type=Path), help="Where it goes.  [default: zoo-demo]")
@click.option("--steps", type=click.IntRange(min=1), help="Train shorter or longer.", hidden=True)
@click.option("--json", "as_json", is_flag=True, help="Print the result as a JSON object; progress goes to stderr.")
def command(out: Path | None, steps: int | None, as_json: bool) -> None:
    """See it work: train a small model from nothing, measure it, look at what it sees.

    Takes about three minutes on two cores and needs no network: the pictures (scenes of overlapping, textured shapes)
    are drawn on the spot. DIR gets the run, predictions of pictures it never saw, and a contact sheet of them.
    """
    began = time.perf_counter()
    out = out or _free(Path("zoo-demo"))

    import zoo
    from zoo.cli._watching import watching
    from zoo.data.catalog import open_dataset
    from zoo.data.shapes import TABLE
    from zoo.evaluation.evaluate import evaluate
    from zoo.training import recipe as recipes
    from zoo.training.loop import train

    run = {**SETTINGS["run"], **({} if steps is None else {"steps": steps})}
    recipe = recipes.build({**SETTINGS, "run": run}, source="demo")
    run_folder, pictures, sheet = out / "run", out / "pictures", out / "contact_sheet.png"
    try:
        with watching(err=as_json, palette=dict(zip(TABLE.classes, TABLE.palette, strict=True))) as report:
            train(recipe, run_folder, report=report)
    except KeyboardInterrupt:
        click.echo(f"Stopped. What there is lies in {out}.", err=True)
        raise SystemExit(130) from None
    best = run_folder / "best.safetensors"
    model = zoo.load(best)  # from the file alone, as anybody would
    val = open_dataset(recipe.data.name, recipe.data.val)
    metrics = evaluate(model, val, batch_size=16)
    _predict(model, val, pictures, sheet)
    seconds = time.perf_counter() - began
    if as_json:
        places = {"checkpoint": str(best), "pictures": str(pictures), "contact_sheet": str(sheet)}
        click.echo(json.dumps({**metrics.to_json(), **places, "seconds": round(seconds, 1)}))
    else:
        click.echo(_summary(metrics, best, pictures, sheet, seconds))


def _free(path: Path) -> Path:
    """`path`, or the first of path-2, path-3 … that does not exist: a second demo does not replace the first."""
    chosen, number = path, 1
    while chosen.exists():
        number += 1
        chosen = path.with_name(f"{path.name}-{number}")
    return chosen


def _predict(model: "SegmentationModel", dataset: "SegmentationDataset", folder: Path, sheet: Path) -> None:
    """Predict the first pictures of a data set; write each with its label map and overlay, and all onto one sheet."""
    from PIL import Image

    from zoo.files import atomic_path
    from zoo.training.sheet import contact_sheet

    folder.mkdir(parents=True, exist_ok=True)
    triples = []
    for index in range(min(_PICTURES, len(dataset))):
        sample = dataset[index]
        prediction = model.predict(sample.image)
        stem = dataset.label(index).replace("/", "_")
        with atomic_path(folder / f"{stem}_image.png") as temporary:
            Image.fromarray(prediction.photo).save(temporary)
        prediction.save(folder / f"{stem}.png", overlay=True)
        triples.append((prediction.photo, sample.mask.numpy(), prediction.labels))
    with atomic_path(sheet) as temporary:
        contact_sheet(triples, dataset.classes, dataset.palette).save(temporary)


def _summary(metrics: "Metrics", best: Path, pictures: Path, sheet: Path, seconds: float) -> str:
    from zoo.cli._text import table
    from zoo.cli._watching import percent

    rows = [(name, percent(value).rjust(7), "█" * round(24 * (value or 0))) for name, value in metrics.iou.items()]
    return (
        f"\n{table(rows)}\n\n"
        f"mIoU {percent(metrics.miou)} on {metrics.confusion.total:,} pixels of pictures it never saw, "
        f"pixel accuracy {percent(metrics.pixel_acc)}; {seconds:.0f} s in all\n"
        f"  look at      {sheet}\n"
        f"  predictions  {pictures}\n"
        f"  the model    {best}\n"
        f"Next: zoo train fcn8s@resnet18 --data FOLDER --out RUN, or "
        f"zoo predict {shlex.quote(str(best))} PICTURE --out FOLDER"
    )
