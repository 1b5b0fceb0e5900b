"""Losses over regions, from segmentation_models_pytorch: Dice, focal, Lovász, Tversky.

Each for many classes, over the pixels that count. Dice and Tversky compare the probabilities of each class with its
pixels over the whole batch, a class without any costing nothing; Lovász averages over the classes that are there;
focal is the mean over classes of one against the rest.
"""

import importlib
from typing import Any

from torch import nn

from zoo.config import IGNORE
from zoo.errors import RunError


def dice() -> nn.Module:
    """Dice loss (Milletari, Navab and Ahmadi 2016)."""
    return _theirs("dice", "DiceLoss")


def focal(gamma: float = 2.0) -> nn.Module:
    """Focal loss (Lin et al. 2017); `gamma` says how much less easy pixels count."""
    return _theirs("focal", "FocalLoss", gamma=gamma)


def lovasz() -> nn.Module:
    """Lovász-softmax (Berman, Triki and Blaschko 2018)."""
    return _theirs("lovasz", "LovaszLoss")


def tversky(alpha: float = 0.5, beta: float = 0.5, gamma: float = 1.0) -> nn.Module:
    """Tversky loss (Salehi, Erdogmus and Gholipour 2017): false positives weigh `alpha`, false negatives `beta`."""
    return _theirs("tversky", "TverskyLoss", alpha=alpha, beta=beta, gamma=gamma)


def _theirs(name: str, loss: str, **numbers: float) -> nn.Module:
    try:
        losses: Any = importlib.import_module("segmentation_models_pytorch.losses")
    except ImportError:
        raise RunError(
            f"the loss {name!r} comes from segmentation_models_pytorch, which is not installed: "
            "pip install 'zoo-segmentation[smp]', or use cross_entropy or ohem"
        ) from None
    made: nn.Module = getattr(losses, loss)(mode="multiclass", ignore_index=IGNORE, **numbers)
    return made
