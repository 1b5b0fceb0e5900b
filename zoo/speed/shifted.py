"""Strongly dilated 3×3 convolutions as nine shifted products, in bfloat16."""

import torch
from torch import Tensor, nn

from zoo.speed.sharing import parameter, replace

_DEEP, _RATE_WHERE_DEEP, _RATE = 512, 3, 12
"""In bfloat16 oneDNN's dilated convolution was slower than the products from these channels and dilations on (by 4 to
30 times at 2048 channels, up to 3 times at 256). In float32 it was as fast: it passes over the padding's zeros, too."""


def shift_dilated(model: nn.Module) -> int:
    """Replace strongly dilated convolutions, as a spatial pyramid has them.

    Each of the nine weights multiplies the part of the map that it sees, moved to where it is seen from; nothing is
    multiplied with the zeros of the padding, of which a kernel of rate 36 on a map of 64×64 sees 60 %.

    Args:
        model: In bfloat16; changed.

    Returns:
        How many were replaced.
    """
    chosen = [module for module in model.modules() if type(module) is nn.Conv2d and _fits(module)]
    for layer in chosen:
        replace(model, layer, ShiftedConv(layer))
    return len(chosen)


class ShiftedConv(nn.Module):
    """A dilated 3×3 convolution that keeps the size, as nine products.

    Args:
        layer: Whose weights it takes.
    """

    def __init__(self, layer: nn.Conv2d) -> None:
        super().__init__()
        self.rate = layer.dilation[0]
        self.outputs = layer.out_channels
        self.taps = parameter(layer.weight.detach().permute(2, 3, 1, 0).contiguous())  # (3, 3, C, O)
        self.bias = None if layer.bias is None else parameter(layer.bias.detach())

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, h, w) to (N, O, h, w)."""
        cells = x.permute(0, 2, 3, 1).contiguous()
        result = x.new_empty(*cells.shape[:3], self.outputs)
        for picture, into in zip(cells, result, strict=True):
            self._one(picture, into)
        return result.permute(0, 3, 1, 2)

    def _one(self, cells: Tensor, into: Tensor) -> None:
        """Write the sum for one picture, cells (h, w, C) into (h, w, O)."""
        width = cells.shape[1]
        self._column(cells, self.taps[:, 1], into, self.bias)
        if self.rate < width:
            for side, seen, from_ in (
                (0, cells[:, : -self.rate], into[:, self.rate :]),
                (2, cells[:, self.rate :], into[:, : -self.rate]),
            ):
                part = into.new_empty(*seen.shape[:2], self.outputs)
                self._column(seen.contiguous(), self.taps[:, side], part, None)
                from_ += part

    def _column(self, cells: Tensor, taps: Tensor, into: Tensor, bias: Tensor | None) -> None:
        """The three weights of one column of the kernel: rows of cells lie together, so nothing is copied."""
        flat = into.view(-1, self.outputs)
        if bias is None:
            torch.mm(cells.view(-1, cells.shape[-1]), taps[1], out=flat)
        else:
            torch.addmm(bias, cells.view(-1, cells.shape[-1]), taps[1], out=flat)
        if self.rate < len(cells):
            for tap, seen, from_ in (
                (taps[0], cells[: -self.rate], into[self.rate :]),
                (taps[2], cells[self.rate :], into[: -self.rate]),
            ):
                from_.view(-1, self.outputs).addmm_(seen.reshape(-1, cells.shape[-1]), tap)


def _fits(layer: nn.Conv2d) -> bool:
    rate = layer.dilation[0]
    return (
        keeps_size(layer)
        and layer.weight.device.type == "cpu"
        and (rate >= _RATE or (rate >= _RATE_WHERE_DEEP and layer.in_channels > _DEEP))
    )


def keeps_size(layer: nn.Conv2d) -> bool:
    """Whether it is a 3×3 convolution without stride or groups that pads by as much as it is dilated."""
    rate = layer.dilation[0]
    return (
        layer.kernel_size == (3, 3)
        and layer.stride == (1, 1)
        and layer.dilation == layer.padding == (rate, rate)
        and layer.padding_mode == "zeros"
        and layer.groups == 1
    )
