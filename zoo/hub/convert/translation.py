"""What converting a model and converting an encoder share."""

from pathlib import Path

import torch
from torch import Tensor, nn

from zoo.assembly import build
from zoo.config import InputSpec, ModelConfig
from zoo.errors import CheckpointError
from zoo.hub.convert.fitting import fitted
from zoo.hub.convert.provenance import Provenance
from zoo.hub.converter import Converter, Foreign, Implied
from zoo.hub.skeleton import hollow
from zoo.model import SegmentationModel


def translated(path: Path, name: str, converter: Converter, foreign: Foreign, net: nn.Module) -> dict[str, Tensor]:
    """The foreign tensors under the names and in the shapes of `net`, every one of them and no other.

    `foreign` is emptied, so that nothing is held twice.

    Raises:
        CheckpointError: They are of another net.
    """
    with torch.no_grad():
        try:
            given = dict(converter.translate(foreign.state, net))  # it may be the very one that is emptied below
        except (CheckpointError, RuntimeError, ValueError, TypeError, LookupError) as error:  # strange shapes
            raise CheckpointError(f"{path} does not fit {name}: {error}") from error
        foreign.state.clear()
        return fitted(given, net.state_dict(), f"{path} does not fit {name}")


def built(config: ModelConfig, path: Path) -> SegmentationModel:
    """The model of a config, without its numbers where that is possible.

    Raises:
        CheckpointError: There cannot be such a model: the file implies absurd sizes.
    """
    try:
        return hollow(lambda: build(config))
    except (RuntimeError, TypeError, OverflowError) as error:
        raise CheckpointError(f"{path} is for a model that cannot be built: {error}") from error


def input_of(origin: Provenance, implied: Implied, default: InputSpec, channels: int) -> InputSpec:
    """How pictures are prepared: what the record says, else the file's format, else our net."""
    if "input" in origin.record:
        try:
            given = InputSpec.from_json(origin.record["input"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(f"its record says of the input what cannot be: {error}") from None
        if given.channels == channels:
            return given
    return (implied.input or default).with_channels(channels)
