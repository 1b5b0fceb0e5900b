"""The confusion matrix: exact counts, from which every metric follows."""

from collections.abc import Callable, Sequence
from typing import Self

import torch
from torch import Tensor

from zoo.config import IGNORE


class ConfusionMatrix:
    """Counts n[i, j], the pixels of true class i that were predicted as j. They are exact.

    Counting happens on the device of the labels, and nothing waits for it before the counts are read.
    """

    def __init__(self, num_classes: int) -> None:
        if num_classes < 1:
            raise ValueError(f"a confusion matrix needs at least one class, got {num_classes}")
        # One row more than there are classes takes the pixels that do not count, and one cell more those of which
        # the prediction is no class.
        self._cells = torch.zeros(num_classes * (num_classes + 1) + 1, dtype=torch.int64)
        self._num_classes = num_classes

    @classmethod
    def from_counts(cls, counts: Tensor) -> Self:
        """The matrix with these counts: (K, K), integer, none negative."""
        if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or counts.is_floating_point() or (counts < 0).any():
            raise ValueError(f"no counts of a confusion matrix: {counts.dtype} of shape {tuple(counts.shape)}")
        matrix = cls(len(counts))
        matrix._cells[: counts.numel()] = counts.flatten()
        return matrix

    @property
    def num_classes(self) -> int:
        return self._num_classes

    @property
    def counts(self) -> Tensor:
        """(K, K) int64 on the CPU, row: true class, column: predicted class.

        Raises:
            ValueError: On another device than the CPU, a prediction was not a class.
        """
        return self._rows()[:-1]

    @property
    def ignored(self) -> int:
        """How many pixels were seen and not counted, because their label is no class."""
        return int(self._rows()[-1].sum())

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
        if prediction.device.type == "cpu":  # elsewhere this would wait for the device
            low, high = (int(bound) for bound in prediction.aminmax())
            if low < 0 or high >= classes:
                raise ValueError(f"predictions lie in {low}…{high}, expected 0…{classes - 1}")
        target = target.to(prediction.device, torch.int64, non_blocking=True)
        dropped = (target < 0) | (target >= classes)
        if classes > IGNORE:
            dropped |= target == IGNORE
        cells = torch.where(dropped, classes, target).mul_(classes).add_(prediction)
        if prediction.device.type != "cpu":
            cells.masked_fill_((prediction < 0) | (prediction >= classes), classes * (classes + 1))
        counted = histogram(cells.flatten(), self._cells.numel())
        self._cells = self._cells.to(counted.device, non_blocking=True) + counted

    def __add__(self, other: Self) -> Self:
        """The matrix of both: pictures may be counted in parts, in any order, on any machine."""
        if not isinstance(other, ConfusionMatrix):
            return NotImplemented
        if other.num_classes != self.num_classes:
            raise ValueError(f"cannot add matrices of {self.num_classes} and {other.num_classes} classes")
        total = type(self)(self.num_classes)
        total._cells = self._cells.cpu() + other._cells.cpu()
        return total

    def merged(self, add: Callable[[Tensor], Tensor]) -> Self:
        """The matrix of several processes; `add` sums a vector of integers over all of them."""
        total = type(self)(self.num_classes)
        total._cells = add(self._cells.cpu())
        return total

    def with_rows(self, order: Sequence[int]) -> Self:
        """The matrix whose row ``order[i]`` is this one's row i; rows that `order` does not reach must be empty.

        This is how a target is renumbered after counting.
        """
        renumbered = type(self)(self.num_classes)
        rows = self._rows()
        moved = torch.zeros_like(rows)
        moved[list(order)] = rows[: len(order)]
        moved[-1] = rows[-1]
        renumbered._cells[:-1] = moved.flatten()
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

    def _rows(self) -> Tensor:
        """(K + 1, K) on the CPU; the last row is of the pixels that do not count."""
        self._cells = self._cells.cpu()
        strange = int(self._cells[-1])
        if strange:
            raise ValueError(f"{strange} predictions lie outside 0…{self.num_classes - 1}")
        return self._cells[:-1].view(self.num_classes + 1, self.num_classes)

    def __repr__(self) -> str:
        return f"ConfusionMatrix({self.num_classes} classes, {self.total} pixels)"


def histogram(values: Tensor, bins: int) -> Tensor:
    """How often each integer in [0, bins) occurs: (bins,) int64, exact, and without waiting for the device."""
    if values.device.type == "cuda":  # bincount looks for the largest value first, and waits for it
        return values.histc(bins, 0, bins)
    return values.bincount(minlength=bins)
