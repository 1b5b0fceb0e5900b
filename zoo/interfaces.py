"""The contract of a component: what a plugin implements and what it may rely on."""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from zoo.config import InputSpec


class FeatureSpec(NamedTuple):
    """One tap of an encoder.

    Attributes:
        name: Its key in `Features.maps`: ``"pool4"``, ``"layer3"``, ``"fc7"``. Strides may repeat, names do not.
        channels: C of the map.
        stride: Input pixels between two neighbouring cells.
        offset: Image coordinate of the centre of cell 0, with pixel centres at 0, 1, 2, …
    """

    name: str
    channels: int
    stride: int
    offset: float


class Pool(NamedTuple):
    """The switches of one max pooling.

    Attributes:
        indices: (N, C, h, w) int64, flat index ``row * W + column`` of each maximum in the map before pooling.
        size: (H, W) of the map before pooling.
    """

    indices: Tensor
    size: tuple[int, int]


class Features(NamedTuple):
    """What an encoder saw: tap name → (N, C, h, w), and pooling switches where they were asked for."""

    maps: dict[str, Tensor]
    pools: dict[str, Pool]


class Encoder(nn.Module):
    """Turns an image into feature maps.

    Attributes:
        features: The taps it offers, finest first.
        pools: Names of the poolings whose switches it can give.
        input: How pictures are prepared for it; what its pretrained weights expect.

    Its constructor takes ``taps`` (build no deeper than these need; None for all), ``in_channels``, and
    explicit options of its own; ``encoder_weights`` where it knows pretrained weights.
    """

    features: tuple[FeatureSpec, ...]
    pools: tuple[str, ...] = ()
    input: InputSpec = InputSpec()

    @classmethod
    def offers(cls, **options: Any) -> tuple[FeatureSpec, ...]:
        """The taps of an encoder with these options, before it is built.

        An encoder that can tell without building overrides this with the options that matter as explicit
        parameters; this one builds it on the meta device, which costs no memory.
        """
        with torch.device("meta"):
            return cls(**options).features

    def forward(self, x: Tensor, taps: Collection[str], with_pools: bool = False) -> Features:
        """Map (N, C, H, W) to the named `taps`; any H, W ≥ 1."""
        raise TypeError(f"{type(self).__name__} does not define forward(x, taps, with_pools)")


class Decoder(nn.Module):
    """Turns features into one map. Built from feature specs, never from an encoder's name.

    Attributes:
        taps: Names of the taps it reads.
        with_pools: Whether it reads pooling switches.
        out: Channels, stride and offset of its map.
    """

    taps: tuple[str, ...]
    with_pools: bool = False
    out: FeatureSpec

    def forward(self, features: Features) -> Tensor:
        """Map features to (N, out.channels, h, w)."""
        raise TypeError(f"{type(self).__name__} does not define forward(features)")


class Head(nn.Module):
    """Turns the decoder's map into logits."""

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """Map (N, C, h, w) to logits (N, K, H, W) at `size` = (H, W), the input's own size."""
        raise TypeError(f"{type(self).__name__} does not define forward(x, size)")


class EncoderPlan(Protocol):
    """An encoder that is chosen but not built: what an architecture gets to work with.

    Attributes:
        name: Its name.
        in_channels: Channels of the input.
        output_strides: The strides that its deepest map can have, as its manifest says.
    """

    name: str
    in_channels: int
    output_strides: tuple[int, ...]

    def supported(self, **wishes: Any) -> Mapping[str, Any]:
        """The part of `wishes` that are options of this encoder: how an architecture asks without insisting."""
        ...

    def offers(self, **options: Any) -> tuple[FeatureSpec, ...]:
        """The taps that `build(**options)` would have; builds nothing."""
        ...

    def build(self, taps: Collection[str] | None = None, *, in_channels: int | None = None, **options: Any) -> Encoder:
        """Build it, no deeper than the named taps need. Options the user gave win over these.

        `in_channels` is for an architecture that shows this encoder only a part of the input's channels.
        """
        ...
