"""Everything that must be right before the first step: the data, what they decide, and the model."""

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import zoo
from zoo.assembly import resolve as resolve_model
from zoo.config import ModelConfig
from zoo.data.augment import augment_transform
from zoo.data.catalog import open_dataset
from zoo.data.checking import require
from zoo.data.crops import ObjectCrops, ProposalCrops
from zoo.data.dataset import SegmentationDataset
from zoo.data.inspection import Inspection, inspect
from zoo.data.loader import TrainLoader, train_loader
from zoo.data.repeated import Repeated
from zoo.data.selective import require_selective_search
from zoo.data.transforms import train_transform
from zoo.errors import DataError
from zoo.model import SegmentationModel
from zoo.training.loss import Criterion
from zoo.training.parallel.team import ALONE, Team
from zoo.training.recipe import Recipe
from zoo.training.stages import PREFIX

LARGEST_CROP = 320
"""A side of an automatic crop is at most this: enough context for most pictures, little enough for a CPU."""

EVALUATIONS = 20
"""About how often a long run is evaluated when its recipe leaves that open."""


def check_needs(recipe: Recipe) -> None:
    """Find out whether what only a later stage uses is installed; raises `DataError`."""
    if recipe.data.crops == "proposals" and recipe.data.proposals == "selective_search":
        require_selective_search()


@dataclass(frozen=True)
class Data:
    """The two splits of a run, inspected.

    Attributes:
        train: What is learned from.
        val: What chooses the best weights.
        found: What the training masks hold.
    """

    train: SegmentationDataset
    val: SegmentationDataset
    found: Inspection


def check_model(recipe: Recipe) -> ModelConfig:
    """Find out whether a recipe's model can be built, building nothing; raises as `zoo.create_model` does."""
    table = recipe.model
    return resolve_model(table.name, encoder=table.encoder, in_channels=table.in_channels, options=table.options)


def open_splits(recipe: Recipe, found: Inspection) -> Data:
    """Open both splits of data that another process has looked at, and `found` good; raises as `open_dataset` does."""
    train, val = _splits(recipe)
    return Data(_cropped(train, recipe), val, found)


def open_data(recipe: Recipe) -> Data:
    """Open both splits and look at every mask once, so that a bad label is found now, by file and value.

    Raises:
        DataError: As `require`, `open_dataset` and `inspect` raise it, or the two splits differ in their classes.
        UnknownNameError: There is no such data set.
    """
    table = recipe.data
    channels = check_model(recipe).in_channels
    augment_transform(table.augment, (1, 1))  # only to find mistakes before the data are read
    Criterion(recipe.loss)  # likewise
    if table.check:
        require(
            table.name,
            [*dict.fromkeys((table.train, table.val))],
            channels=channels,
            values=table.values or None,
            root=table.root,
            download=table.download,
        )
    train, val = _splits(recipe)
    if train.classes != val.classes:
        raise DataError(
            f"{train.name}: split {train.split!r} has the classes {', '.join(train.classes)}, but {val.split!r} has "
            f"{', '.join(val.classes)}; name them once, in its data.toml"
        )
    found = inspect(train)
    if table.val != table.train:
        inspect(val)
    return Data(_cropped(train, recipe), val, found)


def _splits(recipe: Recipe) -> tuple[SegmentationDataset, SegmentationDataset]:
    table = recipe.data
    train, val = (
        open_dataset(
            table.name,
            split,
            channels=check_model(recipe).in_channels,
            download=table.download,
            values=table.values or None,
            root=table.root,
        )
        for split in (table.train, table.val)
    )
    return train, val


def _cropped(train: SegmentationDataset, recipe: Recipe) -> SegmentationDataset:
    if recipe.data.repeat:
        train = Repeated(train, recipe.data.repeat)
    if recipe.data.crops == "none":
        return train
    if recipe.data.crops == "objects":
        return ObjectCrops(train)
    return ProposalCrops(train, source=recipe.data.proposals)


def resolve(recipe: Recipe, data: Data, device: torch.device) -> Recipe:
    """Fill in what the recipe left open: input channels, the size of the crop, how often to evaluate, precision."""
    chosen: dict[str, dict[str, Any]] = {"model": {"in_channels": check_model(recipe).in_channels}}
    if recipe.data.crop == "auto":
        sides = zip(data.found.smallest, data.found.largest, strict=True)
        chosen["data"] = {"crop": tuple(min(round(math.sqrt(low * high)), LARGEST_CROP) for low, high in sides)}
    if recipe.run.eval_every == "auto":
        batches = max(len(data.train) // recipe.data.batch_size, 1)
        epoch = math.ceil(batches / recipe.run.accumulate)
        chosen["run"] = {"eval_every": max(epoch, math.ceil(length(recipe, batches) / EVALUATIONS))}
    if recipe.run.amp == "auto":
        chosen.setdefault("run", {})["amp"] = "bf16" if fast_in_bfloat16(device) else "none"
    return recipe.model_copy(
        update={name: getattr(recipe, name).model_copy(update=values) for name, values in chosen.items()}
    )


def fast_in_bfloat16(device: torch.device) -> bool:
    """Whether a device has instructions for bfloat16."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return False


def length(recipe: Recipe, batches_per_epoch: int) -> int:
    """Steps of the whole run."""
    return recipe.run.steps or math.ceil((recipe.run.epochs or 0) * batches_per_epoch / recipe.run.accumulate)


def start_of(weights: str | None, folder: Path) -> str | None:
    """What `model.weights` means: ``"stage:NAME/last"`` is a file in the folder of an earlier stage."""
    if weights is None or not weights.startswith(PREFIX):
        return weights
    return str(folder.parent / f"{weights.removeprefix(PREFIX)}.safetensors")


def make_loader(recipe: Recipe, data: Data, device: torch.device, team: Team = ALONE) -> TrainLoader:
    """The training batches of a resolved recipe: this process's part of them."""
    table = recipe.data
    crop = table.crop if isinstance(table.crop, tuple) else None
    workers = min((os.cpu_count() or 1) // 2 // team.local_size, 8) if table.workers == "auto" else table.workers
    return train_loader(
        data.train,
        augment_transform(table.augment, crop)
        if table.augment
        else train_transform(crop, table.scale, table.flip, table.jitter),
        batch_size=table.batch_size,
        seed=recipe.run.seed,
        workers=workers,
        pin_memory=device.type == "cuda",
        part=(team.rank, team.size),
        replacement=table.order == "replacement",
    )


def evaluation_batch(recipe: Recipe, data: Data) -> int:
    """How many whole pictures hold about as many pixels as a training batch."""
    height, width = data.found.largest
    crop = recipe.data.crop if isinstance(recipe.data.crop, tuple) else data.found.largest
    return max(recipe.data.batch_size * crop[0] * crop[1] // (height * width), 1)


def new_model(recipe: Recipe, data: Data, folder: Path) -> SegmentationModel:
    """The model of a recipe, initialised from its seed, with the classes and colours of the data.

    Args:
        recipe: Resolved.
        data: Opened.
        folder: Of the run, beside which those of earlier stages lie.

    Raises:
        As `zoo.create_model`.
    """
    torch.manual_seed(recipe.run.seed)
    table = recipe.model
    model = zoo.create_model(
        table.name,
        encoder=table.encoder,
        num_classes=data.train.num_classes,
        in_channels=table.in_channels,
        weights=start_of(table.weights, folder),
        **table.options,
    )
    model.config = model.config.describing(classes=data.train.classes, palette=data.train.palette)
    return model
