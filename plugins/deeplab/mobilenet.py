"""torchvision's MobileNetV3-Large, with its deep stages dilated on request.

timm has a net of the same name whose batch norms differ, so torchvision's weights fit this one only.
"""

from collections.abc import Collection
from functools import partial
from pathlib import Path

from torch import Tensor, nn
from torchvision.models import mobilenet_v3_large

from zoo.encoders.dilation import set_dilation
from zoo.errors import OptionError
from zoo.hub.encoder_file import load_encoder
from zoo.hub.locate import published_encoder
from zoo.interfaces import Encoder, Features, FeatureSpec
from zoo.ops import BatchNorm2d

_TAPS = {1: (16, 2), 3: (24, 4), 4: (40, 8), 6: (40, 8), 12: (112, 16), 16: (960, 32)}
"""Index among torchvision's features → channels, stride."""

_STRIDED = {16: range(7, 13), 32: range(13, 16)}
"""Stride → the blocks of that stride; the first one brings it about."""


class MobileNetV3Large(Encoder):
    """MobileNetV3-Large without its classifier.

    Taps are named ``features.N`` as in torchvision: the last block of each stride, and ``features.4``, the first of
    stride 8, which torchvision's segmentation nets read. Cells lie on pixels: cell i of a map of stride s on i · s.

    Args:
        taps: Build only as deep as these need; None builds everything.
        in_channels: Channels of the input.
        output_stride: 8, 16 or 32: deeper blocks are dilated instead of strided, the first of them too.
        encoder_weights: None, ``"imagenet"`` for torchvision's first version, downloaded, or the path of a converted
            file.
    """

    def __init__(
        self,
        *,
        taps: Collection[str] | None = None,
        in_channels: int = 3,
        output_stride: int = 32,
        encoder_weights: str | None = None,
    ) -> None:
        super().__init__()
        if output_stride not in (8, 16, 32):
            raise OptionError(f"output_stride={output_stride}: expected 8, 16 or 32")
        file = Path(encoder_weights) if encoder_weights not in (None, "imagenet") else None
        if file is not None and not file.is_file():
            raise OptionError(f"encoder_weights={encoder_weights!r}: expected None, 'imagenet' or the path of a file")
        self.features = tuple(
            tap for tap in self.offers(output_stride=output_stride) if taps is None or tap.name in taps
        )
        depth = max(_index(tap.name) for tap in self.features) + 1
        network = mobilenet_v3_large(norm_layer=partial(BatchNorm2d, eps=1e-3, momentum=0.01))
        self.model = network.features[:depth]
        if in_channels != 3:
            first = nn.Conv2d(in_channels, 16, 3, stride=2, padding=1, bias=False)
            nn.init.kaiming_normal_(first.weight, mode="fan_out")
            self.model[0][0] = first
        for stride, blocks in _STRIDED.items():
            if stride > output_stride:
                for block in self.model[blocks.start : blocks.stop]:
                    _dilate(block, stride // output_stride)
        if encoder_weights == "imagenet":
            file = published_encoder("mobilenet_v3_large", "torchvision")
        if file is not None and not load_encoder(self, file, first="model.0.0.weight", in_channels=in_channels):
            raise OptionError(f"encoder_weights={encoder_weights!r} is no file that `zoo hub convert` made")

    @classmethod
    def offers(cls, *, output_stride: int = 32) -> tuple[FeatureSpec, ...]:  # type: ignore[override]
        """The taps at an output stride."""
        return tuple(
            FeatureSpec(f"features.{index}", channels, min(stride, output_stride), 0.0)
            for index, (channels, stride) in _TAPS.items()
        )

    def forward(self, x: Tensor, taps: Collection[str], with_pools: bool = False) -> Features:
        """Map (N, C, H, W) to the named taps, each (N, channels, ceil(H / stride), ceil(W / stride))."""
        maps: dict[str, Tensor] = {}
        for index, block in enumerate(self.model):
            x = block(x)
            name = f"features.{index}"
            if name in taps:
                maps[name] = x
        return Features(maps, {})


def _index(tap: str) -> int:
    return int(tap.rpartition(".")[2])


def _dilate(block: nn.Module, rate: int) -> None:
    for layer in block.modules():
        if isinstance(layer, nn.Conv2d):
            layer.stride = (1, 1)
    set_dilation(block, rate)
