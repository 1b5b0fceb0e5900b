"""Caffe without Caffe, for tests: a writer of its weight files, and its nets in plain functions."""

import struct
from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

Blobs = Mapping[str, Sequence[Tensor]]

WIDTHS = (4, 6, 8, 10, 12)
"""Those of the fixture `narrow_vgg`."""

DEPTHS = (2, 2, 3, 3, 3)
CODE = 16


def varint(value: int) -> bytes:
    out = bytearray()
    while True:
        value, low = value >> 7, value & 0x7F
        out.append(low | (0x80 if value else 0))
        if not value:
            return bytes(out)


def key(number: int, wire: int) -> bytes:
    return varint(number << 3 | wire)


def message(number: int, content: bytes) -> bytes:
    return key(number, 2) + varint(len(content)) + content


def blob(tensor: Tensor, *, old_shape: bool = False, packed: bool = True, double: bool = False) -> bytes:
    """A BlobProto: its shape in either form, its numbers packed or one by one, in single or double precision."""
    values = tensor.detach().numpy().astype("<f8" if double else "<f4").ravel()
    number, wire = (8, 1) if double else (5, 5)
    if old_shape:
        sizes = [1] * (4 - tensor.dim()) + list(tensor.shape)
        shape = b"".join(key(index, 0) + varint(size) for index, size in enumerate(sizes, 1))
    elif packed:
        shape = message(7, message(1, b"".join(varint(size) for size in tensor.shape)))
    else:
        shape = message(7, b"".join(key(1, 0) + varint(size) for size in tensor.shape))
    if packed:
        return shape + message(number, values.tobytes())
    one = key(number, wire)
    return b"".join(one + value.tobytes() for value in values) + shape


def caffemodel(layers: Blobs, *, v1: bool = False, **form: bool) -> bytes:
    """A NetParameter with these layers, and with a data layer and a ReLU that have no blobs, as real files have."""
    name_field, type_field, blob_field, layer_field = (4, 5, 6, 2) if v1 else (1, 2, 7, 100)

    def layer(name: str, blobs: Sequence[Tensor]) -> bytes:
        kind = key(type_field, 0) + varint(4) if v1 else message(type_field, b"Convolution")
        bottom = message(2 if v1 else 3, b"data")
        ratio = key(61, 5) + struct.pack("<f", 1.0)  # a field that nobody asked for
        content = message(name_field, name.encode()) + kind + bottom + ratio
        return message(layer_field, content + b"".join(message(blob_field, blob(one, **form)) for one in blobs))

    parts = [message(1, b"a net"), layer("data", []), layer("relu", [])]
    return b"".join(parts + [layer(name, blobs) for name, blobs in layers.items()])


def conv_blobs(out: int, into: int, size: int, generator: torch.Generator, groups: int = 1) -> list[Tensor]:
    """A convolution's weight and bias that keep what flows through at the order of 1."""
    weight = torch.randn(out, into // groups, size, size, generator=generator)
    return [weight * (2 / (into // groups * size * size)) ** 0.5, torch.randn(out, generator=generator) * 0.1]


def vgg16_blobs(channels: int = 3, suffix: str = "", seed: int = 0) -> dict[str, list[Tensor]]:
    """The trunk of the FCN nets with fc6 and fc7 as convolutions, in narrow."""
    generator = torch.Generator().manual_seed(seed)
    layers = {}
    for block, (depth, width) in enumerate(zip(DEPTHS, WIDTHS, strict=True), 1):
        for index in range(1, depth + 1):
            layers[f"conv{block}_{index}{suffix}"] = conv_blobs(width, channels, 3, generator)
            channels = width
    layers[f"fc6{suffix}"] = conv_blobs(CODE, channels, 7, generator)
    layers[f"fc7{suffix}"] = conv_blobs(CODE, CODE, 1, generator)
    return layers


def bilinear(classes: int, size: int) -> Tensor:
    """The fixed kernel of an upsampling layer, by the published formula."""
    factor = (size + 1) // 2
    centre = factor - 1 if size % 2 else factor - 0.5
    line = 1 - (torch.arange(size) - centre).abs() / factor
    weight = torch.zeros(classes, classes, size, size)
    for index in range(classes):
        weight[index, index] = line[:, None] * line[None, :]
    return weight


def fcn_blobs(stride: int, classes: int = 21, *, at_once: bool = False, suffix: str = "") -> dict[str, list[Tensor]]:
    """The layers of a head of FCN-32s, 16s or 8s, in narrow."""
    generator = torch.Generator().manual_seed(stride)
    layers = {f"score_fr{suffix}": conv_blobs(classes, CODE, 1, generator)}
    if stride == 32:
        return layers | {f"upscore{suffix}": [bilinear(classes, 64)]}
    layers[f"upscore2{suffix}"] = [bilinear(classes, 4)]
    if at_once:
        layers["scale_pool4"] = [torch.full((WIDTHS[3],), 0.01)]
    layers[f"score_pool4{suffix}"] = conv_blobs(classes, WIDTHS[3], 1, generator)
    if stride == 16:
        return layers | {f"upscore16{suffix}": [bilinear(classes, 32)]}
    layers[f"upscore_pool4{suffix}"] = [bilinear(classes, 4)]
    if at_once:
        layers["scale_pool3"] = [torch.full((WIDTHS[2],), 0.0001)]
    layers[f"score_pool3{suffix}"] = conv_blobs(classes, WIDTHS[2], 1, generator)
    return layers | {f"upscore8{suffix}": [bilinear(classes, 16)]}


def conv(layers: Blobs, name: str, x: Tensor, padding: int = 0, **options: int) -> Tensor:
    weight, bias = layers[name]
    return F.conv2d(x, weight.reshape(weight.shape[-4:]), bias.flatten(), padding=padding, **options)


def trunk(layers: Blobs, x: Tensor, suffix: str = "") -> dict[str, Tensor]:
    """VGG-16 as published, padded by 100: all poolings, and fc7."""
    maps = {}
    for block, depth in enumerate(DEPTHS, 1):
        for index in range(1, depth + 1):
            x = F.relu(conv(layers, f"conv{block}_{index}{suffix}", x, 100 if block == index == 1 else 1))
        x = maps[f"pool{block}"] = F.max_pool2d(x, 2, 2, ceil_mode=True)
    x = F.relu(conv(layers, f"fc6{suffix}", x))
    maps["fc7"] = F.relu(conv(layers, f"fc7{suffix}", x))
    return maps


def crop(x: Tensor, like: Tensor, offset: int) -> Tensor:
    """Caffe's crop layer."""
    height, width = like.shape[-2:]
    return x[..., offset : offset + height, offset : offset + width]


def deconv(layers: Blobs, name: str, x: Tensor, stride: int) -> Tensor:
    weight, *bias = layers[name]
    return F.conv_transpose2d(x, weight, bias[0].flatten() if bias else None, stride=stride)


def fcn(layers: Blobs, x: Tensor, stride: int, *, at_once: bool = False, suffix: str = "") -> Tensor:
    """The scores of FCN-32s, 16s or 8s for a prepared picture."""
    maps = trunk(layers, x)
    score = conv(layers, f"score_fr{suffix}", maps["fc7"])
    if stride == 32:
        return crop(deconv(layers, f"upscore{suffix}", score, 32), x, 19)
    score = deconv(layers, f"upscore2{suffix}", score, 2)
    fine = conv(layers, f"score_pool4{suffix}", maps["pool4"] * (0.01 if at_once else 1))
    score = score + crop(fine, score, 5)
    if stride == 16:
        return crop(deconv(layers, f"upscore16{suffix}", score, 16), x, 27)
    score = deconv(layers, f"upscore_pool4{suffix}", score, 2)
    fine = conv(layers, f"score_pool3{suffix}", maps["pool3"] * (0.0001 if at_once else 1))
    score = score + crop(fine, score, 9)
    return crop(deconv(layers, f"upscore8{suffix}", score, 8), x, 31)


def prepared(photo: np.ndarray, mean: Sequence[float]) -> Tensor:
    """A picture (H, W, 3), RGB, 0…255, as Caffe's data layers prepare it: blue first, the mean subtracted."""
    values = photo[:, :, ::-1].astype(np.float32) - np.array(mean, np.float32)
    return torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))[None]
