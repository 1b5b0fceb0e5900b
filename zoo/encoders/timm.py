"""Every timm backbone that gives feature maps, by its timm name."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zoo.config import InputSpec
from zoo.errors import IncompatibleError, OptionError, UnknownNameError, did_you_mean
from zoo.interfaces import Encoder, Features, FeatureSpec
from zoo.ops import ceil_div, crop, pad_to


class TimmEncoder(Encoder):
    """A timm model built with ``features_only``.

    Taps have timm's names (``layer3``, ``blocks.2``, ``stages_1``). timm does not say where cells lie, so offsets are
    nominal: cells tile the picture, cell 0 centred at (stride - 1) / 2, as interpolation with
    ``align_corners=False`` assumes.

    Args:
        name: timm's name, a weight tag included where wanted: ``"resnet50"``, ``"resnet50.a1_in1k"``.
        taps: Build only as deep as these need; None builds everything.
        in_channels: Channels of the input; pretrained first layers are adapted by timm.
        output_stride: 8, 16 or 32: deeper stages are dilated instead of strided, where the model can.
        encoder_weights: None, ``"imagenet"`` for timm's default pretrained weights, or the path of a converted file.

    Raises:
        UnknownNameError: timm has no such model.
        IncompatibleError: The model gives no feature maps, or not at that output stride.
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
        from zoo.encoders._norms import allow_lone_values  # it imports timm

        super().__init__()
        self.name = name
        file = Path(encoder_weights) if encoder_weights not in (None, "imagenet") else None
        if file is not None and not file.is_file():
            raise OptionError(
                f"encoder_weights={encoder_weights!r}: timm encoders take None or 'imagenet', or the path of a file "
                "that `zoo hub convert` made"
            )
        everything = self.offers(name, output_stride=output_stride)
        wanted = [index for index, tap in enumerate(everything) if taps is None or tap.name in taps]
        # A net that is no coarser by nature need not know how to dilate.
        dilate = output_stride if output_stride < max(stride for _, _, stride in _taps(name)) else 32
        numbers = _numbers(name)
        indices = [numbers[index] for index in wanted]
        self.model = _create(name, dilate, in_channels, encoder_weights == "imagenet", indices)
        shorten(self.model)
        allow_lone_values(self.model)
        self.features = tuple(everything[index] for index in wanted)
        self.channels_last_maps = str(getattr(self.model, "output_fmt", "NCHW")).endswith("NHWC")
        config = _pretrained_config(self.model, name)
        if config is not None:
            self.input = InputSpec("RGB", 1.0, tuple(config["mean"]), tuple(config["std"]))
        table = _table_entry(name)
        # Models that are in no table get the padding that any pyramid of strides can live with.
        self.multiple = int(table.get("multiple", 1 if table else 32))
        self.minimum = int(table.get("minimum", 1 if table else 64))
        if file is not None:
            from zoo.encoders._timm_weights import first_conv
            from zoo.hub.encoder_file import load_encoder

            if not load_encoder(self, file, first=first_conv(self), in_channels=in_channels):
                raise OptionError(f"encoder_weights={encoder_weights!r} is no file that `zoo hub convert` made")

    @classmethod
    def offers(cls, name: str, *, output_stride: int = 32) -> tuple[FeatureSpec, ...]:  # type: ignore[override]
        """The taps of timm model `name`: from the table, or from timm on the meta device."""
        return tuple(
            FeatureSpec(tap, channels, stride, (stride - 1) / 2)
            for tap, channels, natural in _taps(name)
            for stride in [natural if output_stride == 32 else min(natural, output_stride)]
        )

    def forward(self, x: Tensor, taps: Collection[str], with_pools: bool = False) -> Features:
        """Map (N, C, H, W) to the named taps, each (N, channels, ceil(H / stride), ceil(W / stride)) or one more."""
        height, width = x.shape[-2:]
        maps = self.model(pad_to(x, self.multiple, self.minimum))
        if self.channels_last_maps:
            maps = [feature.permute(0, 3, 1, 2) for feature in maps]
        return Features(
            {
                tap.name: crop(feature, (ceil_div(height, tap.stride), ceil_div(width, tap.stride)))
                for tap, feature in zip(self.features, maps, strict=True)
                if tap.name in taps
            },
            {},
        )


def knows(name: str) -> bool:
    """Whether timm has a model of that name (tag included or not). Imports timm."""
    import timm

    return bool(timm.is_model(name))


def _create(name: str, output_stride: int, in_channels: int, pretrained: bool, indices: list[int] | None) -> Any:
    import timm

    if not timm.is_model(name):
        known = timm.list_models()
        raise UnknownNameError(f"timm has no model {name!r}.{did_you_mean(name, known)}")
    options: dict[str, Any] = {"features_only": True, "in_chans": in_channels, "pretrained": pretrained}
    if indices is not None:
        options["out_indices"] = tuple(indices)
    if output_stride != 32:
        options["output_stride"] = output_stride
    try:
        return timm.create_model(name, **options)
    except (RuntimeError, TypeError, AssertionError, NotImplementedError, AttributeError, ValueError) as error:
        if "pretrained tag" in str(error):
            tags = [known.partition(".")[2] for known in timm.list_pretrained(f"{name.partition('.')[0]}.*")]
            raise UnknownNameError(f"timm has no {name!r}; its tags are {', '.join(tags) or 'none'}") from None
        what = f" at output stride {output_stride}" if output_stride != 32 else ""
        raise IncompatibleError(f"timm's {name!r} gives no feature maps{what}: {error}") from error


def shorten(model: Any) -> None:
    """Leave out the stages behind the deepest tap: timm builds EfficientNets and MobileNetV3s whole, and runs them so.

    Args:
        model: What timm makes with ``features_only``.
    """
    blocks = getattr(model, "blocks", None)
    stages = [tap["stage"] for tap in model.feature_info.get_dicts() if "stage" in tap]
    if isinstance(blocks, nn.Sequential) and stages:
        model.blocks = blocks[: max(stages)]


def _taps(name: str) -> list[tuple[str, int, int]]:
    """Name, channels and stride of every tap of the net as it is, nothing dilated."""
    entry = _table_entry(name)
    if entry:
        return [(tap, channels, stride) for tap, channels, stride in entry["taps"]]
    with torch.device("meta"):
        info = _create(name, 32, 3, False, None).feature_info
    return list(zip(info.module_name(), info.channels(), info.reduction(), strict=True))


def _numbers(name: str) -> list[int]:
    """The own index of every tap: by default it gives the last few of a transformer, and leaves out some stems."""
    entry = _table_entry(name)
    if entry:
        return list(entry.get("indices", range(len(entry["taps"]))))
    with torch.device("meta"):
        return list(_create(name, 32, 3, False, None).feature_info.out_indices)


def _pretrained_config(model: Any, name: str) -> dict[str, Any] | None:
    import timm

    config = timm.get_pretrained_cfg(name, allow_unregistered=True)
    return None if config is None else dict(vars(config))


def _table_entry(name: str) -> dict[str, Any]:
    from zoo.registry import registry

    spec = registry().lookup("encoder", name.partition(".")[0])
    return spec.meta if spec is not None and spec.plugin == "zoo" and "taps" in spec.meta else {}
