"""Batch norms folded into the convolutions before them."""

import torch
from torch import Tensor, nn

from zoo.ops import BatchNorm2d
from zoo.speed.observe import handed_to_norms
from zoo.speed.sharing import parameter, replace

_PLAIN_CONVOLUTIONS = ("Conv2d", "Conv2dSame", "ConvTranspose2d", "BilinearUpsample")
"""Classes whose map is linear in their `weight` and `bias` as they are: not those that standardise their weight."""

_PLAIN_NORMS = (nn.BatchNorm2d, BatchNorm2d)


def fold_norms(model: nn.Module, example: Tensor) -> int:
    """Fold every batch norm that directly follows a convolution into its weights; exact up to rounding.

    γ (W x + b - μ) / √(σ² + ε) + β is a convolution with W γ / √(σ² + ε). It is computed in float64, and the norm
    becomes the activation that timm may have put into it, or nothing.

    Args:
        model: In evaluation mode; changed.
        example: (N, C, H, W), small; see `zoo.speed.observe`.

    Returns:
        How many were folded.
    """
    count = 0
    for convolution, norm in handed_to_norms(model, example):
        if type(convolution).__name__ not in _PLAIN_CONVOLUTIONS or norm.running_var is None:
            continue
        if norm.running_mean is None or len(convolution._forward_hooks) + len(norm._forward_hooks):
            continue
        rest = _rest(norm)
        if rest is None:
            continue
        _fold(convolution, norm)
        replace(model, norm, rest)
        count += 1
    return count


def _rest(norm: nn.BatchNorm2d) -> nn.Module | None:
    """What a norm does besides normalising; None where that is not known."""
    if type(norm) in _PLAIN_NORMS:
        return nn.Identity()
    if any(base.__name__ == "BatchNormAct2d" for base in type(norm).__mro__):  # timm's; it need not be installed
        return nn.Sequential(norm.get_submodule("drop"), norm.get_submodule("act"))
    return None


def _fold(convolution: nn.Conv2d | nn.ConvTranspose2d, norm: nn.BatchNorm2d) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    weight = convolution.weight
    scale = (norm.running_var.double() + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight.double()
    bias = -norm.running_mean.double() if convolution.bias is None else convolution.bias.double() - norm.running_mean
    bias = bias * scale
    if norm.bias is not None:
        bias = bias + norm.bias.double()
    convolution.weight = parameter(_scaled(convolution, scale).to(weight.dtype))
    convolution.bias = parameter(bias.to(weight.dtype))


def _scaled(convolution: nn.Conv2d | nn.ConvTranspose2d, scale: Tensor) -> Tensor:
    weight = convolution.weight
    if isinstance(convolution, nn.Conv2d):
        return weight.double() * scale.view(-1, 1, 1, 1)
    groups = convolution.groups  # (in, out / groups, k, k): the outputs of group g are those of its inputs' rows
    inputs, outputs, *kernel = weight.shape
    grouped = weight.double().view(groups, inputs // groups, outputs, *kernel)
    return (grouped * scale.view(groups, 1, outputs, 1, 1)).view(inputs, outputs, *torch.Size(kernel))
