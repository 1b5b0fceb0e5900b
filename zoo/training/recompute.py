"""Activations that are computed again in the backward pass instead of being kept."""

import functools
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.utils.checkpoint import checkpoint


def recompute_blocks(model: nn.Module) -> int:
    """Make the blocks of a model recompute their activations while training, in place.

    A block is a module inside a list or sequence that holds at least two layers with weights: a residual block, a
    double convolution, a stage of a VGG. Random numbers are drawn again as they were, and the statistics of norms move
    once, so the gradients are those without it.

    Returns:
        How many blocks were found.
    """
    found = list(blocks(model))
    for block in found:
        block.forward = functools.partial(_recomputed, block, block.forward)
    return len(found)


def _recomputed(block: nn.Module, forward, *inputs, **named):  # type: ignore[no-untyped-def]
    if not block.training:
        return forward(*inputs, **named)

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _still_statistics(block)

    return checkpoint(forward, *inputs, use_reentrant=False, context_fn=contexts, **named)


@contextmanager
def _still_statistics(block: nn.Module) -> Iterator[None]:
    """Within this block, the running statistics of norms stay as they are, to the last bit."""
    norms = [module for module in block.modules() if isinstance(module, _NormBase) and module.track_running_stats]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum = 0.0  # not track_running_stats = False: other tensors would be kept than in the first pass
        norm.num_batches_tracked = None if norm.num_batches_tracked is None else norm.num_batches_tracked.clone()
    try:
        yield
    finally:
        for norm, (momentum, counter) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, counter


def blocks(module: nn.Module) -> Iterator[nn.Module]:
    """The outermost blocks below a module, as `recompute_blocks` says."""
    for child in module.children():
        inside = isinstance(module, nn.Sequential | nn.ModuleList | nn.ModuleDict)
        if inside and not isinstance(child, nn.ModuleList | nn.ModuleDict) and _weighty(child) >= 2:
            yield child
        else:
            yield from blocks(child)


def _weighty(module: nn.Module) -> int:
    """Layers with a kernel or matrix, however deep."""
    return sum(any(parameter.ndim >= 2 for parameter in layer.parameters(recurse=False)) for layer in module.modules())
