"""DeconvNet on any encoder that records its pooling switches and ends in fc7: the VGG family."""

from collections.abc import Sequence

from torch import nn
from zoo.plugins.deconvnet.decoder import DeconvDecoder

from zoo.errors import IncompatibleError, OptionError
from zoo.heads import PixelScoreHead
from zoo.interfaces import EncoderPlan
from zoo.model import SegmentationModel

_TRUNK = {
    "classifier": True,
    "fc6_padding": 0,
    "first_padding": 1,
    "ceil_mode": True,
    "dropout": 0.0,
    "norm_eps": 1e-9,
    "norm_shift": 0.001,
}


def deconvnet(
    encoder: EncoderPlan, num_classes: int, *, norm: bool = True, depths: Sequence[int] = (2, 2, 3, 3, 3)
) -> SegmentationModel:
    """DeconvNet: VGG with its classifier as unpadded convolutions, mirrored by deconvolution and unpooling.

    An input of 224×224 becomes a code of one cell, as published. Larger ones, of any size, are processed
    convolutionally; of smaller ones, the map that fc6 sees is filled up with zeros to its 7×7.

    Args:
        encoder: A VGG. The published net is on one with batch norm, ``vgg16_bn``.
        num_classes: K.
        norm: Batch norm after fc6, fc7 and every deconvolution. The encoder's name says whether its trunk has it.
        depths: Deconvolutions after each unpooling, fine to coarse; the default mirrors VGG-16. Narrow nets want two
            or more of them where VGG-11 has one: a single one does not fill the holes that unpooling leaves.
    """
    if len(depths) != 5 or any(not isinstance(depth, int) or depth < 1 for depth in depths):
        raise OptionError(f"depths={list(depths)}: expected five whole numbers of at least 1, one per pooling")
    wishes = encoder.supported(**_TRUNK, classifier_norm=norm)
    offered = {tap.name: tap for tap in encoder.offers(**wishes)}
    pools = [f"pool{block}" for block in range(1, 6)]
    lacking = [name for name in (*pools, "fc7") if name not in offered]
    if lacking:
        raise IncompatibleError(f"encoder {encoder.name!r} with these options has no {', '.join(lacking)}")
    decoder = DeconvDecoder(offered["fc7"], [offered[name] for name in pools], depths=depths, norm=norm)
    head = PixelScoreHead(decoder.out, num_classes, "seg_score_voc")
    for layer in head.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return SegmentationModel(encoder.build(decoder.taps, **wishes), decoder, head)
