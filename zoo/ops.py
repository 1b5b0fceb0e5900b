"""The few building blocks that everyone shares."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.config import InputSpec


def resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize (N, C, h, w) bilinearly to `size` = (H, W), pixel areas aligned (``align_corners=False``)."""
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


def crop(x: Tensor, size: tuple[int, int], top: int = 0, left: int = 0) -> Tensor:
    """Cut (N, C, H, W) to `size` = (h, w), starting at row `top` and column `left`."""
    return x[..., top : top + size[0], left : left + size[1]]


def conv_norm_act(
    in_channels: int,
    out_channels: int,
    kernel_size: int = 3,
    *,
    stride: int = 1,
    dilation: int = 1,
    groups: int = 1,
    norm: bool = True,
) -> nn.Sequential:
    """Convolution that keeps the size (at stride 1), BatchNorm, ReLU; a bias only where there is no norm."""
    padding = dilation * (kernel_size - 1) // 2
    conv = nn.Conv2d(
        in_channels, out_channels, kernel_size, stride, padding, dilation=dilation, groups=groups, bias=not norm
    )
    layers: list[nn.Module] = [conv]
    if norm:
        layers.append(nn.BatchNorm2d(out_channels))
    layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


def bilinear_kernel(size: int) -> Tensor:
    """The (size, size) kernel with which a transposed convolution interpolates bilinearly.

    1 - |i - c| / f along each axis, with f = (size + 1) // 2 and c the kernel's centre: Caffe's bilinear
    filler, as the FCN nets use it.
    """
    factor = (size + 1) // 2
    center = factor - 1 if size % 2 else factor - 0.5
    line = 1 - (torch.arange(size, dtype=torch.float64) - center).abs() / factor
    return torch.outer(line, line).float()


class BilinearUpsample(nn.ConvTranspose2d):
    """Bilinear interpolation written as a transposed convolution, without padding or bias.

    Its weight (K, K, k, k) holds `bilinear_kernel` on the channel diagonal and zeros elsewhere. It counts as
    a parameter, as in the released FCN nets, and learns only when `learnable`.

    A map of h cells becomes (h - 1) · stride + k; cell 0 of the result lies (k - 1) / 2 cells before
    cell 0 of the input.
    """

    def __init__(self, channels: int, kernel_size: int, stride: int, *, learnable: bool = False) -> None:
        super().__init__(channels, channels, kernel_size, stride, bias=False)
        self.weight.requires_grad_(learnable)

    def reset_parameters(self) -> None:
        if self.weight.is_meta:
            return
        with torch.no_grad():
            self.weight.zero_()
            diagonal = torch.arange(self.in_channels)
            self.weight[diagonal, diagonal] = bilinear_kernel(self.kernel_size[0]).to(self.weight)


def normalize(image: Tensor, spec: InputSpec) -> Tensor:
    """Turn pictures into a model's input.

    Args:
        image: (…, C, H, W); uint8, or floating point in [0, 1]; three channels are RGB.
        spec: The model's input convention.

    Returns:
        Float tensor of the same shape, channels in `spec.order`: ``(image · scale - mean) / std``.
    """
    if image.shape[-3] != spec.channels:
        raise ValueError(f"a picture of {image.shape[-3]} channels for a model of {spec.channels}")
    scale = spec.scale / 255 if image.dtype == torch.uint8 else spec.scale
    x = image.float() if not image.is_floating_point() else image
    if spec.order == "BGR":
        x = x.flip(-3)
    mean = torch.tensor(spec.mean, dtype=x.dtype, device=x.device).view(-1, 1, 1)
    std = torch.tensor(spec.std, dtype=x.dtype, device=x.device).view(-1, 1, 1)
    return (x * scale - mean) / std


def pad_to(x: Tensor, multiple: int, minimum: int = 1) -> Tensor:
    """Pad (N, C, H, W) at the bottom and the right with zeros to at least `minimum` and a multiple of `multiple`."""
    if multiple == 1 and minimum == 1:
        return x
    height, width = (max(-(-length // multiple) * multiple, minimum) for length in x.shape[-2:])
    return F.pad(x, (0, width - x.shape[-1], 0, height - x.shape[-2]))
