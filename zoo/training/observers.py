"""What a run measures on the way, besides its metrics: the validation loss, and mIoU on what it learns from."""

from collections.abc import Callable
from math import isfinite, isnan, isqrt

import torch
from torch import Tensor

from zoo.evaluation.confusion import ConfusionMatrix
from zoo.evaluation.metrics import Metrics
from zoo.training.loss import Criterion

_ENOUGH = 4096  # pixels of a picture, for an estimate of how a run fares
_WIDEST = 4


def every(height: int, width: int) -> int:
    """At how many pixels in each direction to look at one, so that it costs next to nothing: at most four."""
    return max(1, min(_WIDEST, isqrt(height * width // _ENOUGH)))


class ValidationLoss:
    """The loss over a whole split; an `Observer` for `evaluate`.

    It is the criterion of the training on the main output, so without auxiliary losses. Of large pictures it takes a
    pixel of every few, as `every` says. Batches are weighted by these pixels, as far as they are labelled:
    cross-entropy without class weights comes out as the mean over them all. Where it is a sum over the pixels of a
    picture, it comes out as about the mean of these sums over the pictures of the split.

    Args:
        criterion: That of the training.
    """

    def __init__(self, criterion: Criterion) -> None:
        self._criterion = criterion
        self._total: Tensor | None = None  # (sum of loss · weight, sum of weights), on the device

    def __call__(self, logits: Tensor, prediction: Tensor, target: Tensor) -> None:
        loss, weight = self._criterion.estimate(logits, target, every(*target.shape[1:]))
        part = torch.stack([loss.detach().float() * weight, weight.float()])
        self._total = part if self._total is None else self._total + part

    def value(self, add: Callable[[Tensor], Tensor] | None = None) -> float | None:
        """The loss; None where nothing was measured, or it is not finite. `add` sums over processes."""
        own = torch.zeros(2) if self._total is None else self._total.cpu()
        total, weight = (own if add is None else add(own)).tolist()
        return total / weight if weight and isfinite(total) else None


class TrainScore:
    """mIoU on the training batches themselves, as they are learned from.

    It is counted like the training loss: over the batches since it was last asked, augmented, with dropout, and with
    the weights that each of them met. Of large pictures it takes a pixel of every few, as `every` says.

    Args:
        num_classes: K.
        add: Sums a vector of integers over the processes of a run.
    """

    def __init__(self, num_classes: int, add: Callable[[Tensor], Tensor] | None = None) -> None:
        self._matrix = ConfusionMatrix(num_classes)
        self._add = add

    @torch.no_grad()
    def update(self, logits: Tensor, target: Tensor) -> None:
        """Count a batch: logits (N, K, H, W), labels (N, H, W)."""
        step = every(*target.shape[1:])
        few = logits.detach()[:, :, ::step, ::step]
        self._matrix.update(few.max(1).indices, target[:, ::step, ::step])

    def take(self) -> float | None:
        """The mIoU since this was last asked; None where no pixel was labelled."""
        matrix, self._matrix = self._whole(), ConfusionMatrix(self._matrix.num_classes)
        miou = Metrics.from_confusion(matrix).miou
        return None if isnan(miou) else miou

    def counts(self) -> Tensor:
        """What has been counted since this was last asked: (K, K) int64, for the state of a run."""
        return self._whole().counts.clone()

    def restore(self, counts: Tensor) -> None:
        """Go on from `counts`."""
        self._matrix = ConfusionMatrix.from_counts(counts)

    def _whole(self) -> ConfusionMatrix:
        return self._matrix if self._add is None else self._matrix.merged(self._add)
