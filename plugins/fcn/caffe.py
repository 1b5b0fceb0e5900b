"""What the encoders from Caffe's model zoo share: geometry, pooling, normalisation, input, weight files."""

from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.encoders._first_conv import adapt_first_conv
from zoo.encoders._vgg_weights import CAFFE, read_state
from zoo.errors import CheckpointError, OptionError
from zoo.hub.encoder_file import load_encoder
from zoo.interfaces import Encoder, FeatureSpec
from zoo.ops import pad_to

INPUT = CAFFE
"""Blue first, 0…255, ImageNet's mean subtracted. The scale matters without weights too: LRN was made for it."""


def after(
    tap: FeatureSpec, name: str, channels: int, kernel_size: int = 1, *, stride: int = 1, padding: int = 0
) -> FeatureSpec:
    """Where the map of a layer lies that reads `tap` through such windows."""
    if padding < 0:
        raise OptionError(f"a padding of {padding}: expected 0 or more")
    offset = tap.offset + tap.stride * ((kernel_size - 1) / 2 - padding)
    return FeatureSpec(name, channels, tap.stride * stride, offset)


def at_least(x: Tensor, smallest: int) -> Tensor:
    """Fill a picture (N, C, H, W) up with zeros, at the bottom and the right, where a side is less than `smallest`."""
    if min(x.shape[-2:]) < smallest:  # asked here, so that an export for larger pictures knows nothing of it
        return pad_to(x, 1, smallest)
    return x


def pool(x: Tensor) -> Tensor:
    """Maximum over overlapping 3×3 windows at stride 2, sizes rounded up as Caffe does.

    (N, C, h, w), h, w ≥ 2, becomes (N, C, h // 2, w // 2). No value may be negative: `ceil_mode` cannot be exported for
    all sizes at once, so a border of zeros stands for it.
    """
    return F.max_pool2d(F.pad(x, (0, 1, 0, 1)), 3, 2)


def normalize(x: Tensor) -> Tensor:
    """Local response normalisation across channels: x / (1 + 1e-4 / 5 · Σ x²)^0.75, Σ over five neighbours.

    As `torch.nn.functional.local_response_norm`, but several times faster, and right in half precision too.
    """
    wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x  # squares would overflow
    squares = F.pad(wide * wide, (0, 0, 0, 0, 2, 2))
    total = squares[:, :-4]
    for shift in range(1, 5):
        total = total + squares[:, shift : shift + x.shape[1]]
    root = (1 + 1e-4 / 5 * total).rsqrt()
    return x * (root * root.sqrt()).to(x.dtype)  # powers are slow, roots are not


def load(encoder: Encoder, source: str, first: str, in_channels: int) -> None:
    """Load a file with the layers of the Caffe net into an encoder.

    Keys are Caffe's layer names, ``conv1.weight`` or ``inception_3a/3x3.weight`` (``.`` for ``/`` will do). A matrix
    of an inner product becomes the convolution of as many numbers. Layers that the encoder does not have are left out.

    Args:
        encoder: The encoder.
        source: Path of a safetensors file or of a pickle of nothing but tensors.
        first: Key of the first convolution's weight, which is adapted to `in_channels`.
        in_channels: Channels of the input.

    Raises:
        OptionError: There is no such file.
        CheckpointError: It lacks a layer that the encoder has, or holds it in another shape.
    """
    path = Path(source)
    if not path.is_file():
        raise OptionError(f"encoder_weights={source!r}: expected the path of a file with the Caffe net's weights")
    if load_encoder(encoder, path, first=first, in_channels=in_channels):
        return
    given = {key.replace("/", "."): tensor for key, tensor in read_state(path).items()}
    if first in given:
        adapt_first_conv(given, first, in_channels)
    encoder.load_state_dict(_fitted(encoder.state_dict(), given, path))


def _fitted(own: Mapping[str, Tensor], given: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    fitted = {}
    for key, tensor in own.items():
        found = given.get(key)
        if found is None or found.numel() != tensor.numel():
            what = "missing" if found is None else f"of shape {tuple(found.shape)}"
            raise CheckpointError(f"{path} does not hold this net: {key}, {tuple(tensor.shape)} here, is {what}")
        fitted[key] = found.reshape(tensor.shape)
    return fitted
