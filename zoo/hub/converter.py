"""What an architecture or encoder brings so that published weights of it can be taken over.

A manifest names, for each format, something with the signature of `Translate`. Where the file itself says something
about the net (its classes, an auxiliary head), it is a `Converter`, which has the function and more.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from torch import Tensor, nn

from zoo.config import InputSpec
from zoo.errors import CheckpointError, did_you_mean
from zoo.manifest import Spec

State = Mapping[str, Tensor]

Translate = Callable[[State, nn.Module], dict[str, Tensor]]
"""(foreign state, our model or encoder) → its state in our names. The model may have no storage: its names and shapes
count. Raises `CheckpointError` where a tensor is missing or belongs to no such net; shapes are checked afterwards."""


class Foreign(NamedTuple):
    """A foreign file, read.

    Attributes:
        state: Its tensors. Those of Caffe's layers are ``layer.weight``, ``layer.bias``, ``layer.blob2`` …
        description: What its writer says of the model; empty where it says nothing.
    """

    state: dict[str, Tensor]
    description: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Implied:
    """What a file says of the net that it is for; None or nothing where it does not.

    Attributes:
        architecture: Name of the architecture.
        encoder: Name of the encoder.
        num_classes: K.
        in_channels: C.
        options: Options of architecture and encoder.
        input: How pictures are prepared.
    """

    architecture: str | None = None
    encoder: str | None = None
    num_classes: int | None = None
    in_channels: int | None = None
    options: dict[str, Any] = field(default_factory=dict)
    input: InputSpec | None = None


@dataclass(frozen=True, slots=True)
class Converter:
    """How one format of weights becomes ours.

    Attributes:
        translate: Renames and reshapes.
        implies: Reads off the file what must be known before the net is built.
    """

    translate: Translate
    implies: Callable[[Foreign], Implied] = lambda foreign: Implied()


def find_converter(format: str, *specs: Spec) -> Converter:
    """The converter of the first component that has one for a format.

    Args:
        format: ``"caffe"``, ``"torchvision"`` …
        specs: Where to look, the most specific first.

    Raises:
        CheckpointError: None has; says which formats there are.
        PluginError: It cannot be imported.
    """
    for spec in specs:
        if format in spec.converters:
            found = spec.load_converter(format)
            return found if isinstance(found, Converter) else Converter(found)
    known = sorted({known for spec in specs for known in spec.converters} | {"zoo"})
    raise CheckpointError(
        f"{specs[0].name!r} cannot be converted from {format!r}, only from {', '.join(known)}."
        f"{did_you_mean(format, known)}"
    )


def size_of(state: State, *names: str) -> int | None:
    """The first dimension of the first of these tensors that there is: the classes of a classifier."""
    for name in names:
        if name in state and state[name].dim() > 0:
            return state[name].shape[0]
    return None


def without(state: State, *prefixes: str) -> dict[str, Tensor]:
    """The state without the tensors whose names begin so: a classifier that has no place in an encoder."""
    return {name: tensor for name, tensor in state.items() if not name.startswith(prefixes)}
