"""Colour and HHA (or any second modality) fused at the scores: two whole trunks, one upsampling (Long et al.)."""

from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor
from zoo.plugins.fcn.architectures import TRUNK, tap_at
from zoo.plugins.fcn.decoder import score_layer

from zoo.assembly import create_model
from zoo.config import InputSpec
from zoo.errors import IncompatibleError
from zoo.heads import UpscoreHead
from zoo.interfaces import Decoder, Encoder, EncoderPlan, Features, FeatureSpec, Pool
from zoo.model import SegmentationModel

_MODALITIES = ("color", "hha")


def fcn32s_late_fusion(encoder: EncoderPlan, num_classes: int, *, learn_upsampling: bool = False) -> SegmentationModel:
    """FCN-32s on two modalities, whose scores are averaged before they are upsampled.

    The first channels of the input are the colour: three of them, or all but one where there are fewer than four. The
    rest is the second modality, HHA in the published net. Every channel comes as its trunk expects it.

    Args:
        encoder: Any encoder with a tap at stride 32; there will be two of it.
        num_classes: K.
        learn_upsampling: Let the bilinear kernel learn; in the released net it is fixed.
    """
    wishes = encoder.supported(**TRUNK)
    coarse = tap_at(encoder.name, encoder.offers(**wishes), 32, "fc7")
    channels = _split(encoder.in_channels)
    trunks = {
        name: encoder.build((coarse.name,), in_channels=count, **wishes)
        for name, count in zip(_MODALITIES, channels, strict=True)
    }
    decoder = MeanScore([coarse._replace(name=coarse.name + name) for name in trunks], _MODALITIES, num_classes)
    head = UpscoreHead(decoder.out, "upscore", learnable=learn_upsampling)
    return SegmentationModel(Trunks(trunks, channels), decoder, head)


class Trunks(Encoder):
    """Several encoders side by side, each for its own channels of the input.

    Taps are theirs, with the trunk's name at the end: ``fc7color``, ``fc7hha``. Layers lie one deeper than in one
    encoder: the published ``conv1_1color`` is ``color.conv1_1``.

    Args:
        trunks: Name → encoder.
        channels: How many channels each of them sees, in the order of the input.
    """

    def __init__(self, trunks: Mapping[str, Encoder], channels: Sequence[int]) -> None:
        super().__init__()
        self.names = tuple(trunks)
        self.channels = list(channels)
        for name, trunk in trunks.items():
            self.add_module(name, trunk)
        self.features = tuple(
            tap._replace(name=tap.name + name) for name, trunk in trunks.items() for tap in trunk.features
        )
        self.pools = tuple(pool + name for name, trunk in trunks.items() for pool in trunk.pools)
        self.input = _joined(
            [trunk.input.with_channels(count) for trunk, count in zip(trunks.values(), channels, strict=True)]
        )

    def forward(self, x: Tensor, taps: Collection[str], with_pools: bool = False) -> Features:
        """Map (N, sum of `channels`, H, W) to the named taps."""
        maps: dict[str, Tensor] = {}
        pools: dict[str, Pool] = {}
        for name, part in zip(self.names, x.split(self.channels, dim=1), strict=True):
            trunk = getattr(self, name)
            found = trunk(part, [tap.name for tap in trunk.features if tap.name + name in taps], with_pools)
            maps |= {tap + name: value for tap, value in found.maps.items()}
            pools |= {pool + name: value for pool, value in found.pools.items()}
        return Features(maps, pools)


class MeanScore(Decoder):
    """Scores several maps of one size, each by a layer of its own, and averages the scores.

    Args:
        taps: The maps.
        names: What their layers end in: ``score_frcolor``.
        num_classes: K.
    """

    def __init__(self, taps: Sequence[FeatureSpec], names: Sequence[str], num_classes: int) -> None:
        super().__init__()
        self.taps = tuple(tap.name for tap in taps)
        self.scores = tuple("score_fr" + name for name in names)
        for tap, score in zip(taps, self.scores, strict=True):
            self.add_module(score, score_layer(tap.channels, num_classes))
        self.out = taps[0]._replace(name="score_fused", channels=num_classes)

    def forward(self, features: Features) -> Tensor:
        """Map the taps to the mean of their scores, (N, K, h, w)."""
        scores = [getattr(self, score)(features.maps[tap]) for tap, score in zip(self.taps, self.scores, strict=True)]
        return torch.stack(scores).mean(dim=0)


def fuse(color: SegmentationModel, hha: SegmentationModel) -> SegmentationModel:
    """Join two trained FCN-32s into one late-fusion net, as the published one was initialised.

    Its logits are the mean of the two nets' logits. The input is the colour net's, then the other's.

    Raises:
        IncompatibleError: The nets differ in more than the channels of their input, or are no FCN-32s.
    """
    one, other = color.config, hha.config
    channels = [one.in_channels, other.in_channels]
    same = (one.encoder, one.num_classes, one.options) == (other.encoder, other.num_classes, other.options)
    if not same or {one.architecture, other.architecture} != {"fcn32s"} or _split(sum(channels)) != channels:
        raise IncompatibleError(
            f"{one.name} for {channels[0]} channels and {other.name} for {channels[1]} cannot be fused: expected two "
            "FCN-32s of one encoder, the same options and classes, the first for three channels of colour"
        )
    fused = create_model(
        "fcn32s_late_fusion",
        encoder=one.encoder,
        num_classes=one.num_classes,
        in_channels=sum(channels),
        **one.options,
    )
    state: dict[str, Tensor] = {}
    for name, part in zip(_MODALITIES, (color, hha), strict=True):
        for key, tensor in part.state_dict().items():
            key = key.replace("encoder.", f"encoder.{name}.", 1) if key.startswith("encoder.") else key
            state[key.replace("decoder.score_fr.", f"decoder.score_fr{name}.", 1)] = tensor
    fused.load_state_dict(state)
    fused.config = fused.config.describing(
        classes=one.classes, palette=one.palette, input=_joined([one.input, other.input])
    )
    return fused


def _split(channels: int) -> list[int]:
    color = min(3, channels - 1)
    return [color, channels - color]


def _joined(parts: Sequence[InputSpec]) -> InputSpec:
    """One convention for the channels of all parts, one after the other."""
    scale = parts[0].scale
    if any(part.scale != scale for part in parts):
        raise IncompatibleError(f"one part expects values up to {scale}, another up to {parts[-1].scale}")
    mean = tuple(value for part in parts for value in part.mean)
    std = tuple(value for part in parts for value in part.std)
    return InputSpec("ANY", scale, mean, std)
