"""The VGG-16 trunk of the first DeepLab nets."""

from collections.abc import Collection

import torch.nn.functional as F
from torch import Tensor

from zoo.encoders.dilation import set_dilation
from zoo.encoders.vgg import VGG16
from zoo.interfaces import FeatureSpec, Pool


class AtrousVGG16(VGG16):
    """VGG-16 at output stride 8: 3×3 poolings, padded by 1, the last two of stride 1; conv5 dilated by 2.

    Every cell lies on a pixel: cell i of a map of stride s on pixel i · s. A map of a picture of H rows has
    floor((H - 1) / 8) + 1 rows, or one more. No pooling switches.

    Args:
        taps: Build only as deep as these need; None builds everything.
        in_channels: Channels of the input.
        encoder_weights: None, ``"imagenet"`` (torchvision's VGG-16, downloaded), or the path of a file of them.
    """

    def __init__(
        self,
        *,
        taps: Collection[str] | None = None,
        in_channels: int = 3,
        encoder_weights: str | None = None,
    ) -> None:
        super().__init__(taps=taps, in_channels=in_channels, encoder_weights=encoder_weights)
        for name, kind in self.layers:
            if kind == "conv" and name.startswith("conv5"):
                set_dilation(getattr(self, name), 2)
        self.features = tuple(_placed(tap) for tap in self.features)
        self.pools = ()

    @classmethod
    def offers(cls) -> tuple[FeatureSpec, ...]:  # type: ignore[override]
        """Its taps."""
        return tuple(_placed(tap) for tap in super().offers())

    def halve(self, name: str, x: Tensor, pools: dict[str, Pool] | None = None) -> Tensor:
        return F.max_pool2d(x, 3, 1 if name in ("pool4", "pool5") else 2, padding=1, ceil_mode=True)


def _placed(tap: FeatureSpec) -> FeatureSpec:
    block = int(tap.name.removeprefix("conv").removeprefix("pool")[0])
    halvings = min(block if tap.name.startswith("pool") else block - 1, 3)
    return tap._replace(stride=2**halvings, offset=0.0)
