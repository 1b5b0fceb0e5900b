"""Whatever a picture is given as → one tensor."""

import os
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from zoo.data.images import picture_tensor, read_image
from zoo.errors import DataError

Picture: TypeAlias = str | os.PathLike[str] | Image.Image | NDArray[Any] | Tensor
"""A path, a PIL image, an array (H, W) or (H, W, C), or a tensor (H, W), (C, H, W) or (1, C, H, W)."""

_GREY = (0.299, 0.587, 0.114)  # Rec. 601, as PIL converts
_TOLERANCE = 0.02  # resampling overshoots 0…1 a little


def to_tensor(image: Picture, channels: int) -> Tensor:
    """Turn a picture into what `zoo.ops.normalize` takes.

    Grey becomes RGB and RGB grey as the model needs it, alpha is dropped or added, 16 bits become 8,
    the EXIF orientation of files and PIL images is applied.

    Args:
        image: See `Picture`. Arrays and tensors are uint8, uint16, or floating point in 0…1.
        channels: C, what the model takes. 1 is grey, 3 RGB, 4 RGBA; any other number must be met exactly.

    Returns:
        (C, H, W), uint8 or float32.

    Raises:
        DataError: Not a picture; says what was given and which forms are accepted.
    """
    match image:
        case str() | os.PathLike():
            if channels not in (1, 3, 4):
                raise DataError(
                    f"{os.fspath(image)}: the model takes {channels} channels, picture files have 1, 3 or 4; "
                    "give an array (H, W, C) or a tensor (C, H, W)"
                )
            return read_image(image, channels)
        case Image.Image():
            if channels not in (1, 3, 4):
                raise DataError(f"the model takes {channels} channels, a PIL image has 1, 3 or 4; give an array")
            upright = ImageOps.exif_transpose(image)
            upright.format = image.format
            if 0 in upright.size:
                raise DataError(f"the picture is empty: {upright.width}×{upright.height} pixels")
            return picture_tensor(upright, channels)
        case np.ndarray():
            return _from_array(image, channels)
        case Tensor():
            return _from_tensor(image, channels)
    raise DataError(
        f"a picture is a path, a PIL image, an array (H, W[, C]) or a tensor ([1,] C, H, W); got {type(image).__name__}"
    )


def _from_array(array: NDArray[Any], channels: int) -> Tensor:
    accepted = {1, 3, 4, channels}
    if array.ndim == 2:
        array = array[..., None]
    elif array.ndim != 3 or array.shape[2] not in accepted:
        first = array.ndim == 3 and array.shape[0] in accepted
        hint = "; channels come last in an array: array.transpose(1, 2, 0)" if first else ""
        raise DataError(f"an array is (H, W) or (H, W, C) with C = {_list(accepted)}; got {array.shape}{hint}")
    if array.dtype.kind not in "uf":
        raise DataError(f"a picture is uint8, uint16 or floating point in 0…1; got {array.dtype}")
    if array.dtype == np.uint16:
        array = (array // 257).astype(np.uint8)
    array = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("="), copy=False))
    if not array.flags.writeable:
        array = array.copy()  # torch warns of memory that it might write to
    return to_channels(_checked(torch.from_numpy(array).permute(2, 0, 1)), channels)


def _from_tensor(tensor: Tensor, channels: int) -> Tensor:
    accepted = {1, 3, 4, channels}
    given = tuple(tensor.shape)
    tensor = tensor.detach().as_subclass(Tensor)
    if tensor.ndim == 4:
        if tensor.shape[0] != 1:
            raise DataError(f"one picture at a time; got a batch {given}. `model(x)` takes batches of prepared input.")
        tensor = tensor[0]
    if tensor.ndim == 2:
        tensor = tensor[None]
    if tensor.ndim != 3 or tensor.shape[0] not in accepted:
        last = tensor.ndim == 3 and tensor.shape[2] in accepted
        hint = "; channels come first in a tensor: tensor.permute(2, 0, 1)" if last else ""
        raise DataError(f"a tensor is (C, H, W) or (1, C, H, W) with C = {_list(accepted)}; got {given}{hint}")
    if tensor.dtype == torch.uint16:
        tensor = (tensor.int() // 257).byte()
    return to_channels(_checked(tensor), channels)


def _checked(tensor: Tensor) -> Tensor:
    """Pass uint8, and floats in 0…1 as float32."""
    if tensor.numel() == 0:
        raise DataError(f"the picture is empty: {tensor.shape[2]}×{tensor.shape[1]} pixels")
    if tensor.dtype == torch.uint8:
        return tensor
    if not tensor.is_floating_point():
        raise DataError(f"a picture is uint8, uint16 or floating point in 0…1; got {tensor.dtype}")
    tensor = tensor.float()
    low, high = (float(bound) for bound in tensor.aminmax())
    if not (low >= -_TOLERANCE and high <= 1 + _TOLERANCE):  # written so that NaN fails too
        raise DataError(
            f"floating-point pictures lie in 0…1; this one in {low:.4g}…{high:.4g}. Divide 0…255 by 255 (or give "
            "uint8), and leave mean and standard deviation to the model."
        )
    return tensor


def to_channels(tensor: Tensor, channels: int) -> Tensor:
    """Convert between grey, RGB and RGBA; (C, H, W) with C in {1, 3, 4} or already `channels`."""
    if tensor.shape[0] == channels:
        return tensor
    if channels not in (1, 3, 4):
        raise DataError(f"the model takes {channels} channels; the picture has {tensor.shape[0]}")
    color = tensor[:3] if tensor.shape[0] == 4 else tensor
    if channels == 1:
        if color.shape[0] == 1:
            return color
        grey = (color.float() * torch.tensor(_GREY, device=color.device).view(3, 1, 1)).sum(0, keepdim=True)
        return grey.round().byte() if color.dtype == torch.uint8 else grey
    if color.shape[0] == 1:
        color = color.expand(3, -1, -1)
    if channels == 3:
        return color
    opaque = torch.full_like(color[:1], 255 if color.dtype == torch.uint8 else 1)
    return torch.cat((color, opaque))


def _list(numbers: set[int]) -> str:
    *most, last = sorted(numbers)
    return f"{', '.join(map(str, most))} or {last}"
