"""A small net with random weights that sees a few pixels around each, to be compared with itself."""

from collections.abc import Collection

import torch
from torch import Tensor, nn

from zoo.config import InputSpec
from zoo.heads import ScoreHead
from zoo.interfaces import Decoder, Encoder, Features, FeatureSpec
from zoo.model import SegmentationModel


class Narrow(Encoder):
    """Two convolutions of stride 2."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.features = (FeatureSpec("deep", width, 4, 1.5),)
        self.input = InputSpec("ANY", 1.0, (0.5,) * channels, (0.25,) * channels)
        self.body = nn.Sequential(
            nn.Conv2d(channels, width, 4, 2, 1), nn.ReLU(), nn.Conv2d(width, width, 4, 2, 1), nn.ReLU()
        )

    def forward(self, x: Tensor, taps: Collection[str], with_pools: bool = False) -> Features:
        height, width = x.shape[-2:]
        return Features({"deep": self.body(nn.functional.pad(x, (0, -width % 4, 0, -height % 4)))}, {})


class Same(Decoder):
    taps = ("deep",)

    def __init__(self, out: FeatureSpec) -> None:
        super().__init__()
        self.out = out

    def forward(self, features: Features) -> Tensor:
        return features.maps["deep"]


def tiny_net(num_classes: int, in_channels: int = 3, *, width: int = 8) -> SegmentationModel:
    """A model function to register."""
    encoder = Narrow(in_channels, width)
    model = SegmentationModel(encoder, Same(encoder.features[0]), ScoreHead(width, num_classes))
    if not model.head.score.weight.is_meta:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.normal_(0, 0.3)
    return model
