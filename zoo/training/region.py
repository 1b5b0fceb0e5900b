"""Losses over regions, from segmentation_models_pytorch: Dice, focal, Lovász, Tversky."""

import importlib
from typing import Any

from torch import Tensor, nn

from zoo.config import IGNORE
from zoo.errors import RunError
from zoo.training.pixelwise import counted
from zoo.training.tables import LossTable


class RegionLoss(nn.Module):
    """One of segmentation_models_pytorch's losses, for many classes, over the pixels that count.

    Dice and Tversky compare the probabilities of each class with its pixels over the whole batch, a class without any
    costing nothing; Lovász averages over the classes that are there; focal is the mean over classes of one against the
    rest.

    Args:
        name: ``"dice"``, ``"focal"``, ``"lovasz"`` or ``"tversky"``.
        table: Their numbers.

    Raises:
        RunError: The package is not installed.
    """

    def __init__(self, name: str, table: LossTable) -> None:
        super().__init__()
        try:
            losses = importlib.import_module("segmentation_models_pytorch.losses")
        except ImportError:
            raise RunError(
                f"the loss {name!r} comes from segmentation_models_pytorch, which is not installed: "
                "pip install 'zoo-segmentation[smp]', or use cross_entropy or ohem"
            ) from None
        common: dict[str, Any] = {"mode": "multiclass", "ignore_index": IGNORE}
        match name:
            case "dice":
                self.loss = losses.DiceLoss(**common)
            case "focal":
                self.loss = losses.FocalLoss(gamma=table.focal_gamma, **common)
            case "lovasz":
                self.loss = losses.LovaszLoss(**common)
            case _:
                self.loss = losses.TverskyLoss(
                    alpha=table.tversky_alpha, beta=table.tversky_beta, gamma=table.tversky_gamma, **common
                )

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Map logits (N, K, H, W) and labels (N, H, W) to a scalar; zero, with zero gradient, if no pixel counts."""
        if not bool(counted(target).any()):  # theirs give NaN, or no scalar
            return logits.sum() * 0.0
        value: Tensor = self.loss(logits, target)
        return value
