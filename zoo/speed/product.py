"""Wide convolutions on small maps as one matrix product."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.speed.packing import PackedLinear
from zoo.speed.sharing import replace

_WIDE = 5
"""Kernels from this width on; of narrower ones the library's own convolution is as fast."""

_CHANNELS = 256
"""Fewest input channels: with fewer, copying the windows takes longer than the product saves."""

_LARGEST = 1 << 26
"""Most values in the unfolded map at a time; rows of windows are taken in portions of at most this size."""


def multiply_wide(model: nn.Module) -> int:
    """Replace wide, deep convolutions (FCN's fc6, 7×7 on 512 channels) by unfolding and one matrix product.

    The weight is kept once, in the order that the product wants, packed where the processor gains by it. Equal up
    to rounding.

    Args:
        model: Changed.

    Returns:
        How many were replaced.
    """
    chosen = [module for module in model.modules() if type(module) is nn.Conv2d and _fits(module)]
    for layer in chosen:
        replace(model, layer, ProductConv(layer))
    return len(chosen)


class ProductConv(nn.Module):
    """A convolution without stride, dilation or groups, as a matrix product.

    Args:
        layer: Whose weights it takes.
    """

    def __init__(self, layer: nn.Conv2d) -> None:
        super().__init__()
        self.kernel_size = (layer.kernel_size[0], layer.kernel_size[1])
        assert not isinstance(layer.padding, str)
        self.padding = layer.padding  # `zoo.encoders.vgg` asks for both
        # (O, C, kh, kw) → (O, kh · kw · C): a window of a map in channels_last order is read as it lies there.
        weight = layer.weight.detach().permute(0, 2, 3, 1).reshape(layer.out_channels, -1)
        self.product = PackedLinear(weight, None if layer.bias is None else layer.bias.detach())

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, h, w) to (N, O, h', w')."""
        height, width = self.kernel_size
        x = F.pad(x, (self.padding[1], self.padding[1], self.padding[0], self.padding[0])) if any(self.padding) else x
        cells = x.permute(0, 2, 3, 1).contiguous()
        windows = cells.unfold(1, height, 1).unfold(2, width, 1).permute(0, 1, 2, 4, 5, 3)  # (N, h', w', kh, kw, C)
        count, _, columns = windows.shape[:3]
        per_row = count * columns * height * width * x.shape[1]
        step = max(_LARGEST // per_row, 1)
        parts = [
            self.product(part.reshape(-1, height * width * x.shape[1])).view(count, -1, columns, self.product.outputs)
            for part in torch.split(windows, step, 1)
        ]
        return (parts[0] if len(parts) == 1 else torch.cat(parts, 1)).permute(0, 3, 1, 2)


def _fits(layer: nn.Conv2d) -> bool:
    return (
        min(layer.kernel_size) >= _WIDE
        and layer.in_channels >= _CHANNELS
        and layer.groups == 1
        and {*layer.stride, *layer.dilation} == {1}
        and not isinstance(layer.padding, str)
        and layer.padding_mode == "zeros"
    )
