"""torchvision's FCN: a dilated encoder, one convolution, class scores.

It has the name of Long et al.'s nets but not their skips: the encoder is dilated to stride 8 instead.
"""

from collections.abc import Mapping

from torch import Tensor

from zoo.encoders.dilation import build_dilated, choose_output_stride, offered_at
from zoo.heads import FCNHead, ScoreHead, auxiliary_tap
from zoo.hub.converter import Converter, Foreign, Implied, size_of
from zoo.hub.names import rename
from zoo.interfaces import Decoder, EncoderPlan, Features, FeatureSpec
from zoo.model import SegmentationModel
from zoo.ops import conv_norm_act

TORCHVISION = {
    "backbone.": "encoder.model.",
    "classifier.0.": "decoder.block.0.",
    "classifier.1.": "decoder.block.1.",
    "classifier.4.": "head.score.",
    "aux_classifier.0.": "auxiliary.aux.block.0.",
    "aux_classifier.1.": "auxiliary.aux.block.1.",
    "aux_classifier.4.": "auxiliary.aux.score.",
}


def fcn(
    encoder: EncoderPlan,
    num_classes: int,
    *,
    output_stride: int | None = None,
    dropout: float = 0.1,
    aux: bool = False,
    aux_tap: str | None = None,
) -> SegmentationModel:
    """Torchvision's FCN.

    Args:
        encoder: Any encoder that can be dilated to stride 8 or 16.
        num_classes: K.
        output_stride: Stride of the encoder's deepest map; None: 8, or 16 where the encoder cannot have 8.
        dropout: Probability before the scores.
        aux: Add an auxiliary head for training.
        aux_tap: The tap it reads; None: the last before the deepest.
    """
    stride = choose_output_stride(encoder, output_stride, (8, 16))
    offered = offered_at(encoder, stride)
    decoder = ConvDecoder(offered[-1])
    auxiliary = {}
    if aux:
        tap = auxiliary_tap(encoder.name, offered, aux_tap)
        auxiliary["aux"] = (tap.name, FCNHead(tap.channels, num_classes))
    built = build_dilated(encoder, (*decoder.taps, *(tap for tap, _ in auxiliary.values())), stride)
    head = ScoreHead(decoder.out.channels, num_classes, dropout)
    return SegmentationModel(built, decoder, head, auxiliary)


class ConvDecoder(Decoder):
    """A 3×3 convolution to a quarter of the channels, with BatchNorm and ReLU.

    Args:
        tap: What it reads.
    """

    def __init__(self, tap: FeatureSpec) -> None:
        super().__init__()
        self.taps = (tap.name,)
        self.out = tap._replace(name="block", channels=max(tap.channels // 4, 1))
        self.block = conv_norm_act(tap.channels, self.out.channels)

    def forward(self, features: Features) -> Tensor:
        """Map the tap (N, C, h, w) to (N, C / 4, h, w)."""
        x: Tensor = self.block(features.maps[self.taps[0]])
        return x


def from_torchvision(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the state dict of torchvision's ``fcn_resnet50`` or ``fcn_resnet101`` to ours.

    One to one; that of a net with an auxiliary head fits ours with ``aux=True``.

    Raises:
        CheckpointError: It is of another net.
    """
    return rename(state, TORCHVISION, "torchvision's FCN")


def _implies(foreign: Foreign) -> Implied:
    aux = any(name.startswith("aux_classifier.") for name in foreign.state)
    return Implied(num_classes=size_of(foreign.state, "classifier.4.weight"), options={"aux": True} if aux else {})


CONVERTER = Converter(lambda state, model: from_torchvision(state), _implies)
"""For files of torchvision's ``fcn_resnet50`` and ``fcn_resnet101``."""
