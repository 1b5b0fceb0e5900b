"""U-Net L4 and L5, known from a report that traces the shapes of their maps and little else.

Known: every encoder block halves the resolution, the centre keeps size and channels, decoder blocks double the
resolution bilinearly, skips are concatenated, the last decoder block loses exactly four cells, its map is interpolated
to the input's size, BatchNorm in the encoder and the centre but not in the decoder, dropout somewhere, ASPP before the
centre.
What the report leaves open follows the public net that the pattern comes from (zijundeng's) and is an option.
"""

from collections.abc import Collection, Sequence
from itertools import pairwise

from torch import Tensor, cat, nn
from zoo.plugins.unet.layers import conv_block, initialise

from zoo.interfaces import Decoder, Encoder, Features, FeatureSpec
from zoo.ops import pad_to, resize


class LevelEncoder(Encoder):
    """Blocks ``enc1``, ``enc2``, …: two 3×3 convolutions with BatchNorm, a 2×2 max pooling that rounds sizes up.

    Args:
        channels: Of each block.
        in_channels: Channels of the input.
        dropout: Probability in the deepest block, before its pooling.
    """

    def __init__(self, channels: Sequence[int], *, in_channels: int = 3, dropout: float = 0.5) -> None:
        super().__init__()
        specs: list[FeatureSpec] = []
        inputs = in_channels
        for level, width in enumerate(channels, 1):
            block = conv_block(inputs, width, norm=True)
            if level == len(channels):
                block.append(nn.Dropout(dropout))
            block.append(nn.MaxPool2d(2, 2, ceil_mode=True))
            self.add_module(f"enc{level}", block)
            specs.append(FeatureSpec(f"enc{level}", width, 2**level, (2**level - 1) / 2))
            inputs = width
        self.features = tuple(specs)
        initialise(self)

    def forward(self, x: Tensor, taps: Collection[str], with_pools: bool = False) -> Features:
        """Map (N, C, H, W) to the named taps, (N, channels, ceil(H / stride), ceil(W / stride))."""
        maps: dict[str, Tensor] = {}
        for tap in self.features:
            x = getattr(self, tap.name)(x)
            if tap.name in taps:
                maps[tap.name] = x
        return Features(maps, {})


class DecoderBlock(nn.Sequential):
    """Convolutions, then bilinear interpolation where a size is given."""

    def forward(self, x: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        x = super().forward(x)
        return x if size is None else resize(x, size)


class LevelDecoder(Decoder):
    """ASPP where wanted, the centre, then blocks ``dec1``, ``dec2``, … of two 3×3 convolutions without BatchNorm.

    All blocks but the last double the resolution. The last keeps that of ``enc1`` and, being unpadded, loses two cells
    on each side; a map too small for that is padded with zeros.

    Args:
        features: The encoder's taps, fine to coarse.
        widths: Channels of the blocks at each tap's resolution, fine to coarse; None for the taps' own. The centre
            keeps the channels of the deepest tap.
        wiring: ``"A"``: a block reads the skip of its own resolution, then upsamples to the next. ``"B"``: it upsamples
            first and reads the skip of the finer resolution; the last block then reads none. Both give the same shapes.
        center_convs: Convolutions in the centre; with 0 there is none.
        last_padding: Of the last block's convolutions: 0 as traced; 1 keeps its four cells.
        norm: BatchNorm in the decoder blocks.
        aspp: A module that keeps channels and size, put before the centre.
        dropout: Probability of dropping elements of the deepest tap.
    """

    def __init__(
        self,
        features: Sequence[FeatureSpec],
        *,
        widths: Sequence[int] | None = None,
        wiring: str = "A",
        center_convs: int = 2,
        last_padding: int = 0,
        norm: bool = False,
        aspp: nn.Module | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        width = {tap.name: tap.channels for tap in features}
        if widths is not None:
            width = {tap.name: channels for tap, channels in zip(features, widths, strict=True)}
        coarse_to_fine = tuple(reversed(features))
        deepest, finest = coarse_to_fine[0], coarse_to_fine[-1]
        self.taps = tuple(tap.name for tap in coarse_to_fine)
        self.wiring = wiring
        self.smallest = 1 if last_padding else 5
        self.aspp = nn.Identity() if aspp is None else aspp
        self.center = conv_block(deepest.channels, deepest.channels, norm=True, count=center_convs)
        channels = deepest.channels
        for index, (here, finer) in enumerate(pairwise(coarse_to_fine), 1):
            skip = here if wiring == "A" else finer
            self.add_module(f"dec{index}", _block(channels + skip.channels, width[finer.name], 1, norm))
            channels = width[finer.name]
        if wiring == "A":
            channels += finest.channels
        self.last = f"dec{len(features)}"
        self.add_module(self.last, _block(channels, width[finest.name], last_padding, norm))
        self.out = finest._replace(
            name=self.last,
            channels=width[finest.name],
            offset=finest.offset + finest.stride * 2 * (1 - last_padding),
        )
        self.dropout = nn.Dropout(dropout)
        initialise(self)

    def forward(self, features: Features) -> Tensor:
        """Map the taps to (N, out.channels, h, w), with h two times two cells less than the finest tap has."""
        skips = [features.maps[tap] for tap in self.taps]
        x = self.center(self.aspp(self.dropout(skips[0])))
        for index, (here, finer) in enumerate(pairwise(skips), 1):
            block, size = getattr(self, f"dec{index}"), finer.shape[-2:]
            x = block(cat((x, here), 1), size) if self.wiring == "A" else block(cat((resize(x, size), finer), 1))
        if self.wiring == "A":
            x = cat((x, skips[-1]), 1)
        last: Tensor = getattr(self, self.last)(pad_to(x, 1, self.smallest))
        return last


def _block(in_channels: int, out_channels: int, padding: int, norm: bool) -> DecoderBlock:
    return DecoderBlock(*conv_block(in_channels, out_channels, padding=padding, norm=norm))
