"""ImageNet weights for the VGG family, from torchvision's or timm's files."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from zoo.config import InputSpec
from zoo.encoders._first_conv import adapt_first_conv
from zoo.errors import CheckpointError, OptionError
from zoo.hub.converter import Converter, Foreign, Implied, State, without
from zoo.hub.encoder_file import load_encoder
from zoo.hub.locate import published_encoder

if TYPE_CHECKING:
    from zoo.encoders.vgg import VGG

logger = logging.getLogger("zoo")


def load(encoder: "VGG", source: str) -> None:
    """Load ImageNet weights into a VGG encoder.

    Args:
        encoder: The encoder; layers it does not have (fc6, or what lies beyond its last tap) are left out.
        source: ``"imagenet"`` for torchvision's file, fetched once, or the path of a file: one that
            `zoo hub convert` made, or a state dict of torchvision or timm.

    Raises:
        OptionError: `source` is neither.
        CheckpointError: The file is not a VGG of this depth.
    """
    if source == "imagenet":
        path = published_encoder(encoder.depth + "_bn" * encoder.batch_norm, "torchvision")
    else:
        path = Path(source)
        if not path.is_file():
            raise OptionError(f"encoder_weights={source!r}: expected 'imagenet' or the path of a weight file")
    if load_encoder(encoder, path, first="conv1_1.weight", in_channels=encoder.in_channels, may_lack=("bn",)):
        return
    state = from_torchvision(encoder, read_state(path), str(path))
    adapt_first_conv(state, "conv1_1.weight", encoder.in_channels)
    encoder.load_state_dict(state)


def read_state(path: Path) -> dict[str, Tensor]:
    """Read the state dict in a safetensors file or a pickle of nothing but tensors."""
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises a dozen kinds for what is no pickle
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise CheckpointError(f"{path} is not a file of weights: {reason}") from None
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise CheckpointError(f"{path} is not a file of weights: it holds no state dict")
    return dict(state)


def from_torchvision(encoder: "VGG", state: Mapping[str, Tensor], source: str = "the state dict") -> dict[str, Tensor]:
    """Rename torchvision's or timm's keys to ours; the classifier's matrices become convolutions.

    ``features.N`` → ``conv1_1`` …, ``bn1_1`` …; ``classifier.0``/``pre_logits.fc1`` (4096, 25088) → ``fc6``
    (4096, 512, 7, 7); ``classifier.3``/``pre_logits.fc2`` → ``fc7`` (4096, 4096, 1, 1).

    Batch norms that no such file has keep their initial values: those of the classifier, and all of them when a net
    with batch norm starts from a file without, as DeconvNet did; then a line says so.

    Raises:
        CheckpointError: A layer that the encoder has is missing, or has another shape.
    """
    sources: dict[str, tuple[str, ...]] = {
        "fc6": ("classifier.0", "pre_logits.fc1"),
        "fc7": ("classifier.3", "pre_logits.fc2"),
    }
    with_norm = encoder.batch_norm and any(key.endswith("running_mean") for key in state)
    if encoder.batch_norm and not with_norm:
        logger.warning("%s has no batch norm: took its convolutions, the batch norms start anew", source)
    position = 0
    for name, kind in encoder.layers:
        if kind == "conv":
            sources[name] = (f"features.{position}",)
            if with_norm:
                sources[encoder.norms[name]] = (f"features.{position + 1}",)
            position += 3 if with_norm else 2
        elif kind == "pool":
            position += 1
    renamed: dict[str, Tensor] = {}
    for key, own in encoder.state_dict().items():
        layer, _, leaf = key.rpartition(".")
        if layer not in sources:
            renamed[key] = own
            continue
        found = next((state[f"{old}.{leaf}"] for old in sources[layer] if f"{old}.{leaf}" in state), None)
        same_but_inputs = found is not None and layer == "conv1_1" and found.shape[2:] == own.shape[2:]
        if found is None or (found.numel() != own.numel() and not same_but_inputs):
            what = "missing" if found is None else f"of shape {tuple(found.shape)}"
            raise CheckpointError(
                f"{source} does not hold a {encoder.depth}{'_bn' * encoder.batch_norm}: "
                f"{sources[layer][0]}.{leaf}, for our {key} {tuple(own.shape)}, is {what}"
            )
        renamed[key] = found if same_but_inputs else found.reshape(own.shape)
    return renamed


def _translate(state: State, encoder: Any) -> dict[str, Tensor]:
    strange = [key for key in state if not key.startswith(("features.", "classifier.", "pre_logits.", "head."))]
    if strange:
        raise CheckpointError(f"{strange[0]!r} is no tensor of a VGG of torchvision or timm")
    layers = sum(key.startswith("features.") for key in state)
    trunk = sum(not key.startswith("fc") for key in encoder.state_dict())
    if layers not in (trunk, trunk - len(encoder.norms)):  # the latter where batches were not counted
        raise CheckpointError(f"it has {layers} tensors before the classifier, where this net has {trunk}")
    return from_torchvision(encoder, state, "it")


def _translate_published(state: State, encoder: Any) -> dict[str, Tensor]:
    if any(key.startswith("features.") for key in state):
        return _translate(state, encoder)
    return without(state, "fc8.")


def _implies(foreign: Foreign) -> Implied:
    whole = {"classifier.0.weight", "pre_logits.fc1.weight", "fc6.weight"} & foreign.state.keys()
    return Implied(options={"classifier": True} if whole else {})


def _implies_caffe(foreign: Foreign) -> Implied:
    return Implied(options=_implies(foreign).options, input=CAFFE)


CAFFE = InputSpec("BGR", 255.0, (104.00699, 116.66877, 122.67892), (1.0, 1.0, 1.0))
"""How pictures are prepared for weights that come from Caffe: blue first, 0…255, ImageNet's mean subtracted."""

CONVERTER = Converter(_translate, _implies)
"""For torchvision's and timm's classifiers."""

FROM_CAFFE = Converter(_translate_published, _implies_caffe)
"""For the authors' weights: as a ``.caffemodel``, or as torchfcn has them under torchvision's names."""
