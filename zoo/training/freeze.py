"""Which part of a model learns."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase

from zoo.dependence import classifier
from zoo.errors import RunError, did_you_mean
from zoo.model import SegmentationModel
from zoo.training.optimizer import NORMS
from zoo.training.tables import OptimTable


def freeze(model: SegmentationModel, table: OptimTable) -> None:
    """Freeze, in place, what a recipe says does not learn, and set how fast its norms' statistics move.

    Raises:
        RunError: A pattern fits no parameter, or nothing that could learn is left.
    """
    if table.learns == "classifier":
        learn_classifier_only(model)
    freeze_named(model, table.freeze)
    for module in model.modules():
        if table.freeze_norms and isinstance(module, NORMS):
            for parameter in module.parameters(recurse=False):
                parameter.requires_grad_(False)
        if table.norm_momentum is not None and isinstance(module, _BatchNorm):
            module.momentum = table.norm_momentum


def freeze_named(model: nn.Module, patterns: Sequence[str]) -> None:
    """Freeze the parameters whose names fit one of the shell patterns; ``*`` crosses dots.

    Raises:
        RunError: A pattern fits none.
    """
    names = dict(model.named_parameters())
    for pattern in patterns:
        fitting = [name for name in names if fnmatchcase(name, pattern)]
        if not fitting:
            tops = sorted({f"{name.partition('.')[0]}.*" for name in names})
            raise RunError(
                f"optim.freeze: no parameter is named {pattern!r}.{did_you_mean(pattern, [*tops, *names])} "
                f"Patterns are those of a shell, as {', '.join(map(repr, tops))}"
            )
        for name in fitting:
            names[name].requires_grad_(False)


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


def training_mode(model: nn.Module, *, norms: bool = True) -> None:
    """Put a model into training mode, but for norms whose parameters are all frozen: their statistics stay too.

    Args:
        model: In place.
        norms: Whether any norm trains at all; one without parameters cannot be told apart otherwise.
    """
    model.train()
    for module in model.modules():
        if isinstance(module, _NormBase):
            own = list(module.parameters(recurse=False))
            if not norms or (own and not any(parameter.requires_grad for parameter in own)):
                module.eval()
