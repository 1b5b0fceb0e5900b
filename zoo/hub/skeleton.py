"""Building a model without its numbers, to be filled from a file."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

Net = TypeVar("Net", bound=nn.Module)

# fmt: off
_FILLS = frozenset([
    "add_", "bernoulli_", "clamp_", "constant_", "copy_", "div_", "erfinv_", "fill_", "kaiming_normal_",
    "kaiming_uniform_", "mul_", "normal_", "ones_", "orthogonal_", "sub_", "trunc_normal_", "uniform_",
    "xavier_normal_", "xavier_uniform_", "zero_", "zeros_",
])
# fmt: on


class _NoFill(TorchFunctionMode):
    """Leaves out in-place fills of tensors that hold nothing.

    On the meta device they change nothing, but some of them import torch's compiler, which takes over a second.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name == "linspace":  # a schedule over the layers, which the constructor reads numbers from
            kwargs = {"device": "cpu", **kwargs}
        elif name in _FILLS:
            target = args[0] if args else kwargs.get("tensor")
            if isinstance(target, Tensor) and target.is_meta:
                return target
        return func(*args, **kwargs)


@contextmanager
def skeleton() -> Iterator[None]:
    """What is built inside has shapes but no storage and is not initialised."""
    with torch.device("meta"), _NoFill():
        yield


def hollow(make: Callable[[], Net]) -> Net:
    """What `make` makes, without its numbers where that is possible; no random number is drawn from the global ones."""
    try:
        with skeleton():
            return make()
    except RuntimeError as error:  # a constructor that reads numbers out of tensors
        if "meta" not in str(error):
            raise
        with torch.random.fork_rng(devices=[]):
            return make()
