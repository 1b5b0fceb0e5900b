"""The few building blocks that everyone shares."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.config import InputSpec


class AdaptiveAvgPool2d(nn.AdaptiveAvgPool2d):
    """Means over a fixed grid of windows, as `torch.nn.AdaptiveAvgPool2d`, which no exporter can write for all sizes.

    While a model is exported the means are two matrix products, equal up to rounding.
    """

    def forward(self, input: Tensor) -> Tensor:
        if not torch.compiler.is_exporting():
            return super().forward(input)
        cells = self.output_size if isinstance(self.output_size, tuple) else (self.output_size, self.output_size)
        rows, columns = (
            _window_means(int(count or 1), length, input) for count, length in zip(cells, input.shape[-2:], strict=True)
        )
        return rows @ input @ columns.mT


def _window_means(count: int, length: int, like: Tensor) -> Tensor:
    """(count, length): row i averages the cells from ⌊i · length / count⌋ to ⌈(i + 1) · length / count⌉."""
    cell = torch.arange(length, device=like.device) * count
    window = torch.arange(count, device=like.device).view(-1, 1) * length
    inside = ((cell > window - count) & (cell < window + length)).to(like.dtype)
    return inside / inside.sum(1, keepdim=True)


def resize(x: Tensor, size: tuple[int, int], *, align_corners: bool = False) -> Tensor:
    """Resize (N, C, h, w) bilinearly to `size` = (H, W).

    The areas of the pixels are aligned; with `align_corners`, the centres of the corner pixels, as some nets want it.
    """
    return F.interpolate(x, size=size, mode="bilinear", align_corners=align_corners)


def crop(x: Tensor, size: tuple[int, int], top: int = 0, left: int = 0) -> Tensor:
    """Cut (N, C, H, W) to `size` = (h, w), starting at row `top` and column `left`."""
    if torch.compiler.is_compiling():  # a copy, for the reason given at `fit`; otherwise a view will do
        return F.pad(x, (-left, left + size[1] - x.shape[-1], -top, top + size[0] - x.shape[-2]))
    return x[..., top : top + size[0], left : left + size[1]]


def fit(x: Tensor, size: tuple[int, int], top: int = 0, left: int = 0) -> Tensor:
    """As `crop`; where the map ends too early, its last row or column is repeated.

    The result is a copy. Whether a slice is contiguous depends on whether it cuts anything off, and `torch.export`
    would hold a model to the case that it happened to see.
    """
    bottom, right = top + size[0] - x.shape[-2], left + size[1] - x.shape[-1]
    if bottom > 0 or right > 0:
        x = F.pad(x, (0, max(right, 0), 0, max(bottom, 0)), mode="replicate")
        bottom, right = min(bottom, 0), min(right, 0)
    return F.pad(x, (-left, right, -top, bottom))


class BatchNorm2d(nn.BatchNorm2d):
    """Batch norm that can be trained on a batch with one value per channel.

    One value has no variance, and torch refuses it ("Expected more than 1 value per channel when training"). It
    happens after global pooling with one picture in the batch. This norm then uses its running statistics and leaves
    them as they are; scale and shift go on learning. Otherwise, and in its state dict, it is `nn.BatchNorm2d`.
    """

    def forward(self, input: Tensor) -> Tensor:
        # The mode first: an export of the model in evaluation mode must not learn a condition on the size.
        if self.training and input.shape[0] == input.shape[2] == input.shape[3] == 1 and self.running_mean is not None:
            statistics = (self.running_mean, self.running_var)
            return F.batch_norm(input, *statistics, self.weight, self.bias, training=False, eps=self.eps)
        return super().forward(input)


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
        layers.append(BatchNorm2d(out_channels))
    layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


def separable_conv_norm_act(in_channels: int, out_channels: int, *, dilation: int = 1) -> nn.Sequential:
    """3×3 convolution of each channel alone, then 1×1 across channels; BatchNorm and ReLU after both (Chen, 2018)."""
    depthwise = conv_norm_act(in_channels, in_channels, 3, dilation=dilation, groups=in_channels)
    return nn.Sequential(depthwise, conv_norm_act(in_channels, out_channels, 1))


class ScoreConv(nn.Conv2d):
    """1×1 convolution to class scores. Its bias is added apart from the products; the result is the same.

    Together, torch 2.15 writes past the end of the bias gradient when it trains in bfloat16 on a CPU with matrix
    units (AMX), over 3,000 input channels and fewer than 16 classes: FCN's `score_fr`. The process crashes, or worse.
    """

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__(in_channels, num_classes, 1)

    def forward(self, input: Tensor) -> Tensor:
        assert self.bias is not None
        return F.conv2d(input, self.weight) + self.bias.view(-1, 1, 1)


class ASPP(nn.Module):
    """Atrous spatial pyramid pooling (Chen et al., 2017: Rethinking Atrous Convolution, section 3.3).

    A 1×1 convolution, one dilated 3×3 convolution per rate, and the mean of the whole map, side by side; then 1×1
    to `out_channels`. All with BatchNorm and ReLU. Keeps the size of its map; layers are named as in torchvision.

    Args:
        in_channels: C of the map.
        out_channels: C of the result.
        rates: Dilations of the 3×3 branches.
        width: Channels of each branch.
        image_pooling: Whether there is a branch for the mean of the map.
        dropout: Probability after the projection.
        separable: Make the 3×3 branches depthwise separable, as DeepLabV3+ may.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int = 256,
        *,
        rates: Sequence[int] = (6, 12, 18),
        width: int = 256,
        image_pooling: bool = True,
        dropout: float = 0.0,
        separable: bool = False,
    ) -> None:
        super().__init__()
        branches: list[nn.Module] = [conv_norm_act(in_channels, width, 1)]
        for rate in rates:
            if separable:
                branches.append(separable_conv_norm_act(in_channels, width, dilation=rate))
            else:
                branches.append(conv_norm_act(in_channels, width, 3, dilation=rate))
        if image_pooling:
            branches.append(_ImagePooling(in_channels, width))
        self.convs = nn.ModuleList(branches)
        self.project = nn.Sequential(*conv_norm_act(len(branches) * width, out_channels, 1), nn.Dropout(dropout))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, h, w) to (N, out_channels, h, w)."""
        projected: Tensor = self.project(torch.cat([branch(x) for branch in self.convs], dim=1))
        return projected


class _ImagePooling(nn.Sequential):
    """The mean over the map, convolved, everywhere."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(nn.AdaptiveAvgPool2d(1), *conv_norm_act(in_channels, out_channels, 1))

    def forward(self, input: Tensor) -> Tensor:
        mean = input
        for layer in self:
            mean = layer(mean)
        return mean.expand(-1, -1, *input.shape[-2:])


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
    mean, std = (
        torch.tensor(values, dtype=x.dtype).to(x.device, non_blocking=True).view(-1, 1, 1)  # without waiting for a GPU
        for values in (spec.mean, spec.std)
    )
    return (x * scale - mean) / std


def ceil_div(length: int, step: int) -> int:
    """How many steps cover a length, both positive: length / step, rounded up.

    The usual ``-(-length // step)`` divides a negative number, which ONNX rounds the other way.
    """
    return (length + step - 1) // step


def pad_to(x: Tensor, multiple: int, minimum: int = 1) -> Tensor:
    """Pad (N, C, H, W) at the bottom and the right with zeros to at least `minimum` and a multiple of `multiple`."""
    if multiple == 1 and minimum == 1:
        return x
    height, width = (max(ceil_div(length, multiple) * multiple, minimum) for length in x.shape[-2:])
    return F.pad(x, (0, width - x.shape[-1], 0, height - x.shape[-2]))
