"""Losses that are sums over pixels. Labels equal to `IGNORE` count in none of them."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.config import IGNORE


def counted(target: Tensor) -> Tensor:
    """Which pixels count: bool, of the shape of `target`."""
    return target != IGNORE


def cross_entropy_sum(
    logits: Tensor, target: Tensor, weights: Tensor | None = None, label_smoothing: float = 0.0
) -> Tensor:
    """Summed cross-entropy of the pixels that count, in float32; see `zoo.training.loss.cross_entropy`."""
    return F.cross_entropy(
        logits.float(), target, weights, ignore_index=IGNORE, reduction="sum", label_smoothing=label_smoothing
    )


def ohem(
    logits: Tensor,
    target: Tensor,
    threshold: float = 0.7,
    keep: float = 0.0625,
    weights: Tensor | None = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Cross-entropy of the hard pixels alone (online hard example mining; Shrivastava, Gupta and Girshick 2016).

    Hard are the pixels whose own class has a probability of at most `threshold`, but at least the share `keep` of
    those that count, the hardest first; ties are all taken. The mean is over the chosen pixels, weighted by `weights`.

    Args:
        logits: (N, K, H, W).
        target: (N, H, W) int64, labels in [0, K) or `IGNORE`.
        threshold: In (0, 1).
        keep: In [0, 1].
        weights: (K,) or None.
        label_smoothing: In [0, 1); it does not enter the choice of pixels.

    Returns:
        A scalar; zero, with zero gradient, where no pixel counts.
    """
    logits, valid = logits.float(), counted(target)
    with torch.no_grad():
        hardness = F.cross_entropy(logits, target, ignore_index=IGNORE, reduction="none")
        ranked = torch.where(valid, hardness, -1.0).flatten().sort(descending=True).values
        least = (valid.sum() * keep).ceil().long()  # an index on the device: reading it would wait for the device
        cut = ranked[(least - 1).clamp(min=0)].clamp(max=-math.log(threshold))
        cut = torch.where(least > 0, cut, -math.log(threshold))
        chosen = valid & (hardness >= cut)
        share = chosen.float() if weights is None else chosen * weights[target.clamp(max=len(weights) - 1)]
        divisor = share.sum()
    pixels = F.cross_entropy(
        logits, target, weights, ignore_index=IGNORE, reduction="none", label_smoothing=label_smoothing
    )
    return (pixels * chosen).sum() / torch.where(divisor > 0, divisor, 1)
