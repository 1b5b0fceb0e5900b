"""Which tensors of a model change their shape with the number of classes, or of input channels."""

from dataclasses import replace

from zoo.config import ModelConfig
from zoo.hub.skeleton import hollow
from zoo.model import SegmentationModel


def classifier(model: SegmentationModel) -> frozenset[str]:
    """Names of the tensors that score classes: the last layer, those of auxiliary heads, kernels that upsample scores.

    Found by building the model's shapes for one class more; nothing is allocated where the model can be built on the
    meta device, and no random number is drawn.
    """
    config = model.config
    return _changed(model, replace(config, num_classes=config.num_classes + 1, classes=(), palette=()))


def first_layer(model: SegmentationModel) -> frozenset[str]:
    """Names of the tensors that see the input's channels; found as `classifier` finds its own."""
    config = model.config
    return _changed(model, replace(config, in_channels=config.in_channels + 1))


def _changed(model: SegmentationModel, other: ModelConfig) -> frozenset[str]:
    shapes = _shapes(other)
    return frozenset(
        name for name, tensor in model.state_dict().items() if shapes.get(name) not in (None, tuple(tensor.shape))
    )


def _shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    from zoo.assembly import build

    built = hollow(lambda: build(config))
    return {name: tuple(tensor.shape) for name, tensor in built.state_dict().items()}
