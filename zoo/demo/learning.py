"""Training a small model on generated scenes, from nothing to pictures in about three minutes on two cores."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zoo
from zoo.data.catalog import open_dataset
from zoo.evaluation.evaluate import evaluate
from zoo.files import atomic_path
from zoo.training import recipe as recipes
from zoo.training.loop import train
from zoo.training.sheet import contact_sheet

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


@dataclass(frozen=True)
class Learnt:
    """What came out.

    Attributes:
        metrics: On scenes that it never saw.
        checkpoint: The best weights.
        pictures: The folder of predictions.
        sheet: All of them on one picture.
    """

    metrics: "Metrics"
    checkpoint: Path
    pictures: Path
    sheet: Path


def learn(out: Path, *, steps: int | None = None, report: Callable[..., None] | None = None) -> Learnt:
    """Train, load what was written as anybody would, measure it, predict pictures.

    Args:
        out: The folder for everything.
        steps: Shorter or longer than three minutes.
        report: Watches the training, as `zoo.training.loop.train` tells it.

    Raises:
        RunError: `out` holds a run already.
    """
    run = {**SETTINGS["run"], **({} if steps is None else {"steps": steps})}
    recipe = recipes.build({**SETTINGS, "run": run}, source="demo")
    run_folder, pictures, sheet = out / "run", out / "pictures", out / "contact_sheet.png"
    train(recipe, run_folder, report=report)
    best = run_folder / "best.safetensors"
    model = zoo.load(best)
    val = open_dataset(recipe.data.name, recipe.data.val)
    metrics = evaluate(model, val, batch_size=16)
    _predict(model, val, pictures, sheet)
    return Learnt(metrics, best, pictures, sheet)


def _predict(model: "SegmentationModel", dataset: "SegmentationDataset", folder: Path, sheet: Path) -> None:
    """Predict the first pictures of a data set; write each with its label map and overlay, and all onto one sheet."""
    from PIL import Image

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
