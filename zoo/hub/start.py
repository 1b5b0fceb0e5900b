"""Starting a model from the weights of another: a coarser stage, other classes, other input channels."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from zoo.dependence import first_layer
from zoo.encoders._first_conv import adapt_first_conv
from zoo.errors import CheckpointError
from zoo.hub.checkpoint import AUXILIARY, listed, read_tensors
from zoo.hub.header import Header, read_header
from zoo.model import SegmentationModel

logger = logging.getLogger("zoo")


def start_from(model: SegmentationModel, path: str | os.PathLike[str], *, strict: bool = False) -> None:
    """Copy what fits, by name and shape, from a weight file into a model; log one line about the rest.

    This is how a coarser stage starts a finer one (FCN-32s → 16s → 8s) and how a model gets another number of
    classes: its classifier starts anew, everything else is kept. A first layer for another number of input channels
    is adapted: the sum of the kernels for one channel, else the kernels in turn, scaled to keep the response.

    Args:
        model: The model, changed in place.
        path: The file.
        strict: Whether anything that does not fit is an error. An auxiliary head that only one of the two has is
            mentioned only then.

    Raises:
        CheckpointError: The file cannot be read, or nothing in it fits; or, if `strict`, not everything does.
    """
    path = Path(path)
    header = read_header(path)
    state = read_tensors(path, header)
    own = model.state_dict()
    adapted = [] if strict else _adapt_first_layer(model, header, state, own)
    fitting = {name: tensor for name, tensor in state.items() if name in own and own[name].shape == tensor.shape}
    if not fitting:
        raise CheckpointError(f"nothing in {path} ({header.config.name}) fits {model.config.name}")
    fresh = [name for name in own if name not in fitting]
    unused = [name for name in state if name not in fitting]
    if strict and (fresh or unused):
        raise CheckpointError(f"{path} ({header.config.name}) does not fit {model.config.name}{_rest(fresh, unused)}")
    model.load_state_dict(fitting, strict=False)
    if header.config.in_channels == model.config.in_channels:
        same = header.config.num_classes == model.config.num_classes
        model.config = model.config.describing(
            input=header.config.input,
            classes=header.config.classes if same else None,
            palette=header.config.palette if same else None,
        )
    else:
        model.config = model.config.describing(input=header.config.input.with_channels(model.config.in_channels))
    fresh = [name for name in fresh if name in state or not name.startswith(AUXILIARY)]
    unused = [name for name in unused if name in own or not name.startswith(AUXILIARY)]
    if fresh or unused or adapted:
        channels = f"{header.config.in_channels} to {model.config.in_channels} input channels"
        logger.warning(
            "%s: took %d of %d tensors%s%s",
            path.name,
            len(fitting),
            len(state),
            _rest(fresh, unused),
            f"; adapted from {channels}: {listed(adapted)}" if adapted else "",
        )


def _adapt_first_layer(
    model: SegmentationModel, header: Header, state: dict[str, Tensor], own: Mapping[str, Tensor]
) -> list[str]:
    """Fit the layers of `state` that see the input to the model's channels; returns their names."""
    old, new = header.config.in_channels, model.config.in_channels
    if old == new:
        return []
    adapted = []
    for name in sorted(first_layer(model) & state.keys()):
        given, wanted = state[name].shape, own[name].shape
        if given[1:2] == (old,) and (given[:1], given[2:]) == (wanted[:1], wanted[2:]) and wanted[1] == new:
            adapt_first_conv(state, name, new)
            adapted.append(name)
    return adapted


def _rest(fresh: list[str], unused: list[str]) -> str:
    return (f"; starting anew: {listed(fresh)}" if fresh else "") + (
        f"; left aside: {listed(unused)}" if unused else ""
    )
