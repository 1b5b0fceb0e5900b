"""The loss: cross-entropy over the pixels that count."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.config import IGNORE


class Criterion(nn.Module):
    """Cross-entropy of ``"out"``, plus `aux_weight` times that of each auxiliary output.

    Args:
        weights: One weight per class, or None for equal ones.
        label_smoothing: Share of each target that is spread evenly over all classes.
        aux_weight: Weight of every output whose key starts with ``"aux"``.
    """

    weights: Tensor | None

    def __init__(self, weights: Tensor | None = None, *, label_smoothing: float = 0.0, aux_weight: float = 0.4) -> None:
        super().__init__()
        self.register_buffer("weights", weights)
        self.label_smoothing = label_smoothing
        self.aux_weight = aux_weight

    def forward(self, outputs: Mapping[str, Tensor], target: Tensor) -> Tensor:
        """Map logits (N, K, H, W) by name and labels (N, H, W) int64 to a scalar."""
        loss = cross_entropy(outputs["out"], target, self.weights, self.label_smoothing)
        for name, logits in outputs.items():
            if name.startswith("aux"):
                loss = loss + self.aux_weight * cross_entropy(logits, target, self.weights, self.label_smoothing)
        return loss


def cross_entropy(
    logits: Tensor, target: Tensor, weights: Tensor | None = None, label_smoothing: float = 0.0
) -> Tensor:
    """Mean cross-entropy of the pixels whose label is not `IGNORE`; zero, with zero gradient, if there is none.

    Equal to torch's own mean wherever that is a number: with class weights it divides by the sum of the
    weights of the pixels' labels. Computed in float32 whatever the logits' type.

    Args:
        logits: (N, K, H, W).
        target: (N, H, W) int64, labels in [0, K) or `IGNORE`.
        weights: (K,) or None.
        label_smoothing: In [0, 1).
    """
    total = F.cross_entropy(
        logits.float(), target, weights, ignore_index=IGNORE, reduction="sum", label_smoothing=label_smoothing
    )
    counted = target != IGNORE
    if weights is None:
        return total / counted.sum().clamp(min=1)
    share = (weights[target.clamp(max=len(weights) - 1)] * counted).sum()
    return total / torch.where(share > 0, share, 1)


def balancing_weights(kind: str, pixels: Sequence[int], present: Sequence[int]) -> Tensor | None:
    """Class weights that lift rare classes, computed from the training masks.

    ``"inverse"``: total / (classes seen · pixels of the class), so a balanced set has weights of 1.
    ``"median"``: median frequency balancing (Eigen and Fergus 2015): freq(c) = pixels of c over the pixels of
    all images in which c appears; weight(c) = median of freq / freq(c). A class that never appears gets 1.

    Args:
        kind: ``"none"``, ``"inverse"`` or ``"median"``.
        pixels: Counted pixels of each class.
        present: Counted pixels of the images in which each class appears.

    Returns:
        (K,) float32, or None for ``"none"``.
    """
    if kind == "none":
        return None
    counts = torch.tensor(pixels, dtype=torch.float64)
    seen = counts > 0
    weights = torch.ones_like(counts)
    if kind == "inverse":
        weights[seen] = counts.sum() / (seen.sum() * counts[seen])
    else:
        frequency = counts[seen] / torch.tensor(present, dtype=torch.float64)[seen]
        weights[seen] = frequency.quantile(0.5) / frequency
    return weights.float()
