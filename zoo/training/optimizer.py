"""The optimiser: which parameters it gets, with which learning rate and weight decay."""

import inspect
from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from zoo.errors import RunError
from zoo.training.tables import OptimTable

NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)

_FUSED_ON = ("cpu", "cuda", "xpu", "mps")
_FUSED_IN_PIECES = ("adam", "adamw")


def build_optimizer(
    model: nn.Module, table: OptimTable, classifier: Collection[str] = frozenset()
) -> torch.optim.Optimizer:
    """Return the optimiser of a recipe for the parameters of `model` that learn.

    Args:
        model: Its parameters.
        table: The recipe's.
        classifier: Names of the parameters that score classes; see `zoo.dependence.classifier`.

    Raises:
        RunError: No parameter requires a gradient, or a pattern fits none.
    """
    groups = parameter_groups(model, table, classifier)
    if not groups:
        raise RunError("nothing to train: every parameter of the model is frozen")
    kind, settings = _kind(table)
    settings["lr"] = table.lr
    if table.eps is not None and table.name != "sgd":
        settings["eps"] = table.eps
    if "fused" in inspect.signature(kind).parameters:
        # One fused kernel walks all parameters; torch has it for float parameters on these devices, and where
        # parameters are cut into pieces on several processes only for some optimisers.
        settings["fused"] = all(
            parameter.is_floating_point()
            and parameter.device.type in _FUSED_ON
            and (table.name in _FUSED_IN_PIECES or not hasattr(parameter, "to_local"))
            for parameter in _learning(model)
        )
    return kind(groups, **settings)


def parameter_groups(
    model: nn.Module, table: OptimTable, classifier: Collection[str] = frozenset()
) -> list[dict[str, Any]]:
    """Split the parameters that learn by weight decay and by the factor of their learning rate, ``lr_factor``.

    Frozen parameters are in no group, so that no decay and no momentum ever moves them.

    Raises:
        RunError: A pattern of `table.groups` fits no parameter that learns.
    """
    of_norms = {
        id(parameter)
        for module in model.modules()
        if isinstance(module, NORMS)
        for parameter in module.parameters(recurse=False)
    }
    found: dict[tuple[float, float], list[nn.Parameter]] = {}
    used: set[str] = set()
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        kind = "norm" if id(parameter) in of_norms else _kind_of(name, parameter)
        rate, decay = _part(name, table, classifier), _decays(kind, table)
        rate *= table.bias_lr if kind == "bias" else 1.0
        fits = ((group, pattern) for group in table.groups for pattern in group.match if fnmatchcase(name, pattern))
        exception = next(fits, None)
        if exception is not None:
            group, pattern = exception
            used.add(pattern)
            rate, decay = group.lr, group.decay
        found.setdefault((table.weight_decay * decay, rate), []).append(parameter)
    idle = [pattern for group in table.groups for pattern in group.match if pattern not in used]
    if idle:
        known = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
        idle = [pattern for pattern in idle if not any(fnmatchcase(name, pattern) for name in known)]
    if idle:
        raise RunError(f"optim.groups: no parameter that learns is named {' or '.join(map(repr, idle))}")
    order = sorted(found, key=lambda key: (-key[0], key[1]))  # of a default recipe: those that decay, the others
    return [{"params": found[key], "weight_decay": key[0], "lr_factor": key[1]} for key in order]


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every group `rate` times its factor."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("lr_factor", 1.0)


def _kind(table: OptimTable) -> tuple[type[torch.optim.Optimizer], dict[str, Any]]:
    match table.name:
        case "sgd":
            return torch.optim.SGD, {"momentum": table.momentum, "nesterov": table.nesterov}
        case "rmsprop":
            return torch.optim.RMSprop, {"momentum": table.momentum, "alpha": table.alpha}
        case "adam":
            return torch.optim.Adam, {"betas": table.betas}
        case "adamw":
            return torch.optim.AdamW, {"betas": table.betas}


def lay_out_state(optimizer: torch.optim.Optimizer) -> None:
    """Give the numbers that an optimiser keeps of a parameter the parameter's own layout in memory.

    Those of a state that was loaded have the layout in which they were saved, which may be another one, and fused
    kernels go through both side by side.
    """
    for parameter, kept in optimizer.state.items():
        for name, value in kept.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape and value.stride() != parameter.stride():
                kept[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _kind_of(name: str, parameter: nn.Parameter) -> str:
    if name.rpartition(".")[2] == "bias":
        return "bias"
    return "vector" if parameter.ndim < 2 else "weight"


def _decays(kind: str, table: OptimTable) -> float:
    return float({"weight": True, "bias": table.bias_decay, "norm": table.norm_decay, "vector": False}[kind])


def _part(name: str, table: OptimTable, classifier: Collection[str]) -> float:
    """The factor of the part of the model that a parameter belongs to."""
    if name.startswith("auxiliary.") and table.aux_lr is not None:
        return table.aux_lr
    of_head = name in classifier if table.head == "classifier" else not name.startswith("encoder.")
    return table.head_lr if of_head else 1.0


def _learning(model: nn.Module) -> Iterable[nn.Parameter]:
    return (parameter for parameter in model.parameters() if parameter.requires_grad)
