"""The kit's own parts: an encoder that offers exactly what it is told, and an architecture that reads everything."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from torch import Tensor, nn

from zoo import registry
from zoo.heads import ScoreHead
from zoo.interfaces import Decoder, Encoder, EncoderPlan, Features, FeatureSpec
from zoo.model import SegmentationModel
from zoo.ops import BatchNorm2d, resize

NAMESPACE = "testing"
PROBE = f"{NAMESPACE}/probe"
READER = f"{NAMESPACE}/reader"

_DEEPEST = 32


class Probe(Encoder):
    """A small plain net: a 3×3 convolution at every resolution, poolings that round up between them.

    `strides` says where its taps are. Cells tile the picture: cell 0 of stride s is centred at (s - 1) / 2.
    """

    strides: ClassVar[tuple[int, ...]] = (4, 8, 16, 32)

    def __init__(
        self, taps: Collection[str] | None = None, in_channels: int = 3, *, output_stride: int = _DEEPEST
    ) -> None:
        super().__init__()
        wanted = [tap for tap in self.offers(output_stride=output_stride) if taps is None or tap.name in taps]
        self.features = tuple(wanted)
        self.steps: list[tuple[int, bool]] = []
        channels, deepest = in_channels, max((int(tap.name.removeprefix("map")) for tap in wanted), default=1)
        for level in range(deepest.bit_length()):
            natural = 2**level
            rate = max(natural // output_stride, 1)
            width = _width(natural)
            self.add_module(f"conv{natural}", nn.Conv2d(channels, width, 3, padding=rate, dilation=rate, bias=False))
            self.add_module(f"norm{natural}", BatchNorm2d(width))
            self.steps.append((natural, level > 0 and natural <= output_stride))
            channels = width

    @classmethod
    def offers(cls, *, output_stride: int = _DEEPEST) -> tuple[FeatureSpec, ...]:  # type: ignore[override]
        """A tap for each of `strides`; the deep ones at `output_stride`, where they are dilated."""
        return tuple(
            FeatureSpec(f"map{natural}", _width(natural), stride, (stride - 1) / 2)
            for natural in sorted(cls.strides)
            for stride in [min(natural, output_stride)]
        )

    def forward(self, x: Tensor, taps: Collection[str], with_pools: bool = False) -> Features:
        maps = {}
        for natural, pooled in self.steps:
            if pooled:
                x = nn.functional.max_pool2d(x, 2, 2, ceil_mode=True)
            x = getattr(self, f"norm{natural}")(getattr(self, f"conv{natural}")(x)).relu()
            if f"map{natural}" in taps:
                maps[f"map{natural}"] = x
        return Features(maps, {})


def _width(stride: int) -> int:
    """Other channels at every stride, so that a mistaken tap is seen."""
    return 6 + 2 * stride.bit_length()


class Reader(Decoder):
    """Reads every tap there is: each brought to the finest one's size, all added up."""

    def __init__(self, taps: Sequence[FeatureSpec], width: int = 8) -> None:
        super().__init__()
        self.taps = tuple(tap.name for tap in taps)
        self.reduce = nn.ModuleList(nn.Conv2d(tap.channels, width, 1) for tap in taps)
        finest = min(taps, key=lambda tap: tap.stride)
        self.finest = finest.name
        self.out = finest._replace(name="sum", channels=width)

    def forward(self, features: Features) -> Tensor:
        height, width = features.maps[self.finest].shape[-2:]
        maps = [conv(features.maps[tap]) for conv, tap in zip(self.reduce, self.taps, strict=True)]
        total = resize(maps[0], (height, width))
        for map in maps[1:]:
            total = total + resize(map, (height, width))
        return total


def reader(encoder: EncoderPlan, num_classes: int) -> SegmentationModel:
    """Scores of the sum of everything that an encoder offers."""
    decoder = Reader(encoder.offers())
    return SegmentationModel(encoder.build(decoder.taps), decoder, ScoreHead(decoder.out.channels, num_classes))


def can_probe(needs: Mapping[str, Any]) -> bool:
    """Whether needs can be met by the probe: strides that are powers of two, not names of taps and poolings."""
    wanted = [*needs.get("strides", ()), *needs.get("output_stride", ())]
    powers = all(stride > 0 and stride & (stride - 1) == 0 and stride <= _DEEPEST for stride in wanted)
    return bool(wanted) and powers and not needs.get("taps") and not needs.get("pools")


@contextmanager
def offering(strides: Collection[int] = (4, 8, 16, 32), output_strides: Collection[int] = (8, 16, 32)) -> Iterator[str]:
    """Register, while the block lasts, an encoder that offers this and nothing else; gives its name."""
    kind = type("Probe", (Probe,), {"strides": tuple(sorted(strides)), "__module__": __name__})
    offers = {"strides": sorted(strides), "output_strides": sorted(output_strides, reverse=True)}
    with _registering("encoder", PROBE, kind, offers):
        yield PROBE


@contextmanager
def reading() -> Iterator[str]:
    """Register, while the block lasts, an architecture that reads every tap of an encoder; gives its name."""
    with _registering("architecture", READER, reader, None):
        yield READER


@contextmanager
def _registering(kind: str, name: str, target: object, offers: dict[str, Any] | None) -> Iterator[None]:
    before = registry.local_specs(NAMESPACE)  # of a probe outside this one
    with registry.registering_as(NAMESPACE):
        registry.register(kind, name.removeprefix(f"{NAMESPACE}/"), summary="The kit's own", offers=offers)(target)
    try:
        yield
    finally:
        registry.forget(NAMESPACE)
        registry._local.update({(spec.kind, spec.name): spec for spec in before})


def probe_for(needs: Mapping[str, Any], output_stride: int | None) -> tuple[list[int], list[int]]:
    """Strides and output strides of a probe that meets `needs` and no more; `output_stride` is one of those needed."""
    strides = set(needs.get("strides", ()))
    if output_stride is None:
        return sorted(strides), [max(strides)]
    return sorted({*strides, _DEEPEST}), [output_stride]
