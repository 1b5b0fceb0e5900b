"""The heads that several plugins share."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zoo.errors import IncompatibleError
from zoo.interfaces import FeatureSpec, Head
from zoo.ops import BilinearUpsample, ScoreConv, conv_norm_act, fit, resize

_GENERIC = 128  # up to so many rows and columns together torch interpolates by another kernel, which rounds otherwise


class PixelHead(Head):
    """A head in two steps: coarse scores, and their way to the pixels, which may be gone a few rows at a time."""

    def scores(self, x: Tensor) -> Tensor:
        """Map (N, C, h, w) to coarse scores (N, K, h, w)."""
        raise TypeError(f"{type(self).__name__} does not define scores(x)")

    def to_pixels(self, scores: Tensor, size: tuple[int, int]) -> Tensor:
        """Bring scores to logits (N, K, H, W) at `size`."""
        raise TypeError(f"{type(self).__name__} does not define to_pixels(scores, size)")

    def row_step(self, scores: Tensor, size: tuple[int, int]) -> int | None:
        """Of how many rows the stretches for `some_rows` must be a multiple; None: it has to be all at once."""
        return None

    def some_rows(self, scores: Tensor, size: tuple[int, int], top: int, bottom: int) -> Tensor:
        """The rows `top` … `bottom` of `to_pixels`, both multiples of `row_step` or the end, computed alone."""
        raise TypeError(f"{type(self).__name__} does not define some_rows(scores, size, top, bottom)")

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        return self.to_pixels(self.scores(x), size)


class ResizingHead(PixelHead):
    """A head whose scores are resized bilinearly to the input's size."""

    align_corners = False

    def to_pixels(self, scores: Tensor, size: tuple[int, int]) -> Tensor:
        return resize(scores, size, align_corners=self.align_corners)

    def row_step(self, scores: Tensor, size: tuple[int, int]) -> int | None:
        factor, rest = divmod(size[0], scores.shape[-2])
        # Only a power of two is the same in floating point wherever a stretch begins.
        exact = not rest and not self.align_corners and factor.bit_count() == 1
        return factor if exact and size[1] > _GENERIC else None

    def some_rows(self, scores: Tensor, size: tuple[int, int], top: int, bottom: int) -> Tensor:
        factor = size[0] // scores.shape[-2]
        first, last = max(top // factor - 1, 0), min(-(-bottom // factor) + 1, scores.shape[-2])
        alike = torch.channels_last if scores.is_contiguous(memory_format=torch.channels_last) else None
        part = scores[:, :, first:last].contiguous(memory_format=alike or torch.contiguous_format)
        rows = resize(part, ((last - first) * factor, size[1]))
        return rows[:, :, top - first * factor : bottom - first * factor]


class ScoreHead(ResizingHead):
    """1×1 convolution to class scores, resized bilinearly to the input's size."""

    def __init__(
        self, in_channels: int, num_classes: int, dropout: float = 0.0, *, align_corners: bool = False
    ) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.score = ScoreConv(in_channels, num_classes)
        self.align_corners = align_corners

    def scores(self, x: Tensor) -> Tensor:
        found: Tensor = self.score(self.dropout(x))
        return found


class FCNHead(ResizingHead):
    """3×3 convolution with BatchNorm and ReLU, dropout, 1×1 to class scores, resized to the input's size.

    torchvision's FCN and the auxiliary heads of DeepLabV3 and PSPNet. The width is a quarter of the input's.

    Args:
        in_channels: C of the map.
        num_classes: K.
        dropout: Probability before the scores.
        whole_channels: Drop whole channels instead of elements.
        align_corners: How the scores are resized.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        dropout: float = 0.1,
        *,
        whole_channels: bool = False,
        align_corners: bool = False,
    ) -> None:
        super().__init__()
        width = max(in_channels // 4, 1)
        self.block = conv_norm_act(in_channels, width)
        self.dropout = nn.Dropout2d(dropout) if whole_channels else nn.Dropout(dropout)
        self.score = ScoreConv(width, num_classes)
        self.align_corners = align_corners

    def scores(self, x: Tensor) -> Tensor:
        found: Tensor = self.score(self.dropout(self.block(x)))
        return found


class ResizeHead(ResizingHead):
    """For decoders that score by themselves: their scores, resized bilinearly to the input's size. No parameters."""

    def scores(self, x: Tensor) -> Tensor:
        return x


def auxiliary_tap(encoder: str, offered: Sequence[FeatureSpec], wanted: str | None = None) -> FeatureSpec:
    """The tap for an auxiliary head: the one named, or the last one before the deepest.

    Raises:
        IncompatibleError: The encoder has no such tap.
    """
    found = [tap for tap in offered if tap.name == wanted] if wanted is not None else list(offered[-2:-1])
    if not found:
        has = ", ".join(tap.name for tap in offered)
        raise IncompatibleError(f"encoder {encoder!r} has no tap {wanted or 'for an auxiliary head'}; it has {has}")
    return found[0]


class PixelScoreHead(Head):
    """1×1 convolution to class scores, brought to the pixels by a whole factor and cut to the image.

    Nothing is stretched: where the map begins outside the image or ends there, as maps of padded inputs and of sizes
    rounded up do, the excess is cut off. Half a pixel is rounded away.

    Args:
        source: Where the map lies.
        num_classes: K.
        name: The layer's published name.
    """

    def __init__(self, source: FeatureSpec, num_classes: int, name: str = "score") -> None:
        super().__init__()
        self.name = name
        self.stride = source.stride
        margin = (source.stride - 1) / 2 - source.offset
        self.margin = math.ceil(margin - 0.5)
        if margin < 0:
            raise IncompatibleError(
                f"the map at {source.name!r} (stride {source.stride}, offset {source.offset}) cannot be brought to the "
                "pixels of the image: it begins inside it"
            )
        self.add_module(name, ScoreConv(source.channels, num_classes))

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        scores = getattr(self, self.name)(x)
        if self.stride > 1:
            scores = resize(scores, (scores.shape[-2] * self.stride, scores.shape[-1] * self.stride))
        return fit(scores, size, self.margin, self.margin)


class UpscoreHead(PixelHead):
    """Class scores upsampled to the image by one transposed convolution, then cropped (Long et al., 2015).

    Args:
        source: Where the score map lies: its channels are the classes.
        name: The layer's published name, ``"upscore8"``.
        learnable: Whether the bilinear kernel is learned.
    """

    def __init__(self, source: FeatureSpec, name: str, *, learnable: bool = False) -> None:
        super().__init__()
        self.name = name
        kernel_size, self.margin = upsampling(source, 1, 0.0)
        if self.margin < 0:
            raise IncompatibleError(
                f"the scores at {source.name!r} begin at pixel {source.offset} and cannot cover the image's border: "
                "pad the encoder's layers"
            )
        layer = BilinearUpsample(source.channels, kernel_size, source.stride, learnable=learnable)
        self.add_module(name, layer)

    def scores(self, x: Tensor) -> Tensor:
        return x

    def to_pixels(self, scores: Tensor, size: tuple[int, int]) -> Tensor:
        # An encoder that rounds sizes down saw nothing of the last rows and columns: `fit` repeats what comes before.
        return fit(getattr(self, self.name)(scores), size, self.margin, self.margin)

    def row_step(self, scores: Tensor, size: tuple[int, int]) -> int | None:
        layer = getattr(self, self.name)
        if not isinstance(layer, BilinearUpsample):
            return None
        there = (scores.shape[-2] - 1) * layer.stride[0] + layer.kernel_size[0]
        return 1 if there >= self.margin + size[0] else None

    def some_rows(self, scores: Tensor, size: tuple[int, int], top: int, bottom: int) -> Tensor:
        layer = getattr(self, self.name)
        step, kernel = layer.stride[0], layer.kernel_size[0]
        first = max((top + self.margin - kernel) // step + 1, 0)
        last = min((bottom + self.margin - 1) // step + 1, scores.shape[-2])
        rows = layer(scores[:, :, first:last])
        return fit(rows, (bottom - top, size[1]), top + self.margin - first * step, self.margin)


def upsampling(source: FeatureSpec, stride: int, offset: float) -> tuple[int, int]:
    """Kernel size and shift with which a transposed convolution carries `source` onto a finer grid.

    Args:
        source: The coarse map.
        stride: Stride of the fine grid in pixels; it must divide the coarse one.
        offset: Image coordinate of the fine grid's cell 0.

    Returns:
        The kernel size: 2f or 2f - 1 for a factor f, whichever makes the cells of the two grids coincide (hence
        the 63 of FCN-AlexNet). And how many cells the upsampled map starts before the grid, to be cut off
        there; negative where it starts inside the grid.

    Raises:
        IncompatibleError: No kernel makes the grids coincide.
    """
    factor, rest = divmod(source.stride, stride)
    for kernel_size in (2 * factor, 2 * factor - 1):
        shift = (offset - source.offset) / stride + (kernel_size - 1) / 2
        if not rest and shift == int(shift):
            return kernel_size, int(shift)
    raise IncompatibleError(
        f"{source.name!r} (stride {source.stride}, offset {source.offset}) cannot be upsampled onto a grid of "
        f"stride {stride} and offset {offset}: their cells never coincide"
    )
