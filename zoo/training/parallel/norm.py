"""BatchNorm over the pictures of all processes, as if one process had the whole batch."""

from functools import cache
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.modules._functions import SyncBatchNorm as _OnGpu
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase


def synchronise_norms(model: nn.Module) -> int:
    """Make every BatchNorm of a model take its statistics from all processes while it trains, in place.

    Parameters, statistics and names stay what they are; in evaluation nothing changes. A class of BatchNorm that
    does more than we know of keeps to its own process; see `average_statistics`.

    Returns:
        How many were changed.
    """
    changed = 0
    for module in model.modules():
        if isinstance(module, _BatchNorm) and (tail := _tail_of(type(module))) is not None:
            kind: Any = type(module)
            module.__class__ = _synchronised(kind, tail)
            changed += 1
    return changed


def is_synchronised(module: nn.Module) -> bool:
    """Whether a norm was changed by `synchronise_norms`."""
    return isinstance(module, _Synchronised)


def average_statistics(model: nn.Module, size: int) -> None:
    """Replace the running statistics of norms that see their own process's pictures by the mean over all processes."""
    statistics = [
        tensor
        for module in model.modules()
        if isinstance(module, _NormBase) and module.training and not is_synchronised(module)
        for tensor in (module.running_mean, module.running_var)
        if tensor is not None
    ]
    if not statistics:
        return
    flat = torch.cat([tensor.flatten() for tensor in statistics])
    dist.all_reduce(flat)
    parts = torch.split(flat.div_(size), [tensor.numel() for tensor in statistics])
    with torch.no_grad():
        for tensor, part in zip(statistics, parts, strict=True):
            tensor.copy_(part.view_as(tensor))


class _Synchronised:
    """What marks a class that `_synchronised` made."""

    joint = True


@cache
def _synchronised(kind: Any, tail: tuple[str, ...]) -> Any:
    """The class of norms that are like `kind`, but for where their statistics come from."""

    def forward(self: _BatchNorm, input: Tensor) -> Tensor:
        if not self.training:
            result: Tensor = kind.forward(self, input)
            return result
        result = _normalised(self, input)
        for name in tail:
            result = getattr(self, name)(result)
        return result

    return type(f"Synchronised{kind.__name__}", (_Synchronised, kind), {"forward": forward})


def _tail_of(kind: type[_BatchNorm]) -> tuple[str, ...] | None:
    """What a class of BatchNorm applies after the norm, by attribute; None where that is not known."""
    from zoo import ops

    if kind in (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, ops.BatchNorm2d):
        return ()
    if kind.__name__ == "BatchNormAct2d" and kind.__module__.startswith("timm."):
        return ("drop", "act")
    return None


def _normalised(norm: _BatchNorm, x: Tensor) -> Tensor:
    momentum = norm.momentum
    if norm.track_running_stats and norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
        momentum = 1.0 / float(norm.num_batches_tracked) if momentum is None else momentum
    group = dist.group.WORLD
    assert group is not None
    function: Any = _OnGpu if x.is_cuda else _OnCpu
    result: Tensor = function.apply(
        x,
        norm.weight,
        norm.bias,
        norm.running_mean,
        norm.running_var,
        norm.eps,
        momentum or 0.0,
        group,
        dist.get_world_size(),
    )
    return result


class _OnCpu(torch.autograd.Function):
    """The arguments are those of torch's own function for GPUs."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        eps: float,
        momentum: float,
        _group: object,
        size: int,
    ) -> Tensor:
        axes = [axis for axis in range(x.ndim) if axis != 1]
        var, mean = torch.var_mean(x.float(), axes, correction=0)
        count = x.numel() / x.shape[1]
        mine = torch.cat([mean, var, mean.new_tensor([count])]).double()
        table = torch.empty(size, len(mine), dtype=mine.dtype)
        dist.all_gather([*table], mine)
        means, variances, counts = torch.split(table, [len(mean), len(mean), 1], 1)
        total = counts.sum()
        joint_mean = (means * counts).sum(0) / total
        joint_var = ((variances + (means - joint_mean) ** 2) * counts).sum(0) / total
        mean, var = joint_mean.to(mean.dtype), joint_var.to(var.dtype)
        if running_mean is not None and running_var is not None:
            running_mean.lerp_(mean.to(running_mean.dtype), momentum)
            unbiased = joint_var * total / (total - 1)
            running_var.lerp_(unbiased.to(running_var.dtype), momentum)
        ctx.save_for_backward(x, weight, mean, torch.rsqrt(var + eps))
        ctx.total, ctx.biased = float(total), bias is not None
        return F.batch_norm(x, mean, var, weight, bias, False, 0.0, eps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, scale = ctx.saved_tensors
        shape = [1, -1] + [1] * (x.ndim - 2)
        axes = [axis for axis in range(x.ndim) if axis != 1]
        slope = gradient.float()
        centred = x.float() - mean.view(shape)
        sums = torch.stack([slope.sum(axes), (slope * centred).sum(axes)])
        own_bias, own_weight = sums[0].clone(), sums[1] * scale
        dist.all_reduce(sums)
        sums /= ctx.total
        slope = slope - sums[0].view(shape) - centred * (sums[1] * scale * scale).view(shape)
        factor = scale if weight is None else scale * weight
        into = (slope * factor.view(shape)).to(x.dtype) if ctx.needs_input_grad[0] else None
        to_weight = own_weight if weight is not None and ctx.needs_input_grad[1] else None
        to_bias = own_bias if ctx.biased and ctx.needs_input_grad[2] else None
        return into, to_weight, to_bias, None, None, None, None, None, None
