"""The same net from another library, with the same weights."""

from typing import Any, NamedTuple

import torch
from torch import nn

from zoo.assembly import resolve
from zoo.errors import IncompatibleError, ZooError
from zoo.hub.converter import find_converter
from zoo.model import SegmentationModel
from zoo.registry import registry

LIBRARIES = ("torchvision", "smp")


class Pair(NamedTuple):
    """Two models that answer alike.

    Attributes:
        ours: Zoo's.
        theirs: The other library's, as it comes.
    """

    ours: SegmentationModel
    theirs: nn.Module


def against(name: str, library: str, *, num_classes: int = 21) -> Pair:
    """Build a model of ours and the same one of another library, random but alike.

    Args:
        name: A model of ours: one that the library has under that name (torchvision), or
            ``smp/ARCHITECTURE@smp/ENCODER``.
        library: One of `LIBRARIES`.
        num_classes: K.

    Raises:
        IncompatibleError: The library has no such model.
        ZooError: The library is not installed.
    """
    build = {"torchvision": _torchvision, "smp": _smp}[library]
    try:
        return build(name, num_classes)
    except ModuleNotFoundError as error:
        raise ZooError(f"{error.name} is not installed: pip install '{error.name}'") from error


def _torchvision(name: str, num_classes: int) -> Pair:
    from torchvision.models import get_model, list_models
    from torchvision.models import segmentation as nets

    known = list_models(module=nets)
    if name not in known:
        raise IncompatibleError(f"torchvision has no {name!r}; it has {', '.join(known)}")
    theirs: nn.Module = get_model(name, weights=None, weights_backbone=None, num_classes=num_classes)
    theirs.eval()
    import zoo

    ours = zoo.create_model(name, num_classes=num_classes)
    spec = registry().get("model", name)
    architecture = registry().get("architecture", resolve(name).architecture)
    state = find_converter("torchvision", spec, architecture).translate(theirs.state_dict(), ours)
    ours.load_state_dict(state)
    return Pair(ours.eval(), theirs)


def _smp(name: str, num_classes: int) -> Pair:
    import segmentation_models_pytorch as library

    import zoo

    architecture, _, encoder = name.removeprefix("smp/").partition("@")
    known = {found.__name__.lower(): found for found in vars(library).values() if _is_model(found)}
    if architecture not in known or not encoder or not name.startswith("smp/"):
        raise IncompatibleError(f"{name!r} is no model of the library's; write smp/ARCHITECTURE@smp/ENCODER")
    ours = zoo.create_model(name, num_classes=num_classes)
    theirs: nn.Module = known[architecture](encoder.removeprefix("smp/"), encoder_weights=None, classes=num_classes)
    theirs.eval()
    _copy_in_order(ours, theirs)
    return Pair(ours.eval(), theirs)


def _is_model(found: Any) -> bool:
    return isinstance(found, type) and issubclass(found, nn.Module) and hasattr(found, "forward")


def _copy_in_order(ours: nn.Module, theirs: nn.Module) -> None:
    """Copy the tensors of two nets that are the same modules under other names."""
    mine, wanted = ours.state_dict(), theirs.state_dict()
    if [tensor.shape for tensor in mine.values()] != [tensor.shape for tensor in wanted.values()]:
        raise IncompatibleError("the library's net has other tensors than ours")
    with torch.no_grad():
        for tensor, source in zip(mine.values(), wanted.values(), strict=True):
            tensor.copy_(source)
