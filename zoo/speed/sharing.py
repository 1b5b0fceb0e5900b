"""A copy of a model that shares its numbers until a pass replaces them."""

import copy
from typing import TypeVar

from torch import Tensor, nn

Module = TypeVar("Module", bound=nn.Module)


def sharing_copy(model: Module) -> Module:
    """Copy the modules of a model, not its tensors.

    Every parameter and buffer of the copy is an object of its own on the same memory. So a pass that puts a new tensor
    in the place of an old one changes the copy only, and what no pass touches is there once.
    """
    memo: dict[int, object] = {}
    for module in model.modules():
        for parameter in module._parameters.values():
            if parameter is not None:
                memo.setdefault(id(parameter), nn.Parameter(parameter.detach(), requires_grad=False))
        for buffer in module._buffers.values():
            if buffer is not None:
                memo.setdefault(id(buffer), buffer.detach())
    # deepcopy keeps what it made alive by adding it to the list at memo[id(memo)]; ours live as long as `memo` does.
    return copy.deepcopy(model, memo)


def replace(model: nn.Module, old: nn.Module, new: nn.Module) -> None:
    """Put `new` wherever `old` is in `model`, under the same names."""
    for module in list(model.modules()):
        for name, child in module._modules.items():
            if child is old:
                module._modules[name] = new


def parameter(value: Tensor) -> nn.Parameter:
    """A tensor as a parameter that does not learn."""
    return nn.Parameter(value.detach(), requires_grad=False)
