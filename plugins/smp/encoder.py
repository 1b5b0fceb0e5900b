"""The library's encoders, as encoders of Zoo."""

from collections.abc import Collection
from typing import Any

from torch import Tensor, nn
from zoo.plugins.smp.facts import DEPTH, NAMESPACE, Padding, convention, encoder_padding, pretrained, table_entry
from zoo.plugins.smp.frozen import freeze_unused
from zoo.plugins.smp.library import fetching, library

from zoo.config import InputSpec
from zoo.errors import IncompatibleError
from zoo.interfaces import Encoder, Features, FeatureSpec
from zoo.ops import ceil_div, crop, pad_to


class Pyramid(Encoder):
    """An encoder of the library around its module: maps at strides 1, 2, 4, … as ``stage0``, ``stage1``, ``stage2``, ….

    ``stage0`` is the picture itself, and no feature, except in VGG nets; where a net has no map at stride 2,
    the library puts an empty one there, which is no feature either.

    Args:
        model: (N, C, H, W) → a list of maps.
        features: The maps that are features.
        padding: What the input is padded to, at the bottom and the right, with zeros.
        input: How pictures are prepared.
        whole: Return all maps as they are, empty ones too, for a decoder of the library. Otherwise those asked for,
            cut to the cells that lie in the picture.
    """

    def __init__(
        self, model: nn.Module, features: Collection[FeatureSpec], padding: Padding, input: InputSpec, *, whole: bool
    ) -> None:
        super().__init__()
        self.model = model
        self.features = tuple(features)
        self.padding = padding
        self.input = input
        self.whole = whole

    def forward(self, x: Tensor, taps: Collection[str], with_pools: bool = False) -> Features:
        """Map (N, C, H, W) to the named taps, each (N, channels, ceil(H / stride), ceil(W / stride)) unless `whole`."""
        height, width = x.shape[-2:]
        maps = {f"stage{index}": found for index, found in enumerate(self.model(pad_to(x, *self.padding)))}
        if not self.whole:
            maps = {
                tap.name: crop(maps[tap.name], (ceil_div(height, tap.stride), ceil_div(width, tap.stride)))
                for tap in self.features
                if tap.name in taps
            }
        return Features(maps, {})


class SMPEncoder(Pyramid):
    """An encoder of the library by its name in the library, for any architecture.

    Args:
        name: ``"mit_b0"``, ``"timm-skresnet18"``, ``"tu-convnext_tiny"`` …
        taps: Build only as deep as these need, as far as the library can; None builds everything.
        in_channels: Channels of the input.
        output_stride: 8, 16 or 32: deeper stages are dilated instead of strided, where the encoder can.
        encoder_weights: None, or the library's name of pretrained weights: ``"imagenet"``, ``"ssl"`` … (downloaded).

    Raises:
        IncompatibleError: It gives no pyramid of maps, or not at that output stride.
        OptionError: No such weights.
        ZooError: The library is not installed.
    """

    def __init__(
        self,
        name: str,
        *,
        taps: Collection[str] | None = None,
        in_channels: int = 3,
        output_stride: int = 32,
        encoder_weights: str | None = None,
    ) -> None:
        from zoo.encoders._norms import allow_lone_values
        from zoo.encoders.timm import shorten

        features = self.offers(name, output_stride=output_stride)
        if not features:
            raise IncompatibleError(f"encoder '{NAMESPACE}/{name}' gives tokens, for {NAMESPACE}/dpt only")
        if taps is not None:
            features = tuple(tap for tap in features if tap.name in taps)
        depth = max(int(tap.name.removeprefix("stage")) for tap in features)
        with fetching(f"{NAMESPACE}/{name}"):
            model = library().encoders.get_encoder(
                name,
                in_channels=in_channels,
                depth=max(depth, 1),
                weights=pretrained(name, encoder_weights),
                output_stride=output_stride,
            )
            input = convention(name, encoder_weights)
        allow_lone_values(model)
        padding = encoder_padding(name)
        if depth < DEPTH:
            if name.startswith("tu-"):
                shorten(model.model)
            freeze_unused(model, in_channels, max(64, padding.minimum))
        super().__init__(model, features, padding, input, whole=False)

    @classmethod
    def offers(cls, name: str, *, output_stride: int = 32) -> tuple[FeatureSpec, ...]:  # type: ignore[override]
        """The taps of encoder `name`, from the table; none for those that only DPT can use."""
        entry = table_entry(name)
        offers = entry.get("offers", {})
        if output_stride not in offers.get("output_strides", (32,)):
            raise IncompatibleError(f"encoder '{NAMESPACE}/{name}' cannot have output stride {output_stride}")
        strides = {index: min(2**index, output_stride) for index in range(DEPTH + 1)}
        return tuple(
            FeatureSpec(f"stage{index}", channels, strides[index], (strides[index] - 1) / 2)
            for index, channels in enumerate(entry.get("channels", ()))
            if 2**index in offers["strides"]
        )


class Tokens(Encoder):
    """A timm net as DPT reads it: the maps of four blocks as ``block1`` …, and the tokens before them as ``prefix1`` ….

    Prefix tokens are (N, tokens, C), and only there where the net has any.

    Args:
        model: The library's encoder.
        padding: What the input is padded to.
        input: How pictures are prepared.
    """

    def __init__(self, model: Any, padding: Padding, input: InputSpec) -> None:
        super().__init__()
        self.model = model
        self.features = tuple(
            FeatureSpec(f"block{index}", channels, stride, (stride - 1) / 2)
            for index, (channels, stride) in enumerate(zip(model.out_channels, model.output_strides, strict=True), 1)
        )
        self.padding = padding
        self.input = input

    def forward(self, x: Tensor, taps: Collection[str], with_pools: bool = False) -> Features:
        """Map (N, C, H, W) to all blocks, at the strides of the padded input."""
        maps, prefixes = self.model(pad_to(x, *self.padding))
        found = {f"block{index}": block for index, block in enumerate(maps, 1)}
        found |= {f"prefix{index}": prefix for index, prefix in enumerate(prefixes, 1) if prefix is not None}
        return Features(found, {})
