"""What must be right before the first step, where several processes have to agree on it."""

import hashlib
import io
from collections.abc import Callable

import torch
from torch import Tensor

from zoo.config import ModelConfig
from zoo.errors import RunError
from zoo.model import SegmentationModel
from zoo.report.comparison import run_folders
from zoo.report.course import Course
from zoo.training import prepare, state
from zoo.training.folder import RunFolder
from zoo.training.loss import Criterion, class_weights
from zoo.training.optimizer import build_optimizer
from zoo.training.parallel import launch
from zoo.training.parallel.team import Team
from zoo.training.prepare import Data
from zoo.training.recipe import Recipe


def goes_on(folder: RunFolder) -> bool:
    """Whether a launcher has started this run again, so that it is resumed without being asked to be.

    That is so where the last part of the run, or of its last stage, was of a launch of the same name; where it has
    not begun, or launches have no names, after a process died.
    """
    if not folder.recipe.is_file():
        return False
    name = launch.launch_name()
    try:
        opening = Course.read(run_folders(folder.path)[-1]).opening
    except RunError:  # its log is empty yet
        opening = {}
    return opening.get("launch") == name if name and opening else launch.restarted()


def read_state(folder: RunFolder, team: Team) -> dict[str, object] | None:
    """The state of a run, which only the lead needs to have on its disk; None where nothing was saved yet.

    Raises:
        CheckpointError: As `zoo.training.state.read_state`.
    """
    if team.size == 1:
        return state.read_state(folder.state) if folder.state.exists() else None
    content = b""
    with team.together():
        if team.lead and folder.state.exists():
            content = folder.state.read_bytes()
            state.read_state(io.BytesIO(content), str(folder.state))  # to say what is wrong with it
    content = team.share(content)
    return state.read_state(io.BytesIO(content), str(folder.state)) if content else None


def open_data(recipe: Recipe, team: Team) -> Data:
    """Open both splits on every process; only the lead looks at the masks, and it is the first on its host to fetch.

    Raises:
        RunError: Other processes have other data.
        DataError: As `prepare.open_data`.
    """
    if team.size == 1:
        return prepare.open_data(recipe)
    data: Data | None = None
    with team.together():
        if team.lead:
            data = prepare.open_data(recipe)
    found = team.share(None if data is None else data.found)
    assert found is not None
    for turn in (team.local_rank == 0, team.local_rank != 0):  # one process of a host fetches what is missing
        with team.together():
            if turn and data is None:
                data = prepare.open_splits(recipe, found)
    assert data is not None
    with team.together():
        _require_same(data, team)
    return data


def open_model(make: Callable[[], SegmentationModel], team: Team) -> SegmentationModel:
    """The model that `make` returns on the lead, on every process.

    Raises:
        As `make`.
    """
    if team.size == 1:
        return make()
    model: SegmentationModel | None = None
    with team.together():
        model = make() if team.lead else None
    config = team.share(None if model is None else model.config.to_json())
    with team.together():
        if model is None:
            assert config is not None
            model = state.rebuild({"config": config})
    assert model is not None
    weights: dict[str, Tensor] = team.share(dict(model.state_dict()))
    model.load_state_dict(weights)
    model.config = ModelConfig.from_json(config or {})
    return model


def check_settings(recipe: Recipe, data: Data, model: SegmentationModel, device: torch.device, team: Team) -> None:
    """Find the mistakes in a recipe that all processes would meet at once, so that one of them says so.

    Raises:
        ZooError: As the loader, the loss and the optimiser raise it.
    """
    if team.size == 1:
        return
    with team.together():
        prepare.make_loader(recipe, data, device, team)
        found = data.found
        class_weights(recipe.loss.class_weights, found.pixels, found.image_pixels, data.train.classes)
        Criterion(recipe.loss)
        build_optimizer(model, recipe.optim)


def _require_same(data: Data, team: Team) -> None:
    """Raise `RunError` where a process has other pictures than the lead."""
    labels = "\n".join(one.label(index) for one in (data.train, data.val) for index in range(len(one)))
    digest = hashlib.sha256(labels.encode()).hexdigest()
    mine = (len(data.train), len(data.val), data.train.classes, digest)
    first = team.share(mine)
    if mine != first:
        raise RunError(
            f"process {team.rank} has other data than process 0: {mine[0]} + {mine[1]} pictures against "
            f"{first[0]} + {first[1]}, or other names; the data have to be the same on every host"
        )
