"""Gradients."""

import torch
from torch import nn

from zoo.testing.subject import Subject, awaken, require

_TRIES = 4
_STOCHASTIC = ("DropPath", "StochasticDepth", "DropBlock2d")


def backward(subject: Subject) -> None:
    """In training mode, all answers together move every parameter that is not frozen.

    Parameters that begin as zeros are given random values first, and what drops at random is switched off. A weight
    must get a gradient that is not zero everywhere, with some seed: units that are dead by chance live with another.
    The gradient of a bias may be zero, for a norm may take the bias away again.
    """
    still: set[str] = set()
    for seed in range(_TRIES):
        zero = _unmoved(subject, seed)
        still = zero if seed == 0 else still & zero
        if not still:
            return
    require(False, f"the gradients of {_some(sorted(still))} are zero everywhere")


def _unmoved(subject: Subject, seed: int) -> set[str]:
    """The weights whose gradient is zero everywhere; raises where one is missing or not finite."""
    model = subject.build(seed=seed).train()
    awaken(model)
    for module in model.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd) or type(module).__name__ in _STOCHASTIC:
            module.eval()
    generator = torch.Generator().manual_seed(seed)
    result = model(subject.input(model))
    loss = sum((logits * torch.randn(logits.shape, generator=generator)).sum() for logits in result.values())
    require(isinstance(loss, torch.Tensor) and bool(loss.isfinite()), "the answers are not finite")
    assert isinstance(loss, torch.Tensor)
    loss.backward()  # type: ignore[no-untyped-call]
    gradients = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.requires_grad}
    require(bool(gradients), "no parameter learns")
    unreached = [name for name, gradient in gradients.items() if gradient is None]
    require(not unreached, f"no gradient reaches {_some(unreached)}: freeze them or leave them out")
    moved = {name: gradient for name, gradient in gradients.items() if gradient is not None}
    broken = [name for name, gradient in moved.items() if not bool(gradient.isfinite().all())]
    require(not broken, f"the gradients of {_some(broken)} are not finite")
    return {name for name, gradient in moved.items() if gradient.ndim > 1 and not bool(gradient.any())}


def _some(names: list[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
