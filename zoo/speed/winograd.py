"""3×3 convolutions with a quarter of the multiplications (Winograd; Lavin and Gray, 2016), in float32.

F(4×4, 3×3): 4×4 values of the result come from 6×6 cells of the map; both are taken to a space of 36 products instead
of 16 · 9. The polynomials are evaluated at 0, ±3/4, ±3/2 and ∞ rather than at 0, ±1, ±2 and ∞: rounding errors are four
times smaller so, about those of a direct convolution. On small maps F(2×2, 3×3), 16 products instead of 4 · 9: more
tiles for each of the transformed weights, of which there are fewer.
"""

import math
from functools import cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.speed.sharing import replace
from zoo.speed.shifted import ShiftedConv, keeps_size

_CHANNELS = 128
"""Fewest channels in and out; with fewer, bringing the map there and back takes longer than is saved."""


class Way(NamedTuple):
    """F(tile × tile, 3 × 3).

    Attributes:
        tile: Values of the result along an axis that are found together.
        points: Where the polynomials are evaluated, besides ∞: as many as a tile has cells, but one.
        fewest: Tiles from which on it pays.
        share: Largest share of the multiplications with which it pays: with strong dilation many tiles hang over the
            map's edge, and shifted products pass over the zeros of the padding.
        depth: So many channels of the map at a time: enough for products, few enough for their weights to stay in the
            cache.
    """

    tile: int
    points: tuple[float, ...]
    fewest: int
    share: float
    depth: int

    @property
    def patch(self) -> int:
        """Cells along an axis that a tile comes from."""
        return self.tile + 2

    def pays(self, size: list[int], rate: int, padding: int) -> bool:
        """Whether it is worth while for a result of this size."""
        tiles = math.prod(-(-length // (self.tile * rate)) * rate for length in size)
        # Of the three rows (columns) of weights the outer two see `padding` rows of zeros each.
        direct = math.prod(3 * length - 2 * min(padding, length) for length in size)
        return tiles >= self.fewest and self.patch**2 * tiles <= self.share * direct


WAYS = (
    Way(4, (0.0, 0.75, -0.75, 1.5, -1.5), fewest=48, share=0.55, depth=256),
    Way(2, (0.0, 1.0, -1.0), fewest=36, share=0.6, depth=512),
)
"""The first that pays is taken."""

_HELD = 2_500_000
"""About so many values in one piece of intermediate results, 10 MB; larger ones were no faster."""


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
        way = next((way for way in WAYS if min(size) > 0 and way.pays(size, rate, padding)), None)
        if way is None:
            whole = super().forward(x)
            return whole[..., cut : whole.shape[-2] - cut, cut : whole.shape[-1] - cut]
        pictures = [self._picture(cells, size, padding, way) for cells in x.permute(0, 2, 3, 1)]
        result = torch.stack(pictures) if len(pictures) > 1 else pictures[0][None]
        return result.permute(0, 3, 1, 2)

    def _picture(self, cells: Tensor, size: list[int], padding: int, way: Way) -> Tensor:
        """Convolve (h, w, C) to (h', w', O)."""
        rate, outputs, tile, products = self.rate, self.outputs, way.tile, way.patch**2
        rows, columns = (-(-length // (tile * rate)) for length in size)
        result = cells.new_empty(rows, tile, rate, columns, tile, rate, outputs)
        depth = min(cells.shape[2], way.depth)
        step = max(_HELD // (products * rate * columns * rate * max(depth, outputs)), 1)
        there, kernel, back = _matrices(way, cells.dtype)

        def weights(first: int) -> Tensor:
            return (kernel @ self.taps[:, :, first : first + depth].reshape(9, -1)).view(products, -1, outputs)

        if step < rows and products * cells.shape[2] * outputs <= 4 * _HELD:
            weights = cache(weights)  # otherwise made anew for every few rows
        for top in range(0, rows, step):
            sums: Tensor | None = None
            stretch = (top, min(step, rows - top), columns)
            for first in range(0, cells.shape[2], depth):
                patches = _patches(cells[..., first : first + depth], *stretch, rate, padding, way)
                seen = (there @ patches.reshape(products, -1)).view(products, -1, patches.shape[-1])
                if sums is None:
                    sums = torch.bmm(seen, weights(first))
                else:
                    sums.baddbmm_(seen, weights(first))
            assert sums is not None
            answers = (back @ sums.view(products, -1)).view(tile, tile, -1, rate, columns, rate, outputs)
            answers, place = answers.permute(2, 0, 3, 4, 1, 5, 6), result[top : top + step]
            if self.bias is None:
                place.copy_(answers)
            else:
                torch.add(answers, self.bias, out=place)
        return result.view(rows * tile * rate, columns * tile * rate, outputs)[: size[0], : size[1]]


def _patches(cells: Tensor, top: int, rows: int, columns: int, rate: int, padding: int, way: Way) -> Tensor:
    """What so many rows of tiles from row `top` on see of a map (h, w, C), framed by zeros: (patch, patch, …, C).

    Tile (i, j) of phase (p, q) begins at row tile · rate · i + p; its cells lie `rate` apart.
    """
    height, width, channels = cells.shape
    tile, patch = way.tile, way.patch
    first = top * tile * rate - padding
    last = first + rows * tile * rate + 2 * rate
    right = columns * tile * rate + 2 * rate - padding - width
    seen = F.pad(cells[max(first, 0) : last], (0, 0, padding, right, max(-first, 0), max(last - height, 0)))
    down, across, deep = seen.stride()
    return seen.as_strided(
        (patch, patch, rows, rate, columns, rate, channels),
        (rate * down, rate * across, tile * rate * down, down, tile * rate * across, across, deep),
    )


@cache
def _matrices(way: Way, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """To and fro, for both axes at once: maps (p², p²), kernels (p², 9), products to values (t², p²)."""
    back, kernel = _evaluate(way.points, way.tile), _evaluate(way.points, 3)
    there = torch.zeros(way.patch, way.patch, dtype=torch.float64)
    for index in range(way.patch):
        others = [point for place, point in enumerate(way.points) if place != index]
        there[index, : len(others) + 1] = _polynomial(others)
        if index < len(way.points):
            kernel[index] /= math.prod(way.points[index] - other for other in others)
    balance = 2.0 ** there.abs().amax(1, keepdim=True).log2().round()  # powers of two: nothing is rounded
    there, kernel = there / balance, kernel * balance
    return (
        torch.kron(there, there).to(dtype),
        torch.kron(kernel, kernel).to(dtype),
        torch.kron(back.T.contiguous(), back.T.contiguous()).to(dtype),
    )


def _evaluate(points: tuple[float, ...], length: int) -> Tensor:
    """What takes `length` coefficients to a polynomial's values at `points` and ∞: (points + 1, length)."""
    powers = torch.tensor(points, dtype=torch.float64).view(-1, 1) ** torch.arange(length)
    at_infinity = torch.zeros(1, length, dtype=torch.float64)
    at_infinity[0, -1] = 1
    return torch.cat((powers, at_infinity))


def _polynomial(roots: list[float]) -> Tensor:
    """Coefficients of ∏ (x - root), constant first."""
    found = torch.ones(1, dtype=torch.float64)
    for root in roots:
        higher, lower = F.pad(found, (1, 0)), F.pad(found, (0, 1))
        found = higher - root * lower
    return found


def _fits(layer: nn.Conv2d) -> bool:
    return (
        keeps_size(layer)
        and min(layer.in_channels, layer.out_channels) >= _CHANNELS
        and layer.weight.device.type == "cpu"
        and layer.weight.dtype == torch.float32
    )
