"""The contracting path of U-Net (2015)."""

from collections.abc import Collection, Sequence

import torch.nn.functional as F
from torch import Tensor, nn
from zoo.plugins.unet.layers import initialise, mirror

from zoo.interfaces import Encoder, Features, FeatureSpec
from zoo.ops import BatchNorm2d, ceil_div


class ContractingPath(Encoder):
    """Two 3×3 convolutions per level, a 2×2 max pooling between levels.

    Layers have the names of the released net, ``conv_d0a_b``, ``conv_d0b_c``, … (`-` written as `_`); the taps are the
    maps before each pooling and the last one, ``d0c`` … ``d4c``.

    Without `padding` every convolution takes a border of one cell off, so the picture is first continued by mirroring:
    on each side by as much as the whole net will take off (92 pixels with 4 levels), and at the bottom and the right
    by what makes every pooled map even. A picture of 388×388 thus enters as 572×572.

    Args:
        widths: Channels of each level, fine to coarse; between two levels the resolution is halved.
        in_channels: Channels of the input.
        padding: 0 as published, or 1: sizes are kept, and poolings round them up.
        norm: BatchNorm after every convolution.
        dropout: Probability after the last two levels, "the end of the contracting path".
    """

    def __init__(
        self,
        widths: Sequence[int],
        *,
        in_channels: int = 3,
        padding: int = 0,
        norm: bool = False,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.levels = levels = len(widths) - 1
        self.padding = padding
        self.norm = norm
        border = 1 - padding
        # Pixels that the convolutions take off on each side, on the way down and up again.
        self.margin = border * (6 * 2**levels - 4)
        offset = float(-self.margin)
        specs: list[FeatureSpec] = []
        channels = in_channels
        for level, width in enumerate(widths):
            stride = 2**level
            if level:
                offset += stride / 4
            for conv in ("a_b", "b_c"):
                self.add_module(f"conv_d{level}{conv}", nn.Conv2d(channels, width, 3, padding=padding))
                if norm:
                    self.add_module(f"bn_d{level}{conv[-1]}", BatchNorm2d(width))
                channels = width
                offset += border * stride
            specs.append(FeatureSpec(f"d{level}c", channels, stride, offset))
        self.relu = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(dropout)
        self.features = tuple(specs)
        initialise(self)

    def forward(self, x: Tensor, taps: Collection[str], with_pools: bool = False) -> Features:
        """Map (N, C, H, W) to the named taps, each (N, channels, h, w); their offsets say where they lie."""
        maps: dict[str, Tensor] = {}
        if not self.padding:
            x = mirror(x, self.margin, self._framed(x.shape[-2]), self._framed(x.shape[-1]))
        for level in range(self.levels + 1):
            if level:
                x = F.max_pool2d(x, 2, 2, ceil_mode=True)
            for conv in ("a_b", "b_c"):
                x = getattr(self, f"conv_d{level}{conv}")(x)
                if self.norm:
                    x = getattr(self, f"bn_d{level}{conv[-1]}")(x)
                x = self.relu(x)
            if level >= self.levels - 1:
                x = self.dropout(x)
            if f"d{level}c" in taps:
                maps[f"d{level}c"] = x
        return Features(maps, {})

    def _framed(self, length: int) -> int:
        """The smallest valid input length whose output covers `length` pixels.

        b cells after the deepest convolutions come from 2^L (b + 4) + 4 (2^L - 1) pixels and give 2^L b - 4 (2^L - 1).
        """
        scale = 1 << self.levels
        taken = 4 * (scale - 1)
        cells = ceil_div(length + taken, scale)
        return scale * (cells + 4) + taken
