"""DeepLabV3 (Chen, Papandreou, Schroff, Adam, 2017: Rethinking Atrous Convolution for Semantic Image Segmentation)."""

from collections.abc import Sequence

from torch import Tensor, nn
from zoo.plugins.deeplab.taps import aspp_rates

from zoo.encoders.dilation import build_dilated, choose_output_stride, offered_at
from zoo.heads import FCNHead, ScoreHead, auxiliary_tap
from zoo.interfaces import Decoder, EncoderPlan, Features, FeatureSpec
from zoo.model import SegmentationModel
from zoo.ops import ASPP, conv_norm_act

_WIDTH = 256


def deeplabv3(
    encoder: EncoderPlan,
    num_classes: int,
    *,
    output_stride: int | None = None,
    rates: Sequence[int] | None = None,
    multi_grid: Sequence[int] | None = None,
    image_pooling: bool = True,
    extra_conv: bool = True,
    dropout: float = 0.5,
    aux: bool = False,
    aux_tap: str | None = None,
) -> SegmentationModel:
    """DeepLabV3: a dilated encoder, then atrous spatial pyramid pooling.

    The defaults are torchvision's net. The paper's is ``output_stride=16, multi_grid=[1, 2, 4], extra_conv=False,
    dropout=0.1``.

    Args:
        encoder: Any encoder that can be dilated to stride 8 or 16.
        num_classes: K.
        output_stride: Stride of the encoder's deepest map; None: 8, or 16 where the encoder cannot have 8.
        rates: Of the pyramid; None: 6, 12, 18 at stride 16, doubled at 8.
        multi_grid: One factor for each unit of the deepest stage, on top of its dilation. Given, dilated stages are
            dilated from their first unit on, as in the paper; torchvision's first units keep the rate of the stage
            before.
        image_pooling: Whether the pyramid has a branch for the mean of the map.
        extra_conv: Another 3×3 convolution after the pyramid, as in torchvision; the paper has none.
        dropout: Probability after the pyramid.
        aux: Add an auxiliary head for training.
        aux_tap: The tap it reads; None: the last before the deepest.
    """
    stride = choose_output_stride(encoder, output_stride, (8, 16))
    offered = offered_at(encoder, stride)
    deepest = offered[-1]
    decoder = DeepLabV3Decoder(
        deepest,
        rates=aspp_rates(rates, deepest.stride),
        image_pooling=image_pooling,
        extra_conv=extra_conv,
        dropout=dropout,
    )
    auxiliary = {}
    if aux:
        tap = auxiliary_tap(encoder.name, offered, aux_tap)
        auxiliary["aux"] = (tap.name, FCNHead(tap.channels, num_classes))
    taps = (*decoder.taps, *(tap for tap, _ in auxiliary.values()))
    built = build_dilated(encoder, taps, stride, multi_grid=multi_grid)
    return SegmentationModel(built, decoder, ScoreHead(_WIDTH, num_classes), auxiliary)


class DeepLabV3Decoder(Decoder):
    """Atrous spatial pyramid pooling on one tap, and perhaps a 3×3 convolution.

    Args:
        tap: What it reads.
        rates: Of the pyramid.
        image_pooling: Whether the pyramid has a branch for the mean of the map.
        extra_conv: Whether a 3×3 convolution follows.
        dropout: Probability after the pyramid.
    """

    def __init__(
        self,
        tap: FeatureSpec,
        *,
        rates: Sequence[int] = (6, 12, 18),
        image_pooling: bool = True,
        extra_conv: bool = True,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.taps = (tap.name,)
        self.aspp = ASPP(tap.channels, _WIDTH, rates=rates, image_pooling=image_pooling, dropout=dropout)
        self.refine = conv_norm_act(_WIDTH, _WIDTH) if extra_conv else nn.Identity()
        self.out = tap._replace(name="aspp", channels=_WIDTH)

    def forward(self, features: Features) -> Tensor:
        """Map the tap (N, C, h, w) to (N, 256, h, w)."""
        x: Tensor = self.refine(self.aspp(features.maps[self.taps[0]]))
        return x
