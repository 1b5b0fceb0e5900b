"""PSPNet as in its authors' PyTorch release (semseg).

The released nets are ResNets with three 3×3 convolutions as their stem (64, 64, 128 channels; timm's ``resnet50s`` and
``resnet101s``) whose stages 3 and 4 are dilated by 2 and 4 in every unit.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zoo.encoders.dilation import build_dilated, choose_output_stride, offered_at
from zoo.errors import OptionError
from zoo.heads import FCNHead, ScoreHead, auxiliary_tap
from zoo.interfaces import Decoder, EncoderPlan, Features, FeatureSpec
from zoo.model import SegmentationModel
from zoo.ops import AdaptiveAvgPool2d, conv_norm_act, resize
from zoo.options import whole_numbers


def pspnet(
    encoder: EncoderPlan,
    num_classes: int,
    *,
    output_stride: int | None = None,
    bins: Sequence[int] = (1, 2, 3, 6),
    width: int = 512,
    dropout: float = 0.1,
    align_corners: bool = True,
    whole_stages: bool = True,
    aux: bool = False,
) -> SegmentationModel:
    """PSPNet: a dilated encoder, its deepest map joined with means of it over grids of several sizes.

    Args:
        encoder: Any encoder that can be dilated to stride 8 or 16.
        num_classes: K.
        output_stride: Stride of the encoder's deepest map; None: 8, or 16 where the encoder cannot have 8.
        bins: Cells per side of each grid.
        width: Channels after the join.
        dropout: Probability for whole channels before the scores.
        align_corners: Resize with the corners aligned, as in the release. That is exact for sizes 8k + 1; others are
            stretched by up to seven pixels over the picture.
        whole_stages: Dilate the first unit of a dilated stage too, as in the release.
        aux: Add an auxiliary head for training, on the last tap before the deepest.
    """
    if width < 1:
        raise OptionError(f"width={width}: expected at least 1")
    stride = choose_output_stride(encoder, output_stride, (8, 16))
    offered = offered_at(encoder, stride)
    decoder = PSPDecoder(
        offered[-1], bins=whole_numbers("bins", bins), width=width, dropout=dropout, align_corners=align_corners
    )
    auxiliary = {}
    if aux:
        tap = auxiliary_tap(encoder.name, offered)
        head = FCNHead(tap.channels, num_classes, dropout, whole_channels=True, align_corners=align_corners)
        auxiliary["aux"] = (tap.name, head)
    taps = (*decoder.taps, *(tap for tap, _ in auxiliary.values()))
    built = build_dilated(encoder, taps, stride, whole_stages=whole_stages)
    return SegmentationModel(built, decoder, ScoreHead(width, num_classes, align_corners=align_corners), auxiliary)


class PSPDecoder(Decoder):
    """Pyramid pooling, joined with what was pooled; one 3×3 convolution.

    Args:
        tap: What it reads.
        bins: Cells per side of each grid; each grid gets an equal share of the tap's channels.
        width: Channels of the result.
        dropout: Probability for whole channels at the end.
        align_corners: How the grids are resized.
    """

    def __init__(
        self,
        tap: FeatureSpec,
        *,
        bins: Sequence[int] = (1, 2, 3, 6),
        width: int = 512,
        dropout: float = 0.1,
        align_corners: bool = True,
    ) -> None:
        super().__init__()
        self.taps = (tap.name,)
        self.align_corners = align_corners
        share = max(tap.channels // len(bins), 1)
        self.ppm = nn.ModuleList(
            nn.Sequential(AdaptiveAvgPool2d(size), *conv_norm_act(tap.channels, share, 1)) for size in bins
        )
        self.bottleneck = conv_norm_act(tap.channels + share * len(bins), width)
        self.dropout = nn.Dropout2d(dropout)
        self.out = tap._replace(name="bottleneck", channels=width)

    def forward(self, features: Features) -> Tensor:
        """Map the tap (N, C, h, w) to (N, width, h, w)."""
        x = features.maps[self.taps[0]]
        size = (x.shape[-2], x.shape[-1])
        pooled = [resize(grid(x), size, align_corners=self.align_corners) for grid in self.ppm]
        y: Tensor = self.dropout(self.bottleneck(torch.cat([x, *pooled], dim=1)))
        return y
