"""FCN-32s, 16s, 8s and 8s at-once on any encoder with the taps they need.

On a VGG the trunk is the published one: conv1_1 padded by 100, poolings that round up, fc6 and fc7 as convolutions
with elementwise dropout. On other encoders `score_fr` reads the deepest tap of stride 32.
"""

from collections.abc import Sequence
from functools import partial

from zoo.plugins.fcn.decoder import FCNDecoder, Skip

from zoo.errors import IncompatibleError
from zoo.heads import UpscoreHead
from zoo.interfaces import EncoderPlan, FeatureSpec
from zoo.model import SegmentationModel

_TRUNK = {"classifier": True, "first_padding": 100, "ceil_mode": True}


def fcn32s(encoder: EncoderPlan, num_classes: int, *, learn_upsampling: bool = False) -> SegmentationModel:
    """FCN-32s: scores at stride 32, upsampled at once.

    Args:
        encoder: Any encoder with a tap at stride 32.
        num_classes: K.
        learn_upsampling: Let the bilinear kernels learn; in the released nets they are fixed.
    """
    return _fcn(encoder, num_classes, (), "upscore", learn_upsampling)


def fcn16s(encoder: EncoderPlan, num_classes: int, *, learn_upsampling: bool = False) -> SegmentationModel:
    """FCN-16s: the scores of stride 32 and of pool4 (stride 16); arguments as for `fcn32s`."""
    return _fcn(encoder, num_classes, (1.0,), "upscore16", learn_upsampling)


def fcn8s(encoder: EncoderPlan, num_classes: int, *, learn_upsampling: bool = False) -> SegmentationModel:
    """FCN-8s: the scores of stride 32, of pool4 (16) and of pool3 (8); arguments as for `fcn32s`."""
    return _fcn(encoder, num_classes, (1.0, 1.0), "upscore8", learn_upsampling)


def fcn8s_atonce(encoder: EncoderPlan, num_classes: int, *, learn_upsampling: bool = False) -> SegmentationModel:
    """FCN-8s trained in one go: pool4 scaled by 0.01 and pool3 by 0.0001 before scoring; arguments as for `fcn32s`."""
    return _fcn(encoder, num_classes, (0.01, 0.0001), "upscore8", learn_upsampling)


def _fcn(
    encoder: EncoderPlan, num_classes: int, scales: Sequence[float], final: str, learn_upsampling: bool
) -> SegmentationModel:
    wishes = encoder.supported(**_TRUNK)
    tap = partial(_tap, encoder.name, encoder.offers(**wishes))
    coarse = tap(32, "fc7")
    layers = (("pool4", "upscore2", 16), ("pool3", "upscore_pool4", 8))
    skips = [
        Skip(tap(stride, name), f"score_{name}", upscore, scale)
        for (name, upscore, stride), scale in zip(layers, scales, strict=False)
    ]
    decoder = FCNDecoder(coarse, skips, num_classes, learn_upsampling=learn_upsampling)
    # The intermediate kernels may learn; the last one did not even in the 2015 nets, but it may here.
    head = UpscoreHead(decoder.out, final, learnable=learn_upsampling)
    return SegmentationModel(encoder.build(decoder.taps, **wishes), decoder, head)


def _tap(encoder: str, offered: Sequence[FeatureSpec], stride: int, published: str) -> FeatureSpec:
    """The tap of the published net where the encoder has it, else the deepest one of that stride."""
    named = [tap for tap in offered if tap.name == published]
    fitting = named or [tap for tap in offered if tap.stride == stride]
    if not fitting:
        has = ", ".join(f"{tap.name} ({tap.stride})" for tap in offered)
        raise IncompatibleError(f"encoder {encoder!r} with these options has no tap at stride {stride}; it has {has}")
    return fitting[-1]
