"""What a run saves: weights that describe themselves, and the state to continue from."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch

import zoo
from zoo.errors import RunError
from zoo.evaluation.metrics import Metrics
from zoo.evaluation.protocol import counting
from zoo.model import SegmentationModel
from zoo.training import state
from zoo.training.folder import RunFolder, writing
from zoo.training.prepare import Data
from zoo.training.recipe import Recipe
from zoo.training.stages import PREFIX
from zoo.training.state import Progress, SavedModel


class Checkpoints:
    """Writes ``best.safetensors``, ``last.safetensors`` and ``state.pt``; each is whole at any moment."""

    def __init__(self, folder: RunFolder, recipe: Recipe, data: Data) -> None:
        self._folder = folder
        self._recipe = recipe.to_json()
        self._recipe["data"]["name"] = data.train.name  # not where it lies on this machine
        self._recipe["data"].pop("root", None)
        model = self._recipe["model"]
        for table, key in ((model, "weights"), (model["options"], "encoder_weights")):
            if isinstance(value := table.get(key), str) and not value.startswith(PREFIX):
                table[key] = Path(value).name  # nor where weights did
        self._train = {"name": data.train.name, "split": data.train.split}
        self._val = {"name": data.val.name, "split": data.val.split}

    def save_best(self, model: SavedModel, metrics: Metrics) -> None:
        """Save the weights that are the best so far; raises `RunError` where the disk does not take them."""
        self._weights(self._folder.best, model, metrics)

    def save_last(
        self,
        model: SavedModel,
        optimizer: Mapping[str, Any],
        progress: Progress,
        metrics: Metrics | None = None,
        *,
        served: SavedModel | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        """Save where the run is.

        Args:
            model: What is trained.
            optimizer: The state of what trains it.
            progress: How far it is.
            metrics: Those of the weights that are served, if they were measured.
            served: What ``last.safetensors`` gets; by default `model`.
            extra: What else belongs to the state.

        Raises:
            RunError: The disk does not take it, or the weights are not finite; the previous files stay.
        """
        sizes = torch._foreach_norm([parameter.detach() for parameter in model.parameters()], math.inf)
        if not bool(torch.stack(sizes).isfinite().all()):
            raise RunError(
                f"after step {progress.step} the weights are not finite any more, and are not saved; what was saved "
                f"before is kept in {self._folder.path}. Try a lower learning rate, or clip gradients (-o optim.clip=1)"
            )
        self._weights(self._folder.last, served or model, metrics)
        with writing(self._folder.path):
            state.save_state(self._folder.state, progress, model, optimizer, extra)

    def _weights(self, path: Path, model: SavedModel, metrics: Metrics | None) -> None:
        numbers: dict[str, Any] | None = None
        if metrics is not None:
            numbers = {**metrics.to_json(), **self._val, "protocol": counting(amp=self._recipe["run"]["amp"] == "bf16")}
        with writing(self._folder.path):
            zoo.save(cast(SegmentationModel, model), path, data=self._train, metrics=numbers, recipe=self._recipe)
