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
from zoo.speed.shifted import ShiftedConv, keeps_size

_TILE, _POINTS = 4, (0.0, 0.75, -0.75, 1.5, -1.5)
_PATCH = _TILE + 2

_CHANNELS = 128
"""Fewest channels in and out; with fewer, bringing the map there and back takes longer than is saved."""

_FEWEST_TILES = 48
_WORTHWHILE = 0.55
"""Largest share of the multiplications with which it pays: with strong dilation many tiles hang over the map's edge,
and shifted products pass over the zeros of the padding."""

_HELD = 2_500_000
"""About so many values in one piece of intermediate results, 10 MB; larger ones were no faster."""

_DEPTH = 256
"""So many channels of the map at a time: enough for products, few enough for their weights to stay in the cache."""


def multiply_less(model: nn.Module) -> int:
    """Let deep 3×3 convolutions without stride, dilated ones too, decide at every call whether to go Winograd's way.

    Args:
        model: In float32 on a CPU; changed.

    Returns:
        How many were replaced.
    """
    chosen = [module for module in model.modules() if type(module) is nn.Conv2d and _fits(module)]
    for layer in chosen:
        replace(model, layer, WinogradConv(layer))
    return len(chosen)


class WinogradConv(ShiftedConv):
    """A 3×3 convolution of stride 1 that keeps the size. Where Winograd's way does not pay, it is shifted products.

    Args:
        layer: Whose weights it takes.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, h, w) to (N, O, h, w)."""
        return self.convolve(x, self.rate)

    def convolve(self, x: Tensor, padding: int) -> Tensor:
        """As `forward`, with another padding: at most as wide as the layer's own."""
        rate = self.rate
        cut = rate - padding
        size = [length - 2 * cut for length in x.shape[-2:]]
        if min(size) < 1 or not _pays(size, rate, padding):
            whole = super().forward(x)
            return whole[..., cut : whole.shape[-2] - cut, cut : whole.shape[-1] - cut]
        pictures = [self._picture(cells, size, padding) for cells in x.permute(0, 2, 3, 1)]
        result = torch.stack(pictures) if len(pictures) > 1 else pictures[0][None]
        if self.bias is not None:
            result += self.bias
        return result.permute(0, 3, 1, 2)

    def _picture(self, cells: Tensor, size: list[int], padding: int) -> Tensor:
        """Convolve (h, w, C) to (h', w', O)."""
        rate, outputs = self.rate, self.outputs
        rows, columns = (-(-length // (_TILE * rate)) for length in size)
        result = cells.new_empty(rows, _TILE, rate, columns, _TILE, rate, outputs)
        depth = min(cells.shape[2], _DEPTH)
        step = max(_HELD // (_PATCH**2 * rate * columns * rate * max(depth, outputs)), 1)
        there, kernel, back = _matrices(cells.dtype)

        def weights(first: int) -> Tensor:
            return (kernel @ self.taps[:, :, first : first + depth].reshape(9, -1)).view(_PATCH**2, -1, outputs)

        if step < rows and _PATCH**2 * cells.shape[2] * outputs <= 4 * _HELD:
            weights = cache(weights)  # otherwise made anew for every few rows
        for top in range(0, rows, step):
            products: Tensor | None = None
            stretch = (top, min(step, rows - top), columns)
            for first in range(0, cells.shape[2], depth):
                patches = _patches(cells[..., first : first + depth], *stretch, rate, padding)
                seen = (there @ patches.reshape(_PATCH**2, -1)).view(_PATCH**2, -1, patches.shape[-1])
                if products is None:
                    products = torch.bmm(seen, weights(first))
                else:
                    products.baddbmm_(seen, weights(first))
            assert products is not None
            answers = (back @ products.view(_PATCH**2, -1)).view(_TILE, _TILE, -1, rate, columns, rate, outputs)
            result[top : top + step] = answers.permute(2, 0, 3, 4, 1, 5, 6)
        return result.view(rows * _TILE * rate, columns * _TILE * rate, outputs)[: size[0], : size[1]]


def _patches(cells: Tensor, top: int, rows: int, columns: int, rate: int, padding: int) -> Tensor:
    """What so many rows of tiles from row `top` on see of a map (h, w, C), framed by zeros: (6, 6, …, C).

    Tile (i, j) of phase (p, q) begins at row 4 · rate · i + p; its cells lie `rate` apart.
    """
    height, width, channels = cells.shape
    first = top * _TILE * rate - padding
    last = first + rows * _TILE * rate + 2 * rate
    right = columns * _TILE * rate + 2 * rate - padding - width
    seen = F.pad(cells[max(first, 0) : last], (0, 0, padding, right, max(-first, 0), max(last - height, 0)))
    down, across, deep = seen.stride()
    return seen.as_strided(
        (_PATCH, _PATCH, rows, rate, columns, rate, channels),
        (rate * down, rate * across, _TILE * rate * down, down, _TILE * rate * across, across, deep),
    )


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
        keeps_size(layer)
        and min(layer.in_channels, layer.out_channels) >= _CHANNELS
        and layer.weight.device.type == "cpu"
        and layer.weight.dtype == torch.float32
    )
