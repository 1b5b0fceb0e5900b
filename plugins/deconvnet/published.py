"""Taking over the released DeconvNet: a ``.caffemodel`` whose batch norms are folded into a scale and a shift."""

import torch
from torch import Tensor, nn

from zoo.config import InputSpec
from zoo.hub.converter import Converter, Foreign, Implied, State, size_of

INPUT = InputSpec("BGR", 255.0, (104.00698793, 116.66876762, 122.67891434), (1.0, 1.0, 1.0))
"""Blue first, 0…255, ImageNet's mean subtracted."""


def from_deconvnet(state: State, model: nn.Module) -> dict[str, Tensor]:
    """Give the tensors of the released net the names that they have in `model`: ``_`` for ``-``.

    A folded batch norm is ``x · scale + shift``, which is one of mean 0 and variance 1. Files from before the folding
    have the same form, but lack the statistics; only the ``inference`` file gives the published answers.
    """
    own = model.state_dict()
    ours = {name.split(".", 1)[1]: name for name in own}
    translated = {}
    for name, tensor in state.items():
        name = name.replace("-", "_")
        translated[ours.get(name, name)] = tensor
    for name, tensor in own.items():
        if name.endswith((".running_mean", ".running_var")):
            translated[name] = torch.full(tensor.shape, float(name.endswith("var")))
    return translated


def _implies(foreign: Foreign) -> Implied:
    return Implied(num_classes=size_of(foreign.state, "seg-score-voc.weight"), input=INPUT)


CONVERTER = Converter(from_deconvnet, _implies)
"""For ``DeconvNet_trainval_inference.caffemodel``."""
