"""The trunk of Fast-SCNN: three layers that learn to downsample, then nine inverted bottlenecks."""

from collections.abc import Collection
from pathlib import Path

from torch import Tensor, nn

from zoo.errors import OptionError
from zoo.interfaces import Encoder, Features, FeatureSpec
from zoo.ops import BatchNorm2d, conv_norm_act

_STAGES = (("global1", 64, 2), ("global2", 96, 2), ("global3", 128, 1))
"""Bottlenecks: name, channels and stride of each stage of three."""


def separable(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    """3×3 convolution of each channel alone, then 1×1 across channels; ReLU after the second only."""
    return nn.Sequential(
        nn.Conv2d(in_channels, in_channels, 3, stride, 1, groups=in_channels, bias=False),
        BatchNorm2d(in_channels),
        *conv_norm_act(in_channels, out_channels, 1),
    )


class Bottleneck(nn.Module):
    """MobileNetV2's: widen six times, 3×3 of each channel alone, narrow without ReLU; added to its input if it fits."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        wide = 6 * in_channels
        self.residual = stride == 1 and in_channels == out_channels
        self.block = nn.Sequential(
            *conv_norm_act(in_channels, wide, 1),
            *conv_norm_act(wide, wide, 3, stride=stride, groups=wide),
            nn.Conv2d(wide, out_channels, 1, bias=False),
            BatchNorm2d(out_channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, h, w) to (N, out_channels, ⌈h / stride⌉, ⌈w / stride⌉)."""
        y: Tensor = self.block(x)
        return x + y if self.residual else y


class Trunk(Encoder):
    """Taps at strides 2, 4, 8 (the paper's "learning to downsample"), 16 and 32.

    Every convolution of stride 2 has a kernel of 3 and a padding of 1: cell 0 of each map lies on pixel 0.

    Args:
        taps: Build no deeper than these need; None for all.
        in_channels: Channels of the picture.
        encoder_weights: None. There are no pretrained weights; a file of a whole model is given to the model.

    Raises:
        OptionError: `encoder_weights` was given.
    """

    features = (
        FeatureSpec("conv", 32, 2, 0.0),
        FeatureSpec("ds1", 48, 4, 0.0),
        FeatureSpec("ds2", 64, 8, 0.0),
        FeatureSpec("global1", 64, 16, 0.0),
        FeatureSpec("global3", 128, 32, 0.0),
    )

    def __init__(
        self, taps: Collection[str] | None = None, in_channels: int = 3, encoder_weights: str | Path | None = None
    ) -> None:
        super().__init__()
        if encoder_weights is not None:
            raise OptionError(f"encoder_weights={str(encoder_weights)!r}: this trunk is trained from scratch")
        self.conv = conv_norm_act(in_channels, 32, 3, stride=2)
        self.ds1 = separable(32, 48, 2)
        self.ds2 = separable(48, 64, 2)
        channels = 64
        for name, width, stride in _STAGES:
            units = [
                Bottleneck(channels if unit == 0 else width, width, stride if unit == 0 else 1) for unit in range(3)
            ]
            self.add_module(name, nn.Sequential(*units))
            channels = width
        wanted = {tap.name for tap in self.features} if taps is None else {*taps}
        self.stages = ["conv", "ds1", "ds2", *(name for name, _, _ in _STAGES)]
        while self.stages[-1] not in wanted:  # what nothing reads is not built
            delattr(self, self.stages.pop())

    @classmethod
    def offers(cls) -> tuple[FeatureSpec, ...]:
        """The taps, without building anything."""
        return cls.features

    def forward(self, x: Tensor, taps: Collection[str], with_pools: bool = False) -> Features:
        maps = {}
        for name in self.stages:
            x = getattr(self, name)(x)
            if name in taps:
                maps[name] = x
        return Features(maps, {})
