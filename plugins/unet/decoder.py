"""The expanding path of U-Net (2015), on any pyramid of features."""

import math
from collections.abc import Sequence

from torch import Tensor, cat, nn
from zoo.plugins.unet.layers import initialise

from zoo.errors import IncompatibleError
from zoo.interfaces import Decoder, Features, FeatureSpec
from zoo.ops import BatchNorm2d, crop, fit, resize


class UNetDecoder(Decoder):
    """Per finer tap: upsample, concatenate with the tap, two 3×3 convolutions.

    Layers have the names of the released net, ``upconv_d4c_u3a``, ``conv_u3b_c``, ``conv_u3c_d``, … (`-` written as
    `_`). The paper's figure is followed where the released net differs: its finest up-convolution has 128 channels.

    Maps are aligned by their taps' strides and offsets: a tap that begins before the upsampled map, as it does where
    convolutions take borders off, is cropped to it; otherwise the upsampled map is cut to the tap.

    Args:
        taps: What it reads, coarse to fine; strides must divide one another.
        widths: Channels of each step, one less than taps.
        padding: Of the 3×3 convolutions: 1 keeps sizes, 0 takes two cells off on each side at every step.
        norm: BatchNorm after every 3×3 convolution.
        transposed: Upsample by a learned transposed convolution and ReLU, as published, or else bilinearly.
    """

    def __init__(
        self, taps: Sequence[FeatureSpec], widths: Sequence[int], *, padding: int, norm: bool, transposed: bool
    ) -> None:
        super().__init__()
        self.taps = tuple(tap.name for tap in taps)
        self.norm = norm
        self.transposed = transposed
        self.relu = nn.ReLU(inplace=True)
        self.steps: list[tuple[str, str, int, int]] = []
        here = taps[0]
        source = f"d{len(widths)}c"
        for level, tap, width in zip(reversed(range(len(widths))), taps[1:], widths, strict=True):
            factor, shift = _alignment(here, tap)
            upsampled = here.channels
            upconv = f"upconv_{source}_u{level}a"
            if transposed:
                self.add_module(upconv, nn.ConvTranspose2d(here.channels, width, factor, factor))
                upsampled = width
            for conv, channels in (("b_c", upsampled + tap.channels), ("c_d", width)):
                self.add_module(f"conv_u{level}{conv}", nn.Conv2d(channels, width, 3, padding=padding))
                if norm:
                    self.add_module(f"bn_u{level}{conv[-1]}", BatchNorm2d(width))
            self.steps.append((upconv, f"u{level}", factor, shift))
            source = f"u{level}d"
            here = FeatureSpec(source, width, tap.stride, tap.offset + tap.stride * (shift + 2 * (1 - padding)))
        self.out = here
        initialise(self)

    def forward(self, features: Features) -> Tensor:
        """Map the taps to (N, out.channels, h, w) at the finest tap's stride."""
        x = features.maps[self.taps[0]]
        for tap, (upconv, name, factor, shift) in zip(self.taps[1:], self.steps, strict=True):
            skip = features.maps[tap]
            if self.transposed:
                x = self.relu(getattr(self, upconv)(x))
            else:
                x = resize(x, (x.shape[-2] * factor, x.shape[-1] * factor))
            if shift:
                skip = crop(skip, x.shape[-2:], shift, shift)
            else:
                x = fit(x, skip.shape[-2:])
            x = cat((x, skip), 1)
            for conv in ("b_c", "c_d"):
                x = getattr(self, f"conv_{name}{conv}")(x)
                if self.norm:
                    x = getattr(self, f"bn_{name}{conv[-1]}")(x)
                x = self.relu(x)
        return x


def _alignment(coarse: FeatureSpec, fine: FeatureSpec) -> tuple[int, int]:
    """How much finer `fine` is, and how many of its cells lie before the upsampled `coarse`.

    Half a cell either way is rounded away: strided convolutions put their cells there, and the net learns it.
    """
    factor, rest = divmod(coarse.stride, fine.stride)
    # Every coarse cell becomes factor × factor fine ones, centred where it was.
    first = coarse.offset - (coarse.stride - fine.stride) / 2
    shift = (first - fine.offset) / fine.stride
    if rest or shift < -0.5:
        raise IncompatibleError(
            f"{coarse.name!r} (stride {coarse.stride}, offset {coarse.offset}) cannot be upsampled onto {fine.name!r} "
            f"(stride {fine.stride}, offset {fine.offset}): it begins inside"
        )
    return factor, math.floor(shift + 0.5)
