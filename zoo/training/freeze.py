"""Which part of a model learns."""

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from zoo.dependence import classifier
from zoo.errors import RunError
from zoo.model import SegmentationModel


def learn_classifier_only(model: SegmentationModel) -> None:
    """Freeze everything but the layers that score classes, in place: the "32s-fixed" of Long et al. (2015).

    What the model itself keeps fixed, as bilinear kernels, stays fixed. A bias belongs to its layer.

    Raises:
        RunError: No layer of the model depends on the number of classes.
    """
    layers = {name.rpartition(".")[0] for name in classifier(model)}
    learning = 0
    for name, parameter in model.named_parameters():
        chosen = name.rpartition(".")[0] in layers and parameter.requires_grad
        parameter.requires_grad_(chosen)
        learning += chosen
    if not learning:
        raise RunError(f"optim.learns = 'classifier': {model.config.name} has no layer that depends on the classes")


def training_mode(model: nn.Module) -> None:
    """Put a model into training mode, but for norms whose parameters are all frozen: their statistics stay too."""
    model.train()
    for module in model.modules():
        affine = isinstance(module, _NormBase) and module.affine
        if affine and not any(parameter.requires_grad for parameter in module.parameters(recurse=False)):
            module.eval()
