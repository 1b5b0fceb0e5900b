"""LR-ASPP (Howard et al., 2019: Searching for MobileNetV3, section 6.4), as torchvision has it."""

from torch import Tensor, nn
from zoo.plugins.deeplab.taps import at_stride

from zoo.encoders.dilation import build_dilated, choose_output_stride, offered_at
from zoo.errors import OptionError
from zoo.heads import ResizeHead
from zoo.interfaces import Decoder, EncoderPlan, Features, FeatureSpec
from zoo.model import SegmentationModel
from zoo.ops import conv_norm_act, resize


def lraspp(encoder: EncoderPlan, num_classes: int, *, output_stride: int = 16, width: int = 128) -> SegmentationModel:
    """Lite reduced ASPP: the deepest map, weighted by its global mean, scored together with the first map of stride 8.

    Args:
        encoder: Any encoder with a tap at stride 8 that can be dilated to stride 16.
        num_classes: K.
        output_stride: Stride of the encoder's deepest map: 16, or 32 where nothing shall be dilated.
        width: Channels of the deepest map before it is scored.
    """
    if width < 1:
        raise OptionError(f"width={width}: expected at least 1")
    stride = choose_output_stride(encoder, output_stride, ())
    offered = offered_at(encoder, stride)
    decoder = LRASPPDecoder(at_stride(encoder.name, offered, 8)[0], offered[-1], num_classes, width)
    return SegmentationModel(build_dilated(encoder, decoder.taps, stride), decoder, ResizeHead())


class LRASPPDecoder(Decoder):
    """Scores of a shallow map plus those of the deepest one, gated; layers are named as in torchvision.

    Args:
        low: The shallow tap, whose size the result has.
        high: The deepest tap.
        num_classes: K.
        width: Channels of the deepest map before it is scored.
    """

    def __init__(self, low: FeatureSpec, high: FeatureSpec, num_classes: int, width: int = 128) -> None:
        super().__init__()
        self.taps = (low.name, high.name)
        self.cbr = conv_norm_act(high.channels, width, 1)
        gate = nn.Conv2d(high.channels, width, 1, bias=False)
        self.scale = nn.Sequential(nn.AdaptiveAvgPool2d(1), gate, nn.Sigmoid())
        self.low_classifier = nn.Conv2d(low.channels, num_classes, 1)
        self.high_classifier = nn.Conv2d(width, num_classes, 1)
        self.out = low._replace(name="scores", channels=num_classes)

    def forward(self, features: Features) -> Tensor:
        """Map the taps to scores (N, K, h, w) of the shallow tap's size."""
        low, high = (features.maps[tap] for tap in self.taps)
        x = resize(self.cbr(high) * self.scale(high), (low.shape[-2], low.shape[-1]))
        scores: Tensor = self.low_classifier(low) + self.high_classifier(x)
        return scores
