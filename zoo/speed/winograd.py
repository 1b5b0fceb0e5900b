"""3×3 convolutions with a quarter of the multiplications (Winograd; Lavin and Gray, 2016), in float32.

F(4×4, 3×3): 4×4 values of the result come from 6×6 cells of the map; both are taken to a space of 36 products instead
of 16 · 9. The polynomials are evaluated at 0, ±3/4, ±3/2 and ∞ rather than at 0, ±1, ±2 and ∞: rounding errors are four
times smaller so, about those of a direct convolution.
"""

import math
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.speed.sharing import replace

_TILE, _POINTS = 4, (0.0, 0.75, -0.75, 1.5, -1.5)
_PATCH = _TILE + 2

_CHANNELS, _PAIRS = 128, 128 * 192
"""Fewest channels in and out, and fewest pairs of them; with fewer, bringing the map there and back takes longer than
is saved."""

_FEWEST_TILES = 48
_WORTHWHILE = 0.55
"""Largest share of the multiplications with which it pays: with strong dilation many tiles hang over the map's edge,
and a direct convolution passes over the zeros of its padding."""

_HELD = 10_000_000
"""About so many values in one piece of intermediate results, 40 MB."""


def multiply_less(model: nn.Module) -> int:
    """Let deep 3×3 convolutions without stride, dilated ones too, decide at every call whether to go Winograd's way.

    Args:
        model: In float32 on a CPU; changed. Its weights stay as they are.

    Returns:
        How many were replaced.
    """
    chosen = [module for module in model.modules() if type(module) is nn.Conv2d and _fits(module)]
    for layer in chosen:
        replace(model, layer, WinogradConv(layer))
    return len(chosen)


class WinogradConv(nn.Conv2d):
    """A 3×3 convolution of stride 1.

    Args:
        layer: Whose weights it takes.
    """

    def __init__(self, layer: nn.Conv2d) -> None:
        nn.Module.__init__(self)
        self.__dict__.update({key: value for key, value in layer.__dict__.items() if key not in self.__dict__})
        self._parameters.update(layer._parameters)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, h, w) to (N, O, h + 2 · (padding - dilation), …)."""
        assert not isinstance(self.padding, str)
        return self.convolve(x, self.padding[0])

    def convolve(self, x: Tensor, padding: int) -> Tensor:
        """As `forward`, with another padding."""
        rate = self.dilation[0]
        size = [length + 2 * (padding - rate) for length in x.shape[-2:]]
        if min(size) < 1 or not _pays(size, rate, padding):
            return F.conv2d(x, self.weight, self.bias, 1, padding, rate)
        grid = [-(-length // (_TILE * rate)) for length in size]
        beyond = [
            count * _TILE * rate + 2 * rate - padding - length for count, length in zip(grid, x.shape[-2:], strict=True)
        ]
        cells = F.pad(x.permute(0, 2, 3, 1), (0, 0, padding, beyond[1], padding, beyond[0]))
        parts = [self._picture(picture.contiguous(), grid[0], grid[1]) for picture in cells]
        result = torch.stack(parts) if len(parts) > 1 else parts[0][None]
        result = result[:, : size[0], : size[1]]
        if self.bias is not None:
            result += self.bias
        return result.permute(0, 3, 1, 2)

    def _picture(self, cells: Tensor, rows: int, columns: int) -> Tensor:
        """Convolve (H, W, C), framed so that all tiles are whole, to (rows · 4 · rate, columns · 4 · rate, O)."""
        rate, outputs, inputs = self.dilation[0], self.out_channels, self.in_channels
        down, across, _ = cells.stride()
        # Tile (i, j) of phase (p, q) begins at row 4 · rate · i + p; its cells lie `rate` apart.
        patches = cells.as_strided(
            (_PATCH, _PATCH, rows, rate, columns, rate, inputs),
            (rate * down, rate * across, _TILE * rate * down, down, _TILE * rate * across, across, 1),
        )
        weight = self.weight.permute(0, 2, 3, 1).reshape(outputs, 9, inputs)
        result = cells.new_empty(rows, _TILE, rate, columns, _TILE, rate, outputs)
        per_row = rate * columns * rate
        step = max(_HELD // (_PATCH**2 * per_row * min(inputs, outputs)), 1)
        depth = max(_HELD // (_PATCH**2 * max(min(step, rows) * per_row, outputs)), 64)
        back = _matrices(cells.dtype)[2]
        for top in range(0, rows, step):
            products = self._products(patches[:, :, top : top + step], weight, depth)
            answers = (back @ products.view(_PATCH**2, -1)).view(_TILE, _TILE, -1, rate, columns, rate, outputs)
            result[top : top + step] = answers.permute(2, 0, 3, 4, 1, 5, 6)
        return result.view(rows * _TILE * rate, columns * _TILE * rate, outputs)

    def _products(self, patches: Tensor, weight: Tensor, depth: int) -> Tensor:
        """(36, tiles, O): what is multiplied and added up, `depth` channels at a time."""
        there, kernel, _ = _matrices(patches.dtype)
        products: Tensor | None = None
        for first in range(0, self.in_channels, depth):
            part = patches[..., first : first + depth]
            seen = (there @ part.reshape(_PATCH**2, -1)).view(_PATCH**2, -1, part.shape[-1])
            weights = (kernel @ weight[..., first : first + depth]).permute(1, 2, 0)
            products = torch.bmm(seen, weights) if products is None else products.baddbmm_(seen, weights)
        assert products is not None
        return products


@cache
def _matrices(dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """To and fro, for both axes at once: maps (36, 36), kernels (36, 9), products to values (16, 36)."""
    points = torch.tensor(_POINTS, dtype=torch.float64)
    evaluate = points.view(-1, 1) ** torch.arange(_TILE)
    at_infinity = torch.zeros(1, _TILE, dtype=torch.float64)
    at_infinity[0, -1] = 1
    back = torch.cat((evaluate, at_infinity))
    kernel = torch.cat((evaluate[:, :3], at_infinity[:, -3:]))
    there = torch.zeros(_PATCH, _PATCH, dtype=torch.float64)
    for index in range(_PATCH):
        others = [point for place, point in enumerate(_POINTS) if place != index]
        there[index, : len(others) + 1] = _polynomial(others)
        if index < len(_POINTS):
            kernel[index] /= math.prod(_POINTS[index] - other for other in others)
    balance = 2.0 ** there.abs().amax(1, keepdim=True).log2().round()  # powers of two: nothing is rounded
    there, kernel = there / balance, kernel * balance
    return (
        torch.kron(there, there).to(dtype),
        torch.kron(kernel, kernel).to(dtype),
        torch.kron(back.T.contiguous(), back.T.contiguous()).to(dtype),
    )


def _polynomial(roots: list[float]) -> Tensor:
    """Coefficients of ∏ (x - root), constant first."""
    found = torch.ones(1, dtype=torch.float64)
    for root in roots:
        higher, lower = F.pad(found, (1, 0)), F.pad(found, (0, 1))
        found = higher - root * lower
    return found


def _pays(size: list[int], rate: int, padding: int) -> bool:
    tiles = math.prod(-(-length // (_TILE * rate)) * rate for length in size)
    # Of the three rows (columns) of weights the outer two see `padding` rows of zeros each.
    direct = math.prod(3 * length - 2 * min(padding, length) for length in size)
    return tiles >= _FEWEST_TILES and _PATCH**2 * tiles <= _WORTHWHILE * direct


def _fits(layer: nn.Conv2d) -> bool:
    return (
        layer.kernel_size == (3, 3)
        and layer.stride == (1, 1)
        and layer.groups == 1
        and layer.dilation[0] == layer.dilation[1]
        and not isinstance(layer.padding, str)
        and layer.padding[0] == layer.padding[1]
        and layer.padding_mode == "zeros"
        and min(layer.in_channels, layer.out_channels) >= _CHANNELS
        and layer.in_channels * layer.out_channels >= _PAIRS
        and layer.weight.device.type == "cpu"
        and layer.weight.dtype == torch.float32
    )
