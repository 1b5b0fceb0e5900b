"""DeepLabV3+ (Chen, Zhu, Papandreou, Schroff, Adam, 2018: Encoder-Decoder with Atrous Separable Convolution)."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from zoo.plugins.deeplab.taps import aspp_rates, at_stride

from zoo.encoders.dilation import build_dilated, choose_output_stride, offered_at
from zoo.errors import OptionError
from zoo.heads import FCNHead, ScoreHead, auxiliary_tap
from zoo.interfaces import Decoder, EncoderPlan, Features, FeatureSpec
from zoo.model import SegmentationModel
from zoo.ops import ASPP, conv_norm_act, resize, separable_conv_norm_act

_WIDTH = 256


def deeplabv3plus(
    encoder: EncoderPlan,
    num_classes: int,
    *,
    output_stride: int | None = None,
    rates: Sequence[int] | None = None,
    multi_grid: Sequence[int] | None = None,
    image_pooling: bool = True,
    low_channels: int = 48,
    convs: int = 2,
    separable: bool = False,
    dropout: float = 0.1,
    aux: bool = False,
) -> SegmentationModel:
    """DeepLabV3+: the pyramid of DeepLabV3, refined at stride 4 with a shallow map of the encoder.

    Args:
        encoder: Any encoder with a tap at stride 4 that can be dilated to stride 16 or 8.
        num_classes: K.
        output_stride: Stride of the encoder's deepest map; None: 16, or 8 where the encoder cannot have 16.
        rates: Of the pyramid; None: 6, 12, 18 at stride 16, doubled at 8.
        multi_grid: One factor for each unit of the deepest stage, on top of its dilation. Given, dilated stages are
            dilated from their first unit on.
        image_pooling: Whether the pyramid has a branch for the mean of the map.
        low_channels: Channels of the shallow map after its 1×1 convolution.
        convs: How many 3×3 convolutions follow the concatenation.
        separable: Depthwise separable 3×3 convolutions in pyramid and decoder.
        dropout: Probability after the pyramid.
        aux: Add an auxiliary head for training, on the last tap before the deepest.
    """
    if low_channels < 1 or convs < 0:
        raise OptionError(f"low_channels={low_channels}, convs={convs}: expected at least 1 and at least 0")
    stride = choose_output_stride(encoder, output_stride, (16, 8))
    offered = offered_at(encoder, stride)
    deepest = offered[-1]
    decoder = DeepLabV3PlusDecoder(
        at_stride(encoder.name, offered, 4)[-1],
        deepest,
        rates=aspp_rates(rates, deepest.stride),
        image_pooling=image_pooling,
        low_channels=low_channels,
        convs=convs,
        separable=separable,
        dropout=dropout,
    )
    auxiliary = {}
    if aux:
        tap = auxiliary_tap(encoder.name, offered)
        auxiliary["aux"] = (tap.name, FCNHead(tap.channels, num_classes))
    taps = (*decoder.taps, *(tap for tap, _ in auxiliary.values()))
    built = build_dilated(encoder, taps, stride, multi_grid=multi_grid)
    return SegmentationModel(built, decoder, ScoreHead(decoder.out.channels, num_classes), auxiliary)


class DeepLabV3PlusDecoder(Decoder):
    """Pyramid pooling on the deepest map, resized, joined with a shallow map, convolved.

    Args:
        low: The shallow tap, whose size the result has.
        high: The deepest tap.
        rates: Of the pyramid.
        image_pooling: Whether the pyramid has a branch for the mean of the map.
        low_channels: Channels of the shallow map after its 1×1 convolution.
        convs: How many 3×3 convolutions follow the concatenation.
        separable: Depthwise separable 3×3 convolutions.
        dropout: Probability after the pyramid.
    """

    def __init__(
        self,
        low: FeatureSpec,
        high: FeatureSpec,
        *,
        rates: Sequence[int] = (6, 12, 18),
        image_pooling: bool = True,
        low_channels: int = 48,
        convs: int = 2,
        separable: bool = False,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.taps = (low.name, high.name)
        self.aspp = ASPP(
            high.channels, _WIDTH, rates=rates, image_pooling=image_pooling, dropout=dropout, separable=separable
        )
        self.reduce = conv_norm_act(low.channels, low_channels, 1)
        layer = separable_conv_norm_act if separable else conv_norm_act
        channels = [_WIDTH + low_channels] + [_WIDTH] * convs
        self.refine = nn.Sequential(*(layer(before, after) for before, after in pairwise(channels)))
        self.out = low._replace(name="refine", channels=channels[-1])

    def forward(self, features: Features) -> Tensor:
        """Map the taps to (N, 256, h, w) of the shallow tap's size."""
        low, high = (features.maps[tap] for tap in self.taps)
        low = self.reduce(low)
        x = torch.cat([resize(self.aspp(high), low.shape[-2:]), low], dim=1)
        refined: Tensor = self.refine(x)
        return refined
