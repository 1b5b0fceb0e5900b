"""Losses by name: those of the core that look at regions, and whatever plugins bring.

What makes one is a class or function of its options; what it makes is called as ``loss(logits, target)``, with logits
(N, K, H, W) float32 and labels (N, H, W) int64, `zoo.config.IGNORE` where nothing counts, and gives a scalar. It is
not called where no pixel of the batch counts.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from zoo.errors import PluginError
from zoo.plan import make
from zoo.registry import registry
from zoo.training.loss_table import LossTable, TermTable
from zoo.training.pixelwise import counted

_KEYS: dict[str, dict[str, str]] = {
    "cross_entropy": {"label_smoothing": "label_smoothing"},
    "ohem": {"threshold": "ohem_threshold", "keep": "ohem_keep", "label_smoothing": "label_smoothing"},
    "focal": {"gamma": "focal_gamma"},
    "tversky": {"alpha": "tversky_alpha", "beta": "tversky_beta", "gamma": "tversky_gamma"},
}
"""Built-in loss → its options, and the key of the recipe that each has unless it is given."""


def options_of(term: TermTable, table: LossTable) -> dict[str, Any]:
    """The options of a term: its own, and what the keys of the table say of the others."""
    return {option: getattr(table, key) for option, key in _KEYS.get(term.name, {}).items()} | term.options


class NamedLoss(nn.Module):
    """A registered loss, guarded: nothing is lost where nothing counts, and what it gives is a scalar.

    Args:
        name: As in ``zoo list --kind loss``.
        options: What it is made of.

    Raises:
        OptionError: It has no such option, or does not take the value.
        PluginError: It cannot be imported, or what it makes cannot be called.
        RunError: It needs a package that is not installed.
    """

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        super().__init__()
        self.name = name
        self.loss = make(registry().get("loss", name), options)
        if not callable(self.loss):
            raise PluginError(f"the loss {name!r} made a {type(self.loss).__name__}, which cannot be called")

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Map logits (N, K, H, W) and labels (N, H, W) to a scalar; zero, with zero gradient, if no pixel counts.

        Raises:
            PluginError: It gave no scalar.
        """
        if not bool(counted(target).any()):  # most would give NaN, or no scalar
            return logits.sum() * 0.0
        value = self.loss(logits, target)
        if not isinstance(value, Tensor) or value.ndim:
            gave = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            raise PluginError(f"the loss {self.name!r} gave {gave}; expected a scalar tensor")
        return value.to(torch.float32)
