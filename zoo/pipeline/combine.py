"""One answer of several models: whose classes they share, and how their answers become one."""

from collections.abc import Sequence

import torch
from torch import Tensor

from zoo.config import ModelConfig
from zoo.errors import IncompatibleError

LEAST = 1e-30
"""A probability below it is taken for it where a logarithm is wanted."""


def orders(configs: Sequence[ModelConfig], names: Sequence[str]) -> list[Tensor | None]:
    """How the classes of each model are brought into the order of the first one's: indices (K,); None: they are.

    Args:
        configs: Of the models.
        names: What to call them in messages.

    Raises:
        IncompatibleError: They do not have the same classes, or not the same number of channels.
    """
    first = next((config for config in configs if config.classes), configs[0])
    chief = names[list(configs).index(first)]
    found: list[Tensor | None] = []
    for name, config in zip(names, configs, strict=True):
        if config.in_channels != first.in_channels:
            raise IncompatibleError(
                f"{name} takes pictures of {config.in_channels} channels, {chief} of {first.in_channels}: "
                "the models of a pipeline see the same picture"
            )
        found.append(_order(config, first, name, chief))
    return found


def _order(config: ModelConfig, first: ModelConfig, name: str, chief: str) -> Tensor | None:
    if config.num_classes != first.num_classes:
        raise IncompatibleError(
            f"{name} has {config.num_classes} classes, {chief} {first.num_classes}: "
            "an ensemble needs models of the same classes"
        )
    if not config.classes or config.classes == first.classes:
        return None
    ours, theirs = set(first.classes), set(config.classes)
    if ours != theirs or len(ours) < first.num_classes:
        only = [f"only {chief} has {_some(ours - theirs)}"] if ours - theirs else []
        only += [f"only {name} has {_some(theirs - ours)}"] if theirs - ours else []
        raise IncompatibleError(
            f"{name} and {chief} do not have the same classes: {'; '.join(only) or 'names occur twice'}. "
            "An ensemble needs models of the same classes, in whatever order"
        )
    return torch.tensor([config.classes.index(label) for label in first.classes])


def mean(probabilities: Sequence[Tensor]) -> Tensor:
    """Scores whose softmax is the mean of probabilities (N, K, H, W)."""
    total = probabilities[0].clone()
    for other in probabilities[1:]:
        total += other
    return total.div_(len(probabilities)).clamp_min_(LEAST).log_()


def product(scores: Sequence[Tensor]) -> Tensor:
    """Scores (N, K, H, W) multiplied, those below 0 taken for 0: DeconvNet's released ensemble, before the softmax."""
    total = scores[0].clamp_min(0)
    for other in scores[1:]:
        total *= other.clamp_min(0)
    return total


def _some(names: set[str], limit: int = 4) -> str:
    listed = sorted(names)
    return ", ".join(repr(name) for name in listed[:limit]) + (", …" if len(listed) > limit else "")
