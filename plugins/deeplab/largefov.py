"""DeepLab-LargeFOV (Chen, Papandreou, Kokkinos, Murphy, Yuille, ICLR 2015), as released for Caffe.

VGG-16 with 3×3 poolings, the last two of stride 1; conv5 dilated by 2; fc6 cut to 3×3 with rate 12 and to 1024
channels, fc7 to 1024. The first release averages over 3×3 before fc6 (``pool5a``); the second (PAMI 2017) does not, and
takes ``average_pool=False``. The CRF that follows in the papers is no part of the net.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from zoo.encoders.dilation import build_dilated, choose_output_stride, offered_at
from zoo.errors import OptionError
from zoo.interfaces import Decoder, EncoderPlan, Features, FeatureSpec, Head
from zoo.model import SegmentationModel
from zoo.ops import resize


def deeplab_largefov(
    encoder: EncoderPlan,
    num_classes: int,
    *,
    rate: int = 12,
    width: int = 1024,
    average_pool: bool = True,
    dropout: float = 0.5,
) -> SegmentationModel:
    """DeepLab-LargeFOV: a dilated encoder, then VGG's classifier with a wide field of view.

    Args:
        encoder: ``vgg16_atrous`` as published, or any encoder that can be dilated to stride 8.
        num_classes: K.
        rate: Dilation of fc6.
        width: Channels of fc6 and fc7.
        average_pool: Average over 3×3 before fc6, as in the first release.
        dropout: Probability after fc6 and fc7; elements, not channels, are dropped.
    """
    if rate < 1 or width < 1:
        raise OptionError(f"rate={rate}, width={width}: expected at least 1")
    stride = choose_output_stride(encoder, 8, ())
    deepest = offered_at(encoder, stride)[-1]
    decoder = LargeFOVDecoder(deepest, rate=rate, width=width, average_pool=average_pool, dropout=dropout)
    built = build_dilated(encoder, decoder.taps, stride)
    return SegmentationModel(built, decoder, ZoomHead(decoder.out, num_classes))


class LargeFOVDecoder(Decoder):
    """VGG's fc6, dilated, and fc7, both with ReLU and dropout.

    Args:
        tap: What it reads.
        rate: Dilation of fc6.
        width: Channels of fc6 and fc7.
        average_pool: Average over 3×3 before fc6; zeros around the map count, as in Caffe.
        dropout: Probability after fc6 and fc7.
    """

    def __init__(
        self,
        tap: FeatureSpec,
        *,
        rate: int = 12,
        width: int = 1024,
        average_pool: bool = True,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.taps = (tap.name,)
        self.pool5a = nn.AvgPool2d(3, 1, 1) if average_pool else nn.Identity()
        self.fc6 = nn.Conv2d(tap.channels, width, 3, padding=rate, dilation=rate)
        self.fc7 = nn.Conv2d(width, width, 1)
        self.relu = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(dropout)
        self.out = tap._replace(name="fc7", channels=width)

    def forward(self, features: Features) -> Tensor:
        """Map the tap (N, C, h, w) to (N, width, h, w)."""
        x = self.dropout(self.relu(self.fc6(self.pool5a(features.maps[self.taps[0]]))))
        fc7: Tensor = self.dropout(self.relu(self.fc7(x)))
        return fc7


class ZoomHead(Head):
    """Scores, enlarged by the stride so that every cell keeps its place, cut to the input's size (Caffe's Interp).

    That needs a map whose cell 0 lies on pixel 0 and that reaches beyond the last pixel, as the published trunk gives;
    of other maps the scores are resized to the input's size.

    Args:
        source: The map it reads.
        num_classes: K.
    """

    def __init__(self, source: FeatureSpec, num_classes: int) -> None:
        super().__init__()
        self.score = nn.Conv2d(source.channels, num_classes, 1)
        self.zoom = source.stride if source.offset == 0 else None

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        scores = self.score(x)
        if self.zoom is None:
            return resize(scores, size)
        height, width = (self.zoom * (length - 1) + 1 for length in x.shape[-2:])
        zoomed = resize(scores, (height, width), align_corners=True)
        # A negative padding cuts; a slice would tie an exported net to sizes where there is something to cut, or not.
        return F.pad(zoomed, (0, size[1] - width, 0, size[0] - height))
