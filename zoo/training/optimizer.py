"""The optimiser: which parameters it gets, with which weight decay."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from zoo.errors import RunError
from zoo.training.recipe import OptimTable

_NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)


def build_optimizer(model: nn.Module, table: OptimTable) -> torch.optim.Optimizer:
    """Return the optimiser of a recipe for the parameters of `model` that learn.

    Raises:
        RunError: No parameter requires a gradient.
    """
    groups = parameter_groups(model, table.weight_decay)
    if not groups:
        raise RunError("nothing to train: every parameter of the model is frozen")
    # One fused kernel walks all parameters; torch has it for float parameters on these devices.
    fused = all(
        parameter.is_floating_point() and parameter.device.type in ("cpu", "cuda", "xpu", "mps")
        for parameter in _learning(model)
    )
    if table.name == "sgd":
        return torch.optim.SGD(groups, lr=table.lr, momentum=table.momentum, fused=fused)
    return torch.optim.AdamW(groups, lr=table.lr, betas=table.betas, fused=fused)


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Split the parameters that learn into those that decay and those that do not.

    Biases, the scales of norms, and every other parameter with less than two dimensions are not pulled
    towards zero. Frozen parameters are in no group, so that no decay and no momentum ever moves them.
    """
    of_norms = {
        id(parameter)
        for module in model.modules()
        if isinstance(module, _NORMS)
        for parameter in module.parameters(recurse=False)
    }
    decayed: list[nn.Parameter] = []
    spared: list[nn.Parameter] = []
    for parameter in _learning(model):
        small = parameter.ndim < 2 or id(parameter) in of_norms
        (spared if small else decayed).append(parameter)
    groups: list[dict[str, Any]] = [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": spared, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every group the same learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def _learning(model: nn.Module) -> Iterable[nn.Parameter]:
    return (parameter for parameter in model.parameters() if parameter.requires_grad)
