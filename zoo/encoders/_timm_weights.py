"""Taking over timm's state dicts, and torchvision's where the two have the same net under the same names."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from zoo.errors import CheckpointError
from zoo.hub.converter import Converter, State

if TYPE_CHECKING:
    from zoo.encoders.timm import TimmEncoder


def from_timm(state: State, encoder: nn.Module) -> dict[str, Tensor]:
    """The tensors of a whole timm net under the names that they have in our encoder, which is the net cut short.

    Where timm takes a net apart for its feature maps, ``stages.0.blocks`` becomes ``stages_0.blocks``; so names are
    compared without regard to that. What lies beyond the last map, the classifier for one, is left out.

    Raises:
        CheckpointError: A tensor is of another net.
    """
    import timm

    ours = {_plain(name): name for name in encoder.state_dict()}
    translated = {ours[_plain(name)]: tensor for name, tensor in state.items() if _plain(name) in ours}
    if len(translated) < len(state):
        name = str(encoder.name)
        with torch.device("meta"):
            whole = timm.create_model(name).state_dict()
        strange = [key for key in state if _plain(key) not in ours and key not in whole]
        if strange:
            raise CheckpointError(f"{strange[0]!r} is no tensor of timm's {name}")
    return translated


def first_conv(encoder: "TimmEncoder") -> str:
    """The key of the first convolution's weight."""
    import timm

    config = timm.get_pretrained_cfg(encoder.name, allow_unregistered=True)
    first = getattr(config, "first_conv", None)
    ours = {_plain(name): name for name in encoder.state_dict()}
    return ours.get(_plain(f"{first}.weight"), "") if isinstance(first, str) else ""


def _plain(name: str) -> str:
    """A name as it is compared."""
    while name.startswith("model."):
        name = name.removeprefix("model.")
    return name.replace("_", ".")


CONVERTER = Converter(from_timm)
"""For whole nets of timm, and of torchvision where they agree: ResNet, ResNeXt, DenseNet …"""
