"""Which layer hands its map to which, found by watching a model at work."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

Found = TypeVar("Found")

CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)


class Handed(NamedTuple):
    """A convolution whose map goes to one norm and nowhere else."""

    convolution: nn.Conv2d | nn.ConvTranspose2d
    norm: nn.BatchNorm2d


class Uses(TorchDispatchMode):
    """Counts in how many operations each tensor takes part, and in how many of them as what a batch norm reads."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.uses: dict[int, int] = {}
        self.kept: list[Tensor] = []  # or another tensor could get the same id

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        for value in torch.utils._pytree.tree_leaves((args, kwargs or {})):
            if isinstance(value, Tensor):
                self.uses[id(value)] = self.uses.get(id(value), 0) + 1
        result = func(*args, **(kwargs or {}))
        self.kept.extend(value for value in torch.utils._pytree.tree_leaves(result) if isinstance(value, Tensor))
        return result


def handed_to_norms(model: nn.Module, example: Tensor) -> list[Handed]:
    """Find the convolutions whose map is read by one batch norm and by nothing else.

    The model runs once, on the meta device where it can (nothing is computed) and otherwise on `example` itself.

    Args:
        model: In evaluation mode.
        example: (N, C, H, W), small.
    """
    return run_hollow(model, example, _watch)


def run_hollow(model: nn.Module, example: Tensor, watch: Callable[[nn.Module, Callable[[], Any]], Found]) -> Found:
    """Watch a model at work, on the meta device where it can (nothing is computed) and otherwise on `example` itself.

    Args:
        model: In evaluation mode.
        example: (N, C, H, W), small.
        watch: Called with the model and with what runs it once; a second time if the first did not succeed.

    Returns:
        What `watch` found.
    """
    state = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    try:
        hollow = {name: value.to("meta") for name, value in state.items()}
        return watch(model, lambda: torch.func.functional_call(model, hollow, (example.to("meta"),)))
    except (RuntimeError, NotImplementedError, TypeError):  # numbers that are no parameters, or are looked at
        return watch(model, lambda: model(example))


def _watch(model: nn.Module, run: Callable[[], Any]) -> list[Handed]:
    made: dict[int, nn.Module] = {}
    calls: dict[nn.Module, int] = {}
    met: list[tuple[nn.Module, nn.Module, int]] = []

    def after(module: nn.Module, _: Any, result: Any) -> None:
        calls[module] = calls.get(module, 0) + 1
        made[id(result)] = module

    def before(module: nn.Module, given: tuple[Any, ...]) -> None:
        calls[module] = calls.get(module, 0) + 1
        if given and id(given[0]) in made:
            met.append((made[id(given[0])], module, id(given[0])))

    watched = []
    for module in model.modules():
        if isinstance(module, CONVOLUTIONS):
            watched.append(module.register_forward_hook(after))
        elif isinstance(module, nn.BatchNorm2d):
            watched.append(module.register_forward_pre_hook(before))
    counting = Uses()
    try:
        with torch.no_grad(), counting:
            run()
    finally:
        for handle in watched:
            handle.remove()
    return [
        Handed(convolution, norm)  # type: ignore[arg-type]
        for convolution, norm, tensor in met
        if calls[convolution] == calls[norm] == counting.uses.get(tensor, 0) == 1
    ]
