"""Bilinear transposed convolutions as two small matrix products."""

from typing import Any

import torch
from torch import Tensor, nn

from zoo.heads import PixelHead, UpscoreHead
from zoo.speed.sharing import replace

_TOLERANCE = 1e-6


def separate_upsampling(model: nn.Module) -> int:
    """Replace transposed convolutions that treat every channel alike and by itself, as the bilinear ones of FCN do.

    Such a kernel is a column times a row. Enlarging is then a product with a banded matrix from the left and one from
    the right, instead of K × K kernels of which all but K are zeros; equal up to rounding.

    Args:
        model: Changed.

    Returns:
        How many were replaced.
    """
    count = 0
    for head in [module for module in model.modules() if isinstance(module, UpscoreHead)]:
        layer = getattr(head, head.name)
        line = _line(layer) if _plain(layer) else None
        if line is not None:
            replace(model, head, ProductHead(layer, line, head.margin))
            count += 1
    for layer in [module for module in model.modules() if isinstance(module, nn.ConvTranspose2d) and _plain(module)]:
        line = _line(layer)
        if line is not None:
            replace(model, layer, ProductUpsample(layer, line))
            count += 1
    return count


class ProductUpsample(nn.Module):
    """A transposed convolution with the kernel ``line[:, None] * line`` for every channel alone.

    Args:
        layer: Whose stride it has.
        line: (k,).
    """

    def __init__(self, layer: nn.ConvTranspose2d, line: Tensor) -> None:
        super().__init__()
        self.stride = layer.stride[0]
        self.register_buffer("line", line)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, K, h, w) to (N, K, (h - 1) · stride + k, (w - 1) · stride + k)."""
        rows, columns = (self._matrix(length, x) for length in x.shape[-2:])
        return rows @ x @ columns.mT

    def _matrix(self, length: int, like: Tensor) -> Tensor:
        """(length, (length - 1) · stride + k) transposed: what each cell adds to each cell of the result."""
        line: Tensor = self.get_buffer("line").to(like.dtype)
        matrix = like.new_zeros((length - 1) * self.stride + len(line), length)
        cell = torch.arange(length, device=like.device)
        place = cell * self.stride + torch.arange(len(line), device=like.device).view(-1, 1)
        matrix[place, cell] = line.view(-1, 1).expand(-1, length)
        return matrix


class ProductHead(PixelHead):
    """`zoo.heads.UpscoreHead` with a separable kernel: only what lies in the picture is computed.

    Args:
        layer: The head's transposed convolution.
        line: As for `ProductUpsample`.
        margin: The head's: how many cells of the enlarged map lie before the picture.
    """

    def __init__(self, layer: nn.ConvTranspose2d, line: Tensor, margin: int) -> None:
        super().__init__()
        self.upsample = ProductUpsample(layer, line)
        self.margin = margin

    def scores(self, x: Tensor) -> Tensor:
        return x

    def to_pixels(self, scores: Tensor, size: tuple[int, int]) -> Tensor:
        return self.some_rows(scores, size, 0, size[0])

    def row_step(self, scores: Tensor, size: tuple[int, int]) -> int | None:
        return 1

    def some_rows(self, scores: Tensor, size: tuple[int, int], top: int, bottom: int) -> Tensor:
        rows = self._pixels(scores.shape[-2], top, bottom, scores)
        columns = self._pixels(scores.shape[-1], 0, size[1], scores)
        return rows @ scores.contiguous() @ columns.mT

    def _pixels(self, length: int, first: int, last: int, like: Tensor) -> Tensor:
        """(last - first, length): what the cells of a map add to these pixels of the picture."""
        matrix = self.upsample._matrix(length, like)
        # Where the enlarged map ends too early, its last cell is repeated, as `zoo.ops.fit` does.
        cells = torch.arange(first + self.margin, last + self.margin, device=like.device)
        return matrix[cells.clamp_(max=len(matrix) - 1)]


def _plain(layer: Any) -> bool:
    return (
        isinstance(layer, nn.ConvTranspose2d)
        and layer.groups == 1
        and layer.bias is None
        and layer.in_channels == layer.out_channels
        and layer.stride[0] == layer.stride[1]
        and layer.kernel_size[0] == layer.kernel_size[1]
        and {*layer.padding, *layer.output_padding} == {0}
        and {*layer.dilation} == {1}
    )


def _line(layer: nn.ConvTranspose2d) -> Tensor | None:
    """The line whose outer product is the kernel of every channel; None where there is none."""
    weight = layer.weight.detach()
    kernel = weight[0, 0]
    middle = kernel[len(kernel) // 2]
    if middle[len(kernel) // 2] <= 0:
        return None
    line = middle / middle[len(kernel) // 2].sqrt()
    diagonal = torch.eye(len(weight), device=weight.device).view(*weight.shape[:2], 1, 1)
    wanted = diagonal * torch.outer(line, line)
    return line.clone() if (weight - wanted).abs().max() <= _TOLERANCE * kernel.abs().max() else None
