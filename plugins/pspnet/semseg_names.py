"""The names of semseg's PSPNet for its tensors, and ours."""

from collections.abc import Mapping

from torch import Tensor

from zoo.hub.converter import Converter, Foreign, Implied, size_of
from zoo.hub.names import rename

PSPNET = {
    "layer0.0.": "encoder.model.conv1.0.",
    "layer0.1.": "encoder.model.conv1.1.",
    "layer0.3.": "encoder.model.conv1.3.",
    "layer0.4.": "encoder.model.conv1.4.",
    "layer0.6.": "encoder.model.conv1.6.",
    "layer0.7.": "encoder.model.bn1.",
    **{f"layer{stage}.": f"encoder.model.layer{stage}." for stage in (1, 2, 3, 4)},
    "ppm.features.": "decoder.ppm.",
    "cls.0.": "decoder.bottleneck.0.",
    "cls.1.": "decoder.bottleneck.1.",
    "cls.4.": "head.score.",
    "aux.0.": "auxiliary.aux.block.0.",
    "aux.1.": "auxiliary.aux.block.1.",
    "aux.4.": "auxiliary.aux.score.",
}


def from_semseg(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the state dict of semseg's PSPNet to ours, one to one; with its ``aux`` it fits ours with ``aux=True``.

    Raises:
        CheckpointError: It is of another net.
    """
    return rename(state, PSPNET, "semseg's PSPNet")


def _implies(foreign: Foreign) -> Implied:
    aux = any(name.startswith("aux.") for name in foreign.state)
    return Implied(num_classes=size_of(foreign.state, "cls.4.weight"), options={"aux": True} if aux else {})


CONVERTER = Converter(lambda state, model: from_semseg(state), _implies)
"""For checkpoints of semseg's PSPNet; its means and deviations of 0…255 are those of 0…1 here."""
