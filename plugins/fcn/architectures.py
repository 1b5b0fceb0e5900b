"""FCN-32s, 16s, 8s and 8s at-once on any encoder with the taps they need.

On a VGG the trunk is the published one: conv1_1 padded by 100, poolings that round up, fc6 and fc7 as convolutions
with elementwise dropout. On other encoders `score_fr` reads the deepest tap of stride 32.

With `geometric_classes`, there is a second set of scores on the same trunk, as in the SIFT Flow nets: the layers of
the first end in ``_sem``, those of the second in ``_geo``, and its logits are ``model(x)["geometric"]``.
"""

from collections.abc import Sequence
from functools import partial

from zoo.plugins.fcn.decoder import FCNDecoder, Skip

from zoo.errors import IncompatibleError, OptionError
from zoo.heads import UpscoreHead
from zoo.interfaces import Decoder, EncoderPlan, FeatureSpec, Head
from zoo.model import SegmentationModel

TRUNK = {"classifier": True, "first_padding": 100, "ceil_mode": True}
"""What the published trunks are like, for encoders that can be so."""


def fcn32s(
    encoder: EncoderPlan, num_classes: int, *, learn_upsampling: bool = False, geometric_classes: int = 0
) -> SegmentationModel:
    """FCN-32s: scores at stride 32, upsampled at once.

    Args:
        encoder: Any encoder with a tap at stride 32.
        num_classes: K.
        learn_upsampling: Let the bilinear kernels learn; in the released nets they are fixed.
        geometric_classes: Classes of a second answer, ``"geometric"``; 0 for none.
    """
    return _fcn(encoder, num_classes, (), "upscore", learn_upsampling, geometric_classes)


def fcn16s(
    encoder: EncoderPlan, num_classes: int, *, learn_upsampling: bool = False, geometric_classes: int = 0
) -> SegmentationModel:
    """FCN-16s: the scores of stride 32 and of pool4 (stride 16); arguments as for `fcn32s`."""
    return _fcn(encoder, num_classes, (1.0,), "upscore16", learn_upsampling, geometric_classes)


def fcn8s(
    encoder: EncoderPlan, num_classes: int, *, learn_upsampling: bool = False, geometric_classes: int = 0
) -> SegmentationModel:
    """FCN-8s: the scores of stride 32, of pool4 (16) and of pool3 (8); arguments as for `fcn32s`."""
    return _fcn(encoder, num_classes, (1.0, 1.0), "upscore8", learn_upsampling, geometric_classes)


def fcn8s_atonce(
    encoder: EncoderPlan, num_classes: int, *, learn_upsampling: bool = False, geometric_classes: int = 0
) -> SegmentationModel:
    """FCN-8s trained in one go: pool4 scaled by 0.01 and pool3 by 0.0001 before scoring; arguments as for `fcn32s`."""
    return _fcn(encoder, num_classes, (0.01, 0.0001), "upscore8", learn_upsampling, geometric_classes)


def _fcn(
    encoder: EncoderPlan,
    num_classes: int,
    scales: Sequence[float],
    final: str,
    learn_upsampling: bool,
    geometric_classes: int,
) -> SegmentationModel:
    if geometric_classes < 0:
        raise OptionError(f"geometric_classes={geometric_classes}: expected the number of classes, or 0 for none")
    wishes = encoder.supported(**TRUNK)
    tap = partial(tap_at, encoder.name, encoder.offers(**wishes))
    coarse = tap(32, "fc7")
    layers = (("pool4", "upscore2", 16), ("pool3", "upscore_pool4", 8))
    skips = [
        Skip(tap(stride, name), f"score_{name}", upscore, scale)
        for (name, upscore, stride), scale in zip(layers, scales, strict=False)
    ]

    def answer(classes: int, suffix: str) -> tuple[Decoder, Head]:
        decoder = FCNDecoder(coarse, skips, classes, learn_upsampling=learn_upsampling, suffix=suffix)
        # The intermediate kernels may learn; the last one did not even in the 2015 nets, but it may here.
        return decoder, UpscoreHead(decoder.out, final + suffix, learnable=learn_upsampling)

    decoder, head = answer(num_classes, "_sem" if geometric_classes else "")
    further = {"geometric": answer(geometric_classes, "_geo")} if geometric_classes else {}
    return SegmentationModel(encoder.build(decoder.taps, **wishes), decoder, head, further=further)


def tap_at(encoder: str, offered: Sequence[FeatureSpec], stride: int, published: str) -> FeatureSpec:
    """The tap of the published net where the encoder has it at that stride, else the deepest one of the stride.

    Raises:
        IncompatibleError: Nothing is offered there.
    """
    fitting = [tap for tap in offered if tap.stride == stride]
    if not fitting:
        has = ", ".join(f"{tap.name} ({tap.stride})" for tap in offered)
        raise IncompatibleError(f"encoder {encoder!r} with these options has no tap at stride {stride}; it has {has}")
    return next((tap for tap in fitting if tap.name == published), fitting[-1])
