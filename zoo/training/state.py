"""The state of a run: one file, written whole, from which the run continues exactly.

It holds the weights as well, although ``last.safetensors`` has them too: a crash between two files would leave
a pair that does not belong together, and one file cannot disagree with itself. There is no random state in it:
the order of pictures, their augmentation, and the random numbers of a step are functions of the seed and of the
position in the run.
"""

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import torch
from torch import Tensor

from zoo.assembly import build
from zoo.config import ModelConfig
from zoo.errors import CheckpointError
from zoo.files import atomic_path
from zoo.model import SegmentationModel

VERSION = 1


class SavedModel(Protocol):
    """A model, or what is left of it where its tensors have been gathered from several processes."""

    config: ModelConfig

    def state_dict(self) -> dict[str, Any]: ...

    def parameters(self) -> Iterator[Tensor]: ...


@dataclass
class Progress:
    """Where a run is.

    Attributes:
        step: Steps taken.
        evaluated: Step of the last evaluation; -1 before the first.
        best_miou: mIoU of the best weights so far; -1 before the first evaluation.
        best_step: Step at which they were reached.
        images: Number of training pictures, to notice that the data have changed.
        best_score: What made them the best: the number that the recipe chose; None where that is the mIoU.
    """

    step: int = 0
    evaluated: int = -1
    best_miou: float = -1.0
    best_step: int = -1
    images: int = 0
    best_score: float | None = None

    @property
    def best(self) -> float:
        """The score to beat."""
        return self.best_miou if self.best_score is None else self.best_score


def save_state(
    path: Path,
    progress: Progress,
    model: SavedModel,
    optimizer: Mapping[str, Any],
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Write the state file, `extra` entries included; a crash leaves the old one or the new one."""
    record = {
        "version": VERSION,
        "progress": asdict(progress),
        "config": model.config.to_json(),
        "model": model.state_dict(),
        "optimizer": optimizer,
        **(extra or {}),
    }
    with atomic_path(path) as temporary:
        torch.save(record, temporary)


def read_state(source: Path | BinaryIO, name: str | None = None) -> dict[str, Any]:
    """Read a state file, or what it holds, onto the CPU; nothing in it is executed. `name` is what messages call it.

    Raises:
        CheckpointError: It is damaged, or of another version.
    """
    try:
        record = torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises a dozen kinds for a damaged file
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{name or source} is damaged and cannot be resumed from: {reason}") from None
    if not isinstance(record, dict) or record.get("version") != VERSION:
        version = record.get("version") if isinstance(record, dict) else None
        raise CheckpointError(
            f"{name or source} is a run state of version {version}; this Zoo resumes version {VERSION}"
        )
    return record


def rebuild(record: dict[str, Any]) -> SegmentationModel:
    """Build the model of a state that was read; pretrained weights are not fetched for it again."""
    return build(ModelConfig.from_json(record["config"]))


def restore(record: dict[str, Any], model: SegmentationModel, optimizer: torch.optim.Optimizer) -> Progress:
    """Put a state that was read into the rebuilt model and an optimiser of the same recipe.

    Raises:
        CheckpointError: They do not fit.
    """
    with fitting():
        model.load_state_dict(record["model"])
        optimizer.load_state_dict(record["optimizer"])
        saved = {"best_score": None, **record["progress"]}  # older states have none
        return Progress(**{field.name: saved[field.name] for field in fields(Progress)})


@contextmanager
def fitting() -> Iterator[None]:
    """Turn what torch raises for a state that does not fit into a `CheckpointError`."""
    try:
        yield
    except (KeyError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"the run state does not fit the model of its recipe: {reason}") from None


def seed_step(seed: int, step: int, device: torch.device, rank: int = 0) -> None:
    """Make the random numbers of one step (dropout and the like) a function of seed, step and number of the process.

    So nothing else that draws numbers, an evaluation or a loader's start, can shift them.
    """
    place = [seed, step, rank] if rank else [seed, step]
    torch_seed, other = (int(value) for value in np.random.SeedSequence(place).generate_state(2, np.uint64))
    if device.type == "cpu":
        torch.default_generator.manual_seed(torch_seed)  # torch.manual_seed would queue work for absent GPUs
    else:
        torch.manual_seed(torch_seed)
    random.seed(other)
    np.random.seed(other % 2**32)
