"""Fast-SCNN (Poudel, Liwicki and Cipolla, 2019): what stands on the trunk."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zoo.heads import FCNHead
from zoo.interfaces import Decoder, EncoderPlan, Features, FeatureSpec, Head
from zoo.model import SegmentationModel
from zoo.ops import AdaptiveAvgPool2d, BatchNorm2d, ScoreConv, conv_norm_act, resize
from zoo.options import whole_numbers
from zoo.plan import make
from zoo.registry import registry
from zoo_plugin_example.trunk import separable


def fast_scnn(
    encoder: EncoderPlan,
    num_classes: int,
    *,
    width: int = 128,
    bins: Sequence[int] = (1, 2, 3, 6),
    head: str = "separable",
    aux: bool = False,
) -> SegmentationModel:
    """Fast-SCNN on its own trunk, or on any encoder with taps at strides 8 and 32.

    Args:
        encoder: Where the two taps come from.
        num_classes: K.
        width: Channels where the two are added; a multiple of the number of `bins`.
        bins: Cells per side of each grid that is pooled over.
        head: Name of a head, ours or another that needs no more than channels and classes, as ``"score"``.
        aux: Add auxiliary heads for training, on both taps, as in the paper.
    """
    (width,) = whole_numbers("width", [width])
    offered = {tap.stride: tap for tap in encoder.offers()}
    low, high = offered[8], offered[32]
    decoder = FuseDecoder(low, high, width=width, bins=whole_numbers("bins", bins))
    scores = make(registry().get("head", head, near="example"), {}, in_channels=width, num_classes=num_classes)
    auxiliary: dict[str, tuple[str, Head]] = {}
    if aux:
        auxiliary = {
            "aux_low": (low.name, FCNHead(low.channels, num_classes)),
            "aux_high": (high.name, FCNHead(high.channels, num_classes)),
        }
    return SegmentationModel(encoder.build(decoder.taps), decoder, scores, auxiliary)


class FuseDecoder(Decoder):
    """Pools the deep map over grids, and adds it, upsampled, to the shallow one.

    Args:
        low: The shallow tap.
        high: The deep tap.
        width: Channels of the result.
        bins: Cells per side of each grid.
    """

    def __init__(
        self, low: FeatureSpec, high: FeatureSpec, *, width: int = 128, bins: Sequence[int] = (1, 2, 3, 6)
    ) -> None:
        super().__init__()
        self.taps = (low.name, high.name)
        share = max(high.channels // len(bins), 1)
        self.grids = nn.ModuleList(
            nn.Sequential(AdaptiveAvgPool2d(cells), *conv_norm_act(high.channels, share, 1)) for cells in bins
        )
        self.join = conv_norm_act(high.channels + share * len(bins), width, 1)
        rate = max(high.stride // low.stride, 1)
        self.spread = conv_norm_act(width, width, 3, dilation=rate, groups=width)
        self.deep = nn.Sequential(nn.Conv2d(width, width, 1, bias=False), BatchNorm2d(width))
        self.shallow = nn.Sequential(nn.Conv2d(low.channels, width, 1, bias=False), BatchNorm2d(width))
        self.relu = nn.ReLU(inplace=True)
        self.out = low._replace(name="fused", channels=width)

    def forward(self, features: Features) -> Tensor:
        """Map the taps to (N, width, h, w), of the size of the shallow one."""
        low, high = (features.maps[tap] for tap in self.taps)
        size = (high.shape[-2], high.shape[-1])
        x = self.join(torch.cat([high, *(resize(grid(high), size) for grid in self.grids)], dim=1))
        x = self.deep(self.spread(resize(x, (low.shape[-2], low.shape[-1]))))
        fused: Tensor = self.relu(self.shallow(low) + x)
        return fused


class SeparableHead(Head):
    """Two separable convolutions, dropout, 1×1 to class scores, resized to the picture's size."""

    def __init__(self, in_channels: int, num_classes: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.convs = nn.Sequential(separable(in_channels, in_channels), separable(in_channels, in_channels))
        self.dropout = nn.Dropout(dropout)
        self.score = ScoreConv(in_channels, num_classes)

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        return resize(self.score(self.dropout(self.convs(x))), size)
