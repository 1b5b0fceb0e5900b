"""The confusion matrix: exact counts, from which every metric follows."""

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from zoo.config import IGNORE


class ConfusionMatrix:
    """Counts n[i, j], the pixels of true class i that were predicted as j.

    Counting happens on the device of the labels; the counts themselves stay on the CPU and are exact.

    Attributes:
        counts: (K, K) int64, row: true class, column: predicted class.
    """

    def __init__(self, num_classes: int) -> None:
        if num_classes < 1:
            raise ValueError(f"a confusion matrix needs at least one class, got {num_classes}")
        self.counts = torch.zeros(num_classes, num_classes, dtype=torch.int64)

    @property
    def num_classes(self) -> int:
        return self.counts.shape[0]

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Count the pixels of one or several pictures.

        Args:
            prediction: Integer labels in [0, K), any shape.
            target: Integer labels of the same shape. `IGNORE` and whatever lies outside [0, K) is not counted.

        Raises:
            ValueError: The shapes differ, or a prediction is not a class.
        """
        if prediction.shape != target.shape:
            raise ValueError(f"prediction is {tuple(prediction.shape)}, target is {tuple(target.shape)}")
        if prediction.numel() == 0:
            return
        classes = self.num_classes
        low, high = (int(bound) for bound in prediction.aminmax())
        if low < 0 or high >= classes:
            raise ValueError(f"predictions lie in {low}…{high}, expected 0…{classes - 1}")
        target = target.to(prediction.device, torch.int64)
        dropped = (target < 0) | (target >= classes)
        if classes > IGNORE:
            dropped |= target == IGNORE
        row = torch.where(dropped, classes, target)  # one row more than there are classes takes what is dropped
        cells = torch.bincount(row.mul_(classes).add_(prediction).flatten(), minlength=classes * (classes + 1))
        self.counts += cells[: classes * classes].view(classes, classes).cpu()

    def __add__(self, other: Self) -> Self:
        """The matrix of both: pictures may be counted in parts, in any order, on any machine."""
        if not isinstance(other, ConfusionMatrix):
            return NotImplemented
        if other.num_classes != self.num_classes:
            raise ValueError(f"cannot add matrices of {self.num_classes} and {other.num_classes} classes")
        total = type(self)(self.num_classes)
        total.counts = self.counts + other.counts
        return total

    def with_rows(self, order: Sequence[int]) -> Self:
        """The matrix whose row ``order[i]`` is this one's row i; rows that `order` does not reach must be empty.

        This is how a target is renumbered after counting.
        """
        renumbered = type(self)(self.num_classes)
        renumbered.counts[list(order)] = self.counts[: len(order)]
        if renumbered.total != self.total:
            raise ValueError(f"pixels of classes beyond the {len(order)} renumbered ones were counted")
        return renumbered

    @property
    def total(self) -> int:
        """How many pixels were counted."""
        return int(self.counts.sum())

    @property
    def correct(self) -> Tensor:
        """(K,) int64: pixels of each class that were found."""
        return self.counts.diagonal()

    @property
    def true(self) -> Tensor:
        """(K,) int64: pixels that belong to each class."""
        return self.counts.sum(1)

    @property
    def predicted(self) -> Tensor:
        """(K,) int64: pixels that were taken for each class."""
        return self.counts.sum(0)

    def __repr__(self) -> str:
        return f"ConfusionMatrix({self.num_classes} classes, {self.total} pixels)"
