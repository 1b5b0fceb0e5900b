"""torchvision's names for the tensors of DeepLabV3 and LR-ASPP, and ours."""

from collections.abc import Mapping

from torch import Tensor

from zoo.hub.converter import Converter, Foreign, Implied, size_of, without
from zoo.hub.names import rename

DEEPLABV3 = {
    "backbone.": "encoder.model.",
    "classifier.0.": "decoder.aspp.",
    "classifier.1.": "decoder.refine.0.",
    "classifier.2.": "decoder.refine.1.",
    "classifier.4.": "head.score.",
    "aux_classifier.0.": "auxiliary.aux.block.0.",
    "aux_classifier.1.": "auxiliary.aux.block.1.",
    "aux_classifier.4.": "auxiliary.aux.score.",
}
LRASPP = {"backbone.": "encoder.model.", "classifier.": "decoder."}


def from_torchvision(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the state dict of torchvision's ``deeplabv3_*`` or ``lraspp_mobilenet_v3_large`` to ours.

    One to one; that of a net with an auxiliary head fits ours with ``aux=True``.

    Raises:
        CheckpointError: It is of neither.
    """
    if "classifier.cbr.0.weight" in state:
        return rename(state, LRASPP, "torchvision's LR-ASPP")
    return rename(state, DEEPLABV3, "torchvision's DeepLabV3")


def _implies(foreign: Foreign) -> Implied:
    aux = any(name.startswith("aux_classifier.") for name in foreign.state)
    classes = size_of(foreign.state, "classifier.4.weight", "classifier.low_classifier.weight")
    return Implied(num_classes=classes, options={"aux": True} if aux else {})


CONVERTER = Converter(lambda state, model: from_torchvision(state), _implies)
"""For files of torchvision's ``deeplabv3_*`` and ``lraspp_mobilenet_v3_large``."""


BACKBONE = Converter(
    lambda state, encoder: rename(without(state, "classifier."), {"features.": "model."}, "torchvision's MobileNetV3")
)
"""For files of torchvision's ``mobilenet_v3_large``, the ImageNet classifier."""
