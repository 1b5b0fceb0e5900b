"""Pictures for a record: photograph, prediction and truth side by side."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from zoo.config import IGNORE, Color
from zoo.data.dataset import SegmentationDataset
from zoo.html.pictures import Array, reduced
from zoo.inference.painting import paint
from zoo.labels import class_colors, class_names

if TYPE_CHECKING:
    from zoo.model import SegmentationModel

COUNT = 3
_SIDE = 480  # pixels of the longer side; more only makes the page heavy
_GAP = 6
_ALPHA = 0.65


@dataclass(frozen=True)
class Sample:
    """One picture of a data set.

    Attributes:
        label: What it is called.
        photo: (H, W, 3).
        prediction: The photograph with the predicted classes painted over it.
        truth: The same with the true ones.
    """

    label: str
    photo: Array
    prediction: Array
    truth: Array


def samples(model: "SegmentationModel", dataset: SegmentationDataset, count: int = COUNT) -> list[Sample]:
    """Predict some pictures, spread evenly over a data set.

    Raises:
        DataError: A picture or its mask cannot be read.
    """
    total = len(dataset)
    chosen = sorted({(2 * number + 1) * total // (2 * count) for number in range(count)}) if total else []
    return [_sample(model, dataset, index) for index in chosen]


def _sample(model: "SegmentationModel", dataset: SegmentationDataset, index: int) -> Sample:
    image, mask = dataset[index]
    prediction = model.predict(image)
    truth = mask.numpy()
    colors = _colors_by_name(prediction.classes, prediction.palette, dataset)
    known = np.where((truth >= 0) & (truth < len(colors)) & (truth != IGNORE), truth, len(colors))
    shown = paint(prediction.photo, known, (*colors, (0, 0, 0)), _ALPHA)
    painted = paint(prediction.photo, prediction.labels, prediction.palette, _ALPHA)
    return Sample(dataset.label(index), *(reduced(one, _SIDE) for one in (prediction.photo, painted, shown)))


def _colors_by_name(names: tuple[str, ...], palette: tuple[Color, ...], dataset: SegmentationDataset) -> list[Color]:
    """The model's colours in the data's order: one class is one colour in both."""
    own = dict(zip(names, palette, strict=True))
    theirs = class_names(dataset.classes, dataset.num_classes)
    if own.keys() != set(theirs):
        return list(class_colors(dataset.palette, dataset.num_classes))
    return [own[name] for name in theirs]


def sheet(rows: list[Sample]) -> Array:
    """All of them on one picture, a row each: photograph, prediction, truth; (H, W, 3)."""
    strips = []
    for row in rows:
        gap = np.full((row.photo.shape[0], _GAP, 3), 255, np.uint8)
        strips.append(np.concatenate([row.photo, gap, row.prediction, gap, row.truth], axis=1))
    width = max(strip.shape[1] for strip in strips)
    parts: list[Array] = []
    for strip in strips:
        if parts:
            parts.append(np.full((_GAP, width, 3), 255, np.uint8))
        parts.append(np.pad(strip, ((0, 0), (0, width - strip.shape[1]), (0, 0)), constant_values=255))
    return np.concatenate(parts)
