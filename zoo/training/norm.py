"""Training BatchNorm on a batch that has one value per channel."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


@contextmanager
def lone_values_allowed(model: nn.Module) -> Iterator[None]:
    """Within this block, a BatchNorm in training mode that meets one value per channel uses its running statistics.

    One value has no variance: its normalised form would be zero whatever it is, and torch refuses it
    ("Expected more than 1 value per channel when training"). It happens with one picture in a batch after
    global pooling, or on a map of 1×1. The running statistics are the best estimate there is; they are left as
    they are, for a single value says nothing new about a spread, and the layer's scale and shift go on learning.

    Works by hooks, so it covers every model: ours, timm's, a plugin's.
    """
    asleep: set[nn.Module] = set()

    def before(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        x = inputs[0]
        if module.training and isinstance(x, Tensor) and x.numel() == x.shape[1]:
            module.training = False  # the flag itself: train() would also run over children
            asleep.add(module)

    def after(module: nn.Module, _inputs: tuple[Any, ...], _output: Any) -> None:
        if module in asleep:
            asleep.discard(module)
            module.training = True

    # One that sees the pictures of several processes has more values than those that it meets here.
    norms = [
        module
        for module in model.modules()
        if isinstance(module, _BatchNorm) and module.track_running_stats and not getattr(module, "joint", False)
    ]
    handles = [norm.register_forward_pre_hook(before) for norm in norms]
    handles += [norm.register_forward_hook(after, always_call=True) for norm in norms]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
