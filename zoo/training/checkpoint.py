"""What a run saves: weights that describe themselves, and the state to continue from."""

from pathlib import Path
from typing import Any

import torch

import zoo
from zoo.evaluation.metrics import Metrics
from zoo.model import SegmentationModel
from zoo.training import state
from zoo.training.folder import RunFolder, writing
from zoo.training.prepare import Data
from zoo.training.recipe import Recipe
from zoo.training.state import Progress


class Checkpoints:
    """Writes ``best.safetensors``, ``last.safetensors`` and ``state.pt``; each is whole at any moment."""

    def __init__(self, folder: RunFolder, recipe: Recipe, data: Data) -> None:
        self._folder = folder
        self._recipe = recipe.to_json()
        self._recipe["data"]["name"] = data.train.name  # not where it lies on this machine
        self._recipe["data"].pop("root", None)
        self._train = {"name": data.train.name, "split": data.train.split}
        self._val = {"name": data.val.name, "split": data.val.split}

    def save_best(self, model: SegmentationModel, metrics: Metrics) -> None:
        """Save the weights that are the best so far; raises `RunError` where the disk does not take them."""
        self._weights(self._folder.best, model, metrics)

    def save_last(
        self,
        model: SegmentationModel,
        optimizer: torch.optim.Optimizer,
        progress: Progress,
        metrics: Metrics | None = None,
    ) -> None:
        """Save where the run is; `metrics` are those of these very weights, if they were measured.

        Raises:
            RunError: The disk does not take it; the previous files stay.
        """
        self._weights(self._folder.last, model, metrics)
        with writing(self._folder.path):
            state.save_state(self._folder.state, progress, model, optimizer)

    def _weights(self, path: Path, model: SegmentationModel, metrics: Metrics | None) -> None:
        numbers: dict[str, Any] | None = None if metrics is None else {**metrics.to_json(), **self._val}
        with writing(self._folder.path):
            zoo.save(model, path, data=self._train, metrics=numbers, recipe=self._recipe)
