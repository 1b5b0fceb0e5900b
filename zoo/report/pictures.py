"""The best, the median and the worst pictures of a split: image, truth, prediction, error."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zoo.config import IGNORE, Color
from zoo.data.dataset import SegmentationDataset
from zoo.errors import DataError
from zoo.evaluation.matching import match_classes
from zoo.html.pictures import VOID, Array, image, jpeg, label_png, reduced, reduced_labels

if TYPE_CHECKING:
    from zoo.model import SegmentationModel

_SIDE = 360
_WRONG = (214, 32, 48)
_HEADINGS = ("Image", "Truth", "Prediction", "Error")

Labels = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Shown:
    """One picture of a split.

    Attributes:
        title: Why it is shown.
        label: What it is called.
        score: Its own mean IoU.
        photo: (H, W, 3).
        truth: (H, W), `IGNORE` where there is no label.
        prediction: (H, W).
    """

    title: str
    label: str
    score: float
    photo: Array
    truth: Labels
    prediction: Labels


def choose(scores: Sequence[float | None], each: int) -> list[tuple[str, int]]:
    """Why and which: the `each` best, median and worst, none of them twice; fewer where there are not so many."""
    ranked = sorted((index for index, score in enumerate(scores) if score is not None), key=lambda i: -(scores[i] or 0))
    middle = max((len(ranked) - each) // 2, 0)
    groups = (("Best", ranked[:each]), ("Worst", ranked[::-1][:each][::-1]), ("Median", ranked[middle : middle + each]))
    taken: dict[int, str] = {}
    for title, indices in groups:
        for index in indices:
            taken.setdefault(index, title)
    return [(taken[index], index) for index in ranked if index in taken]


def show(
    model: "SegmentationModel", dataset: SegmentationDataset, scores: Sequence[float | None], each: int
) -> list[Shown]:
    """Predict the chosen pictures.

    Raises:
        DataError: The data set has another number of pictures than there are scores, or one cannot be read.
        IncompatibleError: Model and data have different classes.
    """
    if len(dataset) != len(scores):
        raise DataError(f"{dataset.name}/{dataset.split} had {len(scores)} pictures, and has {len(dataset)} now")
    order = match_classes(model.config, dataset.classes, dataset.name).order
    numbers = np.full(max(IGNORE, model.config.num_classes) + 1, IGNORE)
    numbers[: len(order)] = order
    found = []
    for title, index in choose(scores, each):
        picture, mask = dataset[index]
        prediction = model.predict(picture)
        labels = mask.numpy()
        truth = np.where((labels >= 0) & (labels < len(order)), numbers[labels.clip(0, len(numbers) - 1)], IGNORE)
        found.append(
            Shown(
                title,
                dataset.label(index),
                scores[index] or 0.0,
                reduced(prediction.photo, _SIDE),
                reduced_labels(truth, _SIDE),
                reduced_labels(prediction.labels, _SIDE),
            )
        )
    return found


def gallery(rows: Sequence[Shown], palette: Sequence[Color]) -> str:
    """All of them as HTML; the palette has a colour for every class."""
    cells = "".join(f'<div class="head">{what}</div>' for what in _HEADINGS)
    for row in rows:
        what = f"{row.title}: {row.label}"
        cells += f'<div class="row"><b>{escape(row.title)}</b> {escape(row.label)}, mean IoU {row.score:.1%}</div>'
        for heading, data in zip(
            _HEADINGS,
            (
                jpeg(row.photo),
                label_png(row.truth, palette),
                label_png(row.prediction, palette),
                jpeg(error(row.photo, row.truth, row.prediction), drawn=True),
            ),
            strict=True,
        ):
            cells += image(data, f"{what}, {heading.lower()}") + "\n"
    return f'<div class="photos four">{cells}</div>'


def error(photo: Array, truth: Labels, prediction: Labels) -> Array:
    """The photograph, pale; wrong pixels in red, pixels without a label in grey. (H, W, 3)."""
    grey = photo.mean(2, keepdims=True) * 0.4 + 140
    picture = np.repeat(grey, 3, 2)
    wrong = (truth != IGNORE) & (truth != prediction)
    picture[wrong] = 0.25 * picture[wrong] + 0.75 * np.array(_WRONG)
    picture[truth == IGNORE] = VOID
    return picture.clip(0, 255).astype(np.uint8)
