"""SqueezeNet 1.0 (Iandola et al., 2016), widened at its end by a stage that classification did not need.

Layers have torchvision's names inside a module, ``squeeze``, ``expand1x1``, ``expand3x3``, and the paper's for the
modules: ``conv1``, ``fire2`` … ``fire9``.
"""

import math
from collections.abc import Collection

import torch
from torch import Tensor, nn

from zoo.encoders import _squeezenet_weights
from zoo.errors import OptionError
from zoo.interfaces import Encoder, Features, FeatureSpec
from zoo.ops import BatchNorm2d

_STAGES: tuple[tuple[tuple[str, int], ...], ...] = (
    (("conv1", 96),),
    (("fire2", 128), ("fire3", 128), ("fire4", 256)),
    (("fire5", 256), ("fire6", 384), ("fire7", 384), ("fire8", 512)),
    (("fire9", 512),),
    (("fire10", 512), ("fire11", 512)),
)
"""Layers and their channels by stage; the first has stride 2, a pooling stands before each other one."""


class Fire(nn.Module):
    """1×1 to an eighth of the channels, then 1×1 and 3×3 side by side, half of the channels each; ReLU after all.

    Args:
        in_channels: C of the input.
        out_channels: C of the result.
        norm: BatchNorm after every convolution.
    """

    def __init__(self, in_channels: int, out_channels: int, norm: bool) -> None:
        super().__init__()
        narrow, half = out_channels // 8, out_channels // 2
        self.squeeze = nn.Conv2d(in_channels, narrow, 1)
        self.expand1x1 = nn.Conv2d(narrow, half, 1)
        self.expand3x3 = nn.Conv2d(narrow, half, 3, padding=1)
        self.norm_squeeze = BatchNorm2d(narrow) if norm else nn.Identity()
        self.norm = BatchNorm2d(out_channels) if norm else nn.Identity()
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, h, w) to (N, out_channels, h, w)."""
        x = self.relu(self.norm_squeeze(self.squeeze(x)))
        out: Tensor = self.relu(self.norm(torch.cat((self.expand1x1(x), self.expand3x3(x)), 1)))
        return out

    def dilate(self, rate: int) -> None:
        """Spread the 3×3 kernel over 2 · rate + 1 cells."""
        self.expand3x3.dilation = self.expand3x3.padding = (rate, rate)


class SqueezeNet(Encoder):
    """SqueezeNet 1.0 without its classifier: 0.74 million parameters up to ``fire9``, stride 16.

    Taps: the last layer before each halving, ``conv1`` (stride 2), ``fire4`` (4), ``fire8`` (8), ``fire9`` (16), and
    ``fire11`` (32), the end of a stage that is not in the paper and starts untrained. Convolution and poolings are
    padded so that cell 0 of every map lies on pixel 0; in the published net they are not padded, which changes nothing
    but the border and where the cells lie.

    Args:
        taps: Build only as deep as these need; None builds everything.
        in_channels: Channels of the input.
        stages: 5, or 4 for the published net alone.
        output_stride: 8, 16 or 32: deeper stages are dilated instead of strided.
        norm: BatchNorm after every convolution. The published net has none: its weights are then only a start.
        encoder_weights: None, ``"imagenet"`` (torchvision's, fetched once), or the path of a file that
            `zoo hub convert` made.
    """

    def __init__(
        self,
        *,
        taps: Collection[str] | None = None,
        in_channels: int = 3,
        stages: int = 5,
        output_stride: int = 32,
        norm: bool = False,
        encoder_weights: str | None = None,
    ) -> None:
        super().__init__()
        offered = self.offers(stages=stages, output_stride=output_stride)
        if taps is not None:
            stages = 1 + max(index for index, tap in enumerate(offered) if tap.name in taps)
        self.in_channels = in_channels
        self.stages: list[tuple[int, tuple[str, ...]]] = []
        channels = in_channels
        for index, stage in enumerate(_STAGES[:stages]):
            dilation = max(1, 2 ** (index + 1) // output_stride)
            for name, width in stage:
                if name == "conv1":
                    conv = nn.Conv2d(channels, width, 7, stride=2, padding=3)
                    layers = [conv, BatchNorm2d(width)] if norm else [conv]
                    self.add_module(name, nn.Sequential(*layers, nn.ReLU(inplace=True)))
                else:
                    fire = Fire(channels, width, norm)
                    fire.dilate(dilation)
                    self.add_module(name, fire)
                channels = width
            self.stages.append((1 if dilation > 1 else 2, tuple(name for name, _ in stage)))
        self.features = offered[:stages]
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_in = module.in_channels * math.prod(module.kernel_size)
                nn.init.normal_(module.weight, std=math.sqrt(2 / fan_in))
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]
        if encoder_weights is not None:
            _squeezenet_weights.load(self, encoder_weights)

    @classmethod
    def offers(cls, *, stages: int = 5, output_stride: int = 32) -> tuple[FeatureSpec, ...]:  # type: ignore[override]
        """The taps that a net of these options has."""
        if stages not in (4, 5):
            raise OptionError(f"stages={stages}: expected 4 or 5")
        if output_stride not in (8, 16, 32):
            raise OptionError(f"output_stride={output_stride}: expected 8, 16 or 32")
        return tuple(
            FeatureSpec(*stage[-1], min(2**index, output_stride), 0.0)
            for index, stage in enumerate(_STAGES[:stages], 1)
        )

    def forward(self, x: Tensor, taps: Collection[str], with_pools: bool = False) -> Features:
        """Map (N, C, H, W) to the named taps, each (N, channels, ceil(H / stride), ceil(W / stride))."""
        maps: dict[str, Tensor] = {}
        for stride, names in self.stages:
            if names[0] != "conv1" and stride > 1:
                x = nn.functional.max_pool2d(x, 3, stride, padding=1)
            for name in names:
                x = getattr(self, name)(x)
            if names[-1] in taps:
                maps[names[-1]] = x
        return Features(maps, {})
