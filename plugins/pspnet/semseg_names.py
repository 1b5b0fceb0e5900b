"""The names of semseg's PSPNet for its tensors, and ours."""

from collections.abc import Mapping

from torch import Tensor

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
