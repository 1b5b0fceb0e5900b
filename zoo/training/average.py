"""A running average of the weights."""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor

from zoo.model import SegmentationModel


class Average:
    """A second model whose weights follow those of the first: average ← d · average + (1 - d) · weights.

    In early steps d is smaller, (1 + n) / (10 + n) after n updates, so that the initial weights are soon forgotten.
    Statistics of norms are averaged likewise; counters are copied.

    Attributes:
        model: The averaged model. It is never trained.

    Args:
        model: What is followed.
        decay: d, in (0, 1).
    """

    def __init__(self, model: SegmentationModel, decay: float) -> None:
        self.model = copy.deepcopy(model).requires_grad_(False).eval()
        self._decay = decay

    @torch.no_grad()
    def update(self, model: SegmentationModel, updates: int) -> None:
        """Take in the weights of `model` after its step number `updates` (from 0)."""
        share = 1 - min(self._decay, (1 + updates) / (10 + updates))
        target, source = self.model.state_dict(), model.state_dict()
        floats = [name for name, tensor in source.items() if tensor.is_floating_point()]
        torch._foreach_lerp_([_here(target[name]) for name in floats], [_here(source[name]) for name in floats], share)
        for name in source.keys() - set(floats):
            target[name].copy_(source[name])

    def state_dict(self) -> dict[str, Tensor]:
        """The averaged weights."""
        return dict(self.model.state_dict())

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Put averaged weights back."""
        self.model.load_state_dict(dict(state))


def _here(tensor: Tensor) -> Tensor:
    """What this process holds of a tensor that may be cut into pieces, one on each."""
    here: Tensor = tensor.to_local() if hasattr(tensor, "to_local") else tensor
    return here
