"""How well the outlines of the regions are met."""

from collections.abc import Iterable
from math import hypot, isqrt

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.config import IGNORE

TOLERANCE = 0.0075
"""How far apart two outlines may be and still meet, relative to the diagonal of the picture."""


class BoundaryScore:
    """The boundary F-score of every class (Csurka, Larlus and Perronnin 2013), gathered picture by picture.

    A pixel lies on the boundary of its class if one of its four neighbours has another one. Pixels without a label are
    neither class nor neighbour, in the truth and in the prediction alike, so void borders nothing. Of a class in a
    picture, precision is the share of predicted boundary pixels with a true one no further than the tolerance
    (Euclidean), recall the share of true ones with a predicted one as near, F their harmonic mean. F is 0 where only
    one of the two has a boundary. A class's score is the mean over the pictures in which it has one at all.

    It is an `Observer` for `evaluate`.

    Args:
        num_classes: K.
        tolerance: Relative to the diagonal of each picture.
    """

    def __init__(self, num_classes: int, tolerance: float = TOLERANCE) -> None:
        self.num_classes = num_classes
        self.tolerance = tolerance
        self._counts: list[Tensor] = []

    def __call__(self, logits: Tensor, prediction: Tensor, target: Tensor) -> None:
        """Measure a batch: labels (N, H, W) in [0, K), `IGNORE` in `target` where there is none."""
        for guess, truth in zip(prediction, target, strict=True):
            self._counts.append(self._picture(guess, truth))

    def scores(self) -> list[float | None]:
        """One score in 0…1 per class; None where it has no boundary in any picture."""
        if not self._counts:
            return [None] * self.num_classes
        near_truth, guessed, near_guess, true = torch.stack(self._counts).cpu().double().unbind(-1)
        precision, recall = near_truth / guessed.clamp(min=1), near_guess / true.clamp(min=1)
        both = precision + recall
        score = torch.where(both > 0, 2 * precision * recall / both.clamp(min=1e-300), 0)
        known = (guessed + true) > 0
        pictures = known.sum(0)
        total = (score * known).sum(0)
        return [sum_ / count if count else None for sum_, count in zip(total.tolist(), pictures.tolist(), strict=True)]

    def _picture(self, prediction: Tensor, target: Tensor) -> Tensor:
        """(K, 4): predicted boundary pixels that are near, all of them, true ones that are near, all of them."""
        limit = int((self.tolerance * hypot(*target.shape)) ** 2)  # of a squared distance in pixels
        known = (target >= 0) & (target < self.num_classes) & (target != IGNORE)
        maps = [torch.where(known, labels, -1) for labels in (prediction, target)]
        outlines = [torch.where(_edges(labels), labels, -1) for labels in maps]
        counts = torch.zeros(self.num_classes, 4, dtype=torch.int64, device=target.device)
        labels: Iterable[int] = range(self.num_classes)
        if target.device.type == "cpu":  # elsewhere, asking which are there would wait for the device
            labels = [label for label in torch.unique(torch.cat(outlines)).tolist() if label >= 0]
        for label in labels:
            guess, truth = (outline == label for outline in outlines)
            pairs = (guess & _near(truth, limit), guess, truth & _near(guess, limit), truth)
            counts[label] = torch.stack([pixels.sum() for pixels in pairs])
        return counts


def _edges(labels: Tensor) -> Tensor:
    """Where a known label (0 or more) has a neighbour with another one; (H, W)."""
    edges = torch.zeros_like(labels, dtype=torch.bool)
    for one, other, first, second in (
        (labels[1:], labels[:-1], edges[1:], edges[:-1]),
        (labels[:, 1:], labels[:, :-1], edges[:, 1:], edges[:, :-1]),
    ):
        differ = (one != other) & (one >= 0) & (other >= 0)
        first |= differ
        second |= differ
    return edges


def _near(pixels: Tensor, limit: int) -> Tensor:
    """Which pixels have one of `pixels` no further away than the root of `limit`; (H, W) bool.

    Each row of the disc is a run of pixels, and a run holds one if the sum up to its end is larger than that before it.
    """
    height, width = pixels.shape
    reach = isqrt(limit)
    sums = F.pad(pixels.int(), (reach + 1, reach, reach, reach)).cumsum(-1, dtype=torch.int32)
    found = torch.zeros_like(pixels)
    for down in range(-reach, reach + 1):
        across = isqrt(limit - down * down)
        rows = sums[reach + down : reach + down + height]
        last, before = reach + 1 + across, reach - across
        found |= rows[:, last : last + width] > rows[:, before : before + width]
    return found
