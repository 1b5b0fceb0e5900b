"""The library's decoders and heads, as parts of a Zoo model."""

from typing import Any

from torch import Tensor, nn

from zoo.interfaces import Decoder, Features, FeatureSpec, Head
from zoo.ops import crop


class LibraryDecoder(Decoder):
    """A decoder of the library around its module: the list of an encoder's maps → one map.

    Args:
        model: The module.
        taps: The maps that it reads, from stride 1 on.
        out: What its map is.
    """

    def __init__(self, model: nn.Module, taps: tuple[str, ...], out: FeatureSpec) -> None:
        super().__init__()
        self.model = model
        self.taps = taps
        self.out = out

    def forward(self, features: Features) -> Tensor:
        answer: Tensor = self.model([features.maps[tap] for tap in self.taps])
        return answer


class TokenDecoder(LibraryDecoder):
    """DPT's decoder: maps of blocks and the prefix tokens that belong to them."""

    def forward(self, features: Features) -> Tensor:
        maps = [features.maps[tap] for tap in self.taps]
        prefixes = [features.maps.get(tap.replace("block", "prefix")) for tap in self.taps]
        answer: Tensor = self.model(maps, prefixes)
        return answer


class LibraryHead(Head):
    """A segmentation head of the library, which answers at the padded size; cut to the picture's."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        return crop(self.model(x), size)


def head_input(head: Any) -> FeatureSpec:
    """The map that a segmentation head reads: its channels and stride."""
    convolution = next(module for module in head.modules() if isinstance(module, nn.Conv2d))
    factors = [module.scale_factor for module in head.modules() if isinstance(module, nn.Upsample)]
    stride = int(factors[0] if factors else getattr(head, "upsampling_factor", 1))
    return FeatureSpec("decoder", convolution.in_channels, stride, (stride - 1) / 2)
