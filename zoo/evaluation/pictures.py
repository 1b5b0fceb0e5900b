"""How good a model is on each picture by itself: to find those worth looking at."""

import torch
from torch import Tensor

from zoo.evaluation.confusion import histogram


class PictureScores:
    """The mean IoU within every picture, over the classes that are there or predicted; an `Observer` for `evaluate`.

    Such scores say which pictures are easy and which are hard. Their mean is not the mIoU of the set.

    Args:
        num_classes: K.
    """

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes
        self._scores: list[Tensor] = []

    def __call__(self, logits: Tensor, prediction: Tensor, target: Tensor) -> None:
        """Measure a batch: labels (N, H, W) in [0, K); pixels whose target is none of them do not count."""
        classes, pictures = self.num_classes, len(target)
        row = torch.where((target >= 0) & (target < classes), target, classes)  # a row more, for what does not count
        row += torch.arange(pictures, device=target.device).view(-1, 1, 1) * (classes + 1)
        cells = row.mul_(classes).add_(prediction).flatten()
        counts = histogram(cells, pictures * (classes + 1) * classes).view(pictures, classes + 1, classes)[:, :-1]
        both = counts.diagonal(dim1=1, dim2=2)
        union = counts.sum(2) + counts.sum(1) - both
        there = (union > 0).sum(1)
        iou = (both / union.clamp(min=1)).sum(1)
        self._scores.append(torch.where(there > 0, iou / there.clamp(min=1), torch.nan))

    def scores(self) -> list[float | None]:
        """One score in 0…1 for every picture, in order; None where no pixel is labelled."""
        values = torch.cat(self._scores).tolist() if self._scores else []
        return [None if value != value else value for value in values]
