"""DeepLabV3 with skips: a dilated ResNet, pyramid pooling in the middle, a decoder of resizing and convolutions.

Known from a student report in outline only; what it leaves open is chosen here and can be set: ResNet-50 at output
stride 8 with dilations 1, 1, 2, 4; skips of strides 8 and 4, reduced to 48 channels; two 3×3 convolutions per step,
128 and then 64 channels wide; batch norm everywhere; logits resized from stride 4.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from zoo.plugins.deeplab.taps import aspp_rates, at_stride

from zoo.encoders.dilation import build_dilated, choose_output_stride, find_stage, offered_at, set_dilation
from zoo.errors import IncompatibleError, OptionError
from zoo.heads import ScoreHead
from zoo.interfaces import Decoder, Encoder, EncoderPlan, Features, FeatureSpec
from zoo.model import SegmentationModel
from zoo.ops import ASPP, conv_norm_act, resize
from zoo.options import whole_numbers

_WIDTH = 256


def deeplabv3_skip(
    encoder: EncoderPlan,
    num_classes: int,
    *,
    output_stride: int | None = None,
    stage_dilations: Sequence[int] | None = None,
    rates: Sequence[int] | None = None,
    skips: Sequence[int] = (8, 4),
    skip_channels: int = 48,
    widths: Sequence[int] = (128, 64),
    dropout: float = 0.1,
) -> SegmentationModel:
    """DeepLabV3 with skips from the encoder.

    Args:
        encoder: Any encoder with taps at the strides of `skips` that can be dilated to stride 8 or 16.
        num_classes: K.
        output_stride: Stride of the encoder's deepest map; None: 8, or 16 where the encoder cannot have 8.
        stage_dilations: A rate for each of the deepest stages, in order: four numbers are those of a ResNet's layer1 to
            layer4, and hold for all of their units. None: as the encoder dilates by itself.
        rates: Of the pyramid; None: 12, 24, 36 at stride 8, half of that at 16. For pictures of 128 px take smaller
            ones: beyond the size of the map (16) only the middle of a dilated kernel sees anything.
        skips: Strides of the encoder's maps that are joined, coarse to fine; the first map of each stride is taken.
        skip_channels: Channels of each after its 1×1 convolution.
        widths: Channels after each join.
        dropout: Probability after the pyramid.
    """
    strides = whole_numbers("skips", skips)
    if skip_channels < 1 or list(strides) != sorted(set(strides), reverse=True):
        raise OptionError(
            f"skips={skips!r}, skip_channels={skip_channels}: expected falling strides, at least 1 channel"
        )
    stride = choose_output_stride(encoder, output_stride, (8, 16))
    offered = offered_at(encoder, stride)
    deepest = offered[-1]
    decoder = SkipDecoder(
        deepest,
        [at_stride(encoder.name, offered, skip)[0] for skip in strides],
        rates=aspp_rates(rates, deepest.stride),
        skip_channels=skip_channels,
        widths=whole_numbers("widths", widths, count=len(strides)),
        dropout=dropout,
    )
    built = build_dilated(encoder, decoder.taps, stride)
    if stage_dilations is not None:
        _dilate_stages(built, encoder.name, offered, whole_numbers("stage_dilations", stage_dilations))
    return SegmentationModel(built, decoder, ScoreHead(decoder.out.channels, num_classes))


class SkipDecoder(Decoder):
    """Pyramid pooling on the deepest map; then, per skip: resize, join, two 3×3 convolutions.

    Args:
        deepest: The tap of the pyramid.
        skips: The taps that are joined, coarse to fine.
        rates: Of the pyramid.
        skip_channels: Channels of each skip after its 1×1 convolution.
        widths: Channels after each join.
        dropout: Probability after the pyramid.
    """

    def __init__(
        self,
        deepest: FeatureSpec,
        skips: Sequence[FeatureSpec],
        *,
        rates: Sequence[int] = (12, 24, 36),
        skip_channels: int = 48,
        widths: Sequence[int] = (128, 64),
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.taps = (deepest.name, *(tap.name for tap in skips))
        self.aspp = ASPP(deepest.channels, _WIDTH, rates=rates, dropout=dropout)
        self.reduce = nn.ModuleList(conv_norm_act(tap.channels, skip_channels, 1) for tap in skips)
        channels = (_WIDTH, *widths)
        self.join = nn.ModuleList(
            nn.Sequential(conv_norm_act(before + skip_channels, after), conv_norm_act(after, after))
            for before, after in pairwise(channels)
        )
        self.out = skips[-1]._replace(name="join", channels=channels[-1])

    def forward(self, features: Features) -> Tensor:
        """Map the taps to (N, widths[-1], h, w) of the finest skip's size."""
        deepest, *skips = self.taps
        x: Tensor = self.aspp(features.maps[deepest])
        for tap, reduce, join in zip(skips, self.reduce, self.join, strict=True):
            skip = reduce(features.maps[tap])
            x = join(torch.cat([resize(x, skip.shape[-2:]), skip], dim=1))
        return x


def _dilate_stages(encoder: Encoder, name: str, offered: Sequence[FeatureSpec], rates: Sequence[int]) -> None:
    for tap, rate in zip(offered[-len(rates) :], rates, strict=False):
        stage = find_stage(encoder, tap.name)
        if stage is None or len(rates) > len(offered):
            raise IncompatibleError(
                f"stage_dilations={list(rates)} cannot be set on encoder {name!r}: its taps "
                f"{', '.join(spec.name for spec in offered)} are not all ends of stages. Those of any ResNet are"
            )
        set_dilation(stage, rate)
