"""ImageNet weights for SqueezeNet, from torchvision's file or from Caffe's, as arrays or as a ``.caffemodel``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from zoo.config import InputSpec
from zoo.encoders._vgg_weights import CAFFE
from zoo.errors import CheckpointError, OptionError
from zoo.hub.converter import Converter, Implied, State
from zoo.hub.encoder_file import load_encoder
from zoo.hub.locate import published_encoder

if TYPE_CHECKING:
    from zoo.encoders.squeezenet import SqueezeNet

_FEATURES = {"conv1": 0, **{f"fire{n}": f for n, f in zip(range(2, 10), (3, 4, 5, 7, 8, 9, 10, 12), strict=True)}}
"""Where torchvision's row of features has each layer; its other members are ReLU and poolings."""

_CAFFE = {
    "squeeze": ("squeeze1x1", "conv1x1_1"),
    "expand1x1": ("expand1x1", "conv1x1_2"),
    "expand3x3": ("expand3x3", "conv3x3_2"),
}
"""What the authors call the convolutions of a module, and what the arrays of Apple's model do."""


def load(encoder: "SqueezeNet", source: str) -> None:
    """Load ImageNet weights; what is not in the published net keeps its initial values.

    Args:
        encoder: The encoder.
        source: ``"imagenet"`` for torchvision's file, fetched once, or the path of a file that `zoo hub convert` made.

    Raises:
        OptionError: There is no such file, or it is none that `zoo hub convert` made.
        CheckpointError: It is of another net.
    """
    path = published_encoder("squeezenet1_0", "torchvision") if source == "imagenet" else Path(source)
    fresh = tuple(key for key in encoder.state_dict() if _is_ours(key))
    if not path.is_file() or not load_encoder(
        encoder, path, first="conv1.0.weight", in_channels=encoder.in_channels, may_lack=fresh
    ):
        raise OptionError(
            f"encoder_weights={source!r}: SqueezeNet takes None, 'imagenet' or the path of a file that "
            "`zoo hub convert` made"
        )


def _is_ours(key: str) -> bool:
    """Whether no published file has that tensor: a norm's, or one of the added stage."""
    return key.startswith(("fire10.", "fire11.", "conv1.1.")) or ".norm" in key


def _translate(state: State, encoder: Any) -> dict[str, Tensor]:
    named: dict[str, Tensor] = {}
    for key in encoder.state_dict():
        layer, part, leaf = key.split(".")
        old = f"features.{_FEATURES[layer]}" + ("" if layer == "conv1" else f".{part}")
        candidates = [f"{old}.{leaf}"]
        candidates += [f"{layer}.{leaf}"] if layer == "conv1" else [f"{layer}/{name}.{leaf}" for name in _CAFFE[part]]
        found = next((state[name] for name in candidates if name in state), None)
        if found is None:
            raise CheckpointError(f"it is no SqueezeNet 1.0: {' or '.join(candidates)}, for our {key}, is missing")
        named[key] = found
    return named


def _translate_caffe(state: State, encoder: Any) -> dict[str, Tensor]:
    """As above, with maps of ordinary size.

    What was trained on 0…255 has maps with values in the hundreds, beside which a decoder's own maps do not count.
    All layers are homogeneous, so the same net on pictures divided by `_SCALE` has its biases, and its maps, divided
    by it, and nothing else changes.
    """
    named = _translate(state, encoder)
    return {key: tensor / _SCALE if key.endswith(".bias") else tensor for key, tensor in named.items()}


_SCALE = 58.0
"""About the standard deviation of ImageNet's pictures."""

_INPUT = InputSpec(CAFFE.order, CAFFE.scale, CAFFE.mean, (_SCALE, _SCALE, _SCALE))

_PUBLISHED = {"stages": 4}

CONVERTER = Converter(_translate, lambda foreign: Implied(options=_PUBLISHED))
"""For torchvision's classifier."""

FROM_CAFFE = Converter(_translate_caffe, lambda foreign: Implied(options=_PUBLISHED, input=_INPUT))
"""For what was trained with Caffe: blue first, the mean subtracted."""
