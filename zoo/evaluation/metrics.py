"""The four numbers of semantic segmentation, and what there is to say of every class."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isnan, nan
from typing import Any, Self

from torch import Tensor

from zoo.evaluation.confusion import ConfusionMatrix
from zoo.labels import class_names


@dataclass(frozen=True)
class Metrics:
    """What a confusion matrix says, as fractions in 0…1.

    With n_ij pixels of class i predicted as j, t_i = Σ_j n_ij and u_i = t_i + Σ_j n_ji - n_ii (Long, Shelhamer
    and Darrell 2015, section 5). A class for which a quotient is 0/0 (it is neither there nor predicted) has
    no value and does not enter the mean. Where not a single pixel was counted the four numbers are NaN.

    Attributes:
        miou: Mean over the classes of n_ii / u_i.
        pixel_acc: Σ n_ii / Σ t_i.
        mean_acc: Mean over the classes of n_ii / t_i.
        fw_iou: Σ t_i · (n_ii / u_i) / Σ t_i.
        iou: Class name → n_ii / u_i, or None.
        acc: Class name → n_ii / t_i, or None. It is also called recall.
        precision: Class name → n_ii / Σ_j n_ji, or None.
        dice: Class name → 2 n_ii / (t_i + Σ_j n_ji), or None. It is also called F1.
        confusion: The counts behind it.
    """

    miou: float
    pixel_acc: float
    mean_acc: float
    fw_iou: float
    iou: dict[str, float | None]
    acc: dict[str, float | None] = field(repr=False)
    precision: dict[str, float | None] = field(repr=False)
    dice: dict[str, float | None] = field(repr=False)
    confusion: ConfusionMatrix = field(repr=False, compare=False)

    @classmethod
    def from_confusion(cls, matrix: ConfusionMatrix, classes: Sequence[str] = ()) -> Self:
        """Compute them; `classes` are the names in label order, ``"class 0"`` … where there are none."""
        names = class_names(classes, matrix.num_classes)
        correct, true, predicted = matrix.correct, matrix.true, matrix.predicted
        iou = _divide(correct, true + predicted - correct)
        acc = _divide(correct, true)
        total = matrix.total
        weighted = sum(int(pixels) * value for pixels, value in zip(true, iou, strict=True) if value is not None)
        return cls(
            miou=_mean(iou),
            pixel_acc=int(correct.sum()) / total if total else nan,
            mean_acc=_mean(acc),
            fw_iou=weighted / total if total else nan,
            iou=dict(zip(names, iou, strict=True)),
            acc=dict(zip(names, acc, strict=True)),
            precision=dict(zip(names, _divide(correct, predicted), strict=True)),
            dice=dict(zip(names, _divide(2 * correct, true + predicted), strict=True)),
            confusion=matrix,
        )

    @property
    def mean_dice(self) -> float:
        """Mean Dice over the classes that have one; NaN where none has."""
        return _mean(list(self.dice.values()))

    @property
    def absent(self) -> tuple[str, ...]:
        """The classes that are neither there nor predicted, and so have no IoU."""
        return tuple(name for name, value in self.iou.items() if value is None)

    def every_class(self) -> dict[str, Any]:
        """Dice, precision and recall of every class, and the mean Dice, as JSON."""
        mean = self.mean_dice
        return {
            "mean_dice": None if isnan(mean) else mean,
            "dice": dict(self.dice),
            "precision": dict(self.precision),
            "recall": dict(self.acc),
        }

    def to_json(self) -> dict[str, Any]:
        """The numbers without the matrix; None stands for "no value", as JSON has no NaN."""
        numbers = {"miou": self.miou, "pixel_acc": self.pixel_acc, "mean_acc": self.mean_acc, "fw_iou": self.fw_iou}
        return {**{key: None if isnan(value) else value for key, value in numbers.items()}, "iou": dict(self.iou)}


def _divide(over: Tensor, under: Tensor) -> list[float | None]:
    pairs = zip(over.tolist(), under.tolist(), strict=True)
    return [numerator / denominator if denominator else None for numerator, denominator in pairs]


def _mean(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else nan
