"""Taking over the released FCN nets: Berkeley's ``.caffemodel`` files, and torchfcn's state dicts.

Both know a layer by its published name, which our layers have too, wherever they stand in the model: ``conv1_1`` is our
``encoder.conv1_1``, ``score_pool4`` is ``decoder.score_pool4``, ``upscore8_geo`` is
``further.geometric.head.upscore8_geo``, and the late fusion net's ``conv1_1color`` is ``encoder.color.conv1_1``.
"""

import torch
from torch import Tensor, nn
from zoo.plugins.fcn import caffe

from zoo.errors import CheckpointError
from zoo.hub.converter import Converter, Foreign, Implied, State, size_of, without

_OF_2015 = {
    "score-fr": "score_fr",
    "score2": "upscore2",
    "score-pool4": "score_pool4",
    "score4": "upscore_pool4",
    "score-pool3": "score_pool3",
    "upsample": "upscore8",
}
"""Layers of the CVPR 2015 FCN-8s → their later names."""

_SCALES = {"scale_pool4.weight": 0.01, "scale_pool3.weight": 0.0001}
"""Layers of the at-once net that only multiply; ours has the factors in its code."""

_UNUSED = ("fc8.", "loss1/", "loss2/", "loss3/")
"""Classifiers of ImageNet nets."""


def from_published(state: State, model: nn.Module) -> dict[str, Tensor]:
    """Give the tensors of a released FCN the names that they have in `model`.

    A bias of `upscore2`, which the 2015 net has and ours has not, is added to that of `score_pool4`: the two are summed
    right after. The factors of the at-once net must be those that ours has.

    Raises:
        CheckpointError: A layer is of no such net, or a factor is another one.
    """
    ours = {_published(name): name for name in model.state_dict()}
    theirs = _renamed(state)
    at_once = any(getattr(skip, "scale", 1.0) != 1.0 for skip in getattr(model.get_submodule("decoder"), "skips", ()))
    for name, factor in _SCALES.items():
        found = theirs.pop(name, None)
        if found is not None and not (at_once and torch.allclose(found, torch.tensor(factor), rtol=1e-6, atol=0)):
            what = f"not {factor} everywhere" if at_once else "of the at-once net"
            raise CheckpointError(f"its {name.removesuffix('.weight')} is {what}")
    bias = theirs.pop("upscore2.bias", None)
    if bias is not None:
        if "score_pool4.bias" not in theirs or theirs["score_pool4.bias"].numel() != bias.numel():
            raise CheckpointError("its upscore2 has a bias, but there is no such score_pool4 to add it to")
        theirs["score_pool4.bias"] = theirs["score_pool4.bias"].flatten() + bias.flatten()
    return {ours.get(name, name): tensor for name, tensor in theirs.items()}


def trunk_from_caffe(state: State, encoder: nn.Module) -> dict[str, Tensor]:
    """The tensors of a Caffe classifier under our names: ``.`` for ``/``, and without the classifier itself."""
    return {name.replace("/", "."): tensor for name, tensor in without(state, *_UNUSED).items()}


def _published(name: str) -> str:
    """The published name of a tensor of ours."""
    path, _, leaf = name.rpartition(".")
    *place, layer = path.split(".")
    trunk = place[1] if place[:1] == ["encoder"] and len(place) == 2 else ""
    return f"{layer}{trunk}.{leaf}"


def _renamed(state: State) -> dict[str, Tensor]:
    renamed = {}
    for name, tensor in state.items():
        layer, _, leaf = name.rpartition(".")
        renamed[f"{_OF_2015.get(layer, layer)}.{leaf}"] = tensor
    return renamed


def _implies(foreign: Foreign) -> Implied:
    state = _renamed(foreign.state)
    classes = size_of(state, "score_fr.weight", "score_fr_sem.weight", "score_frcolor.weight")
    geometric = size_of(state, "score_fr_geo.weight")
    options = {"geometric_classes": geometric} if geometric else {}
    return Implied(num_classes=classes, options=options, input=caffe.INPUT)


def _implies_trunk(foreign: Foreign) -> Implied:
    options = {"classifier": True} if "fc6.weight" in foreign.state else {}
    return Implied(options=options, input=caffe.INPUT)


PUBLISHED = Converter(from_published, _implies)
"""For the released nets, from either library."""

TRUNK = Converter(trunk_from_caffe, _implies_trunk)
"""For the ImageNet classifiers of Caffe's model zoo."""
