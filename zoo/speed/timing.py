"""Measuring models, taking turns."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

Labelling = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Timing:
    """How long a model takes from its input to a label map.

    Attributes:
        milliseconds: Median of all rounds, for the whole batch.
        images_per_second: From that.
    """

    milliseconds: float
    images_per_second: float


def take_turns(models: Mapping[str, Labelling], pictures: Tensor, *, rounds: int = 5) -> dict[str, Timing]:
    """Time models in turn: what else the machine does in the meantime meets all alike.

    A turn begins with a call that does not count: it finds the caches, and the heap, as the one before left them.

    Args:
        models: Name → what maps pictures to labels.
        pictures: (N, C, H, W), normalised.
        rounds: How often each is measured.
    """
    taken: dict[str, list[float]] = {name: [] for name in models}
    with torch.no_grad():
        for _ in range(rounds):
            for name, label in models.items():
                label(pictures)
                taken[name].append(_seconds(label, pictures))
    medians = {name: statistics.median(times) for name, times in taken.items()}
    return {name: Timing(1000 * median, len(pictures) / median) for name, median in medians.items()}


def _seconds(label: Labelling, pictures: Tensor) -> float:
    _wait(pictures.device)
    start = time.perf_counter()
    label(pictures)
    _wait(pictures.device)
    return time.perf_counter() - start


def _wait(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
