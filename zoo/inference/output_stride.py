"""The same weights at another output stride: trained at 16, asked at 8, as the DeepLab papers do."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from zoo.errors import IncompatibleError, ZooError
from zoo.interfaces import FeatureSpec

if TYPE_CHECKING:
    from zoo.model import SegmentationModel


class Described(NamedTuple):
    """What stands for the encoder of something that answers as a model does and is none.

    Attributes:
        features: What `output_stride` reads.
    """

    features: tuple[FeatureSpec, ...]


def at_output_stride(model: "SegmentationModel", stride: int) -> "SegmentationModel":
    """A model like this one, its encoder dilated so that its deepest map has this stride.

    It shares the weights (the very same memory) and stays in the same mode. Pyramid rates that were given as numbers
    grow with the map, as in the papers: 6, 12, 18 at stride 16 are 12, 24, 36 at stride 8; those that follow from
    the stride do so anyway.

    Args:
        model: A model with a `config` that says how to build it.
        stride: Input pixels per cell of the encoder's deepest map: 8, 16 or 32.

    Returns:
        `model` itself where it has that stride already.

    Raises:
        IncompatibleError: The model or its encoder cannot have that stride; says why.
    """
    from zoo.assembly import build
    from zoo.model import SegmentationModel

    now = output_stride(model)
    if now == stride:
        return model
    if not isinstance(model, SegmentationModel):
        raise IncompatibleError(
            f"{model.config.name} cannot be asked at output stride {stride}: it is no single model as it was built. "
            "In a pipeline, test_time = { output_stride = … } says it of each model"
        )
    config = replace(model.config, options=_options(model.config.options, now, stride))
    refusal = f"{model.config.name} cannot be asked at output stride {stride}, it has {now}"
    try:
        with torch.random.fork_rng(devices=[]):
            other = build(config)
        other.load_state_dict(model.state_dict(), strict=True, assign=True)
    except ZooError as error:
        raise IncompatibleError(f"{refusal}: {str(error).rstrip('.')}") from None
    except RuntimeError:
        raise IncompatibleError(f"{refusal}: at that stride its weights have other shapes") from None
    if output_stride(other) != stride:
        raise IncompatibleError(f"{refusal}: its encoder stays at {output_stride(other)}")
    trainable = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    for name, parameter in other.named_parameters():
        parameter.requires_grad_(trainable[name])
    other.config = config
    return other.train(model.training)


def output_stride(model: "SegmentationModel") -> int:
    """The stride of the deepest map that the encoder gives."""
    return max(tap.stride for tap in model.encoder.features)


def _options(options: Mapping[str, Any], now: int, stride: int) -> dict[str, Any]:
    changed = {**options, "output_stride": stride}
    rates = options.get("rates")
    if isinstance(rates, list | tuple) and now != stride:
        changed["rates"] = [max(round(rate * now / stride), 1) for rate in rates]
    return changed
