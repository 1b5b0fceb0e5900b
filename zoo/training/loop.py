"""The training loop: plain and honest. What it does is in the recipe; what it leaves is in the run folder."""

import os
from dataclasses import dataclass
from pathlib import Path

from zoo.errors import RunError
from zoo.evaluation.metrics import Metrics
from zoo.model import SegmentationModel
from zoo.report.after import report_after
from zoo.training import prepare, state
from zoo.training.folder import RunFolder
from zoo.training.freeze import freeze
from zoo.training.log import Report
from zoo.training.parallel.opening import check_settings, goes_on, open_data, open_model, read_state
from zoo.training.parallel.team import Team, joined
from zoo.training.recipe import Recipe
from zoo.training.run import Run


@dataclass(frozen=True)
class Result:
    """What a run came to.

    Attributes:
        out: The run folder.
        steps: Steps taken in all.
        best_miou: mIoU of the best weights on the validation split, in 0…1.
        best_step: The step at which they were reached.
        metrics: The last evaluation; None when a finished run was "resumed".
        images_per_second: Training throughput of this process, evaluation and saving left out; None without a step.
        peak_memory: Most memory the process has held, in bytes; None where the system does not say.
        seconds: Wall time of this process's part of the run.
    """

    out: Path
    steps: int
    best_miou: float
    best_step: int
    metrics: Metrics | None
    images_per_second: float | None
    peak_memory: int | None
    seconds: float


def train(
    recipe: Recipe | None,
    out: str | os.PathLike[str],
    *,
    resume: bool = False,
    report: Report | None = None,
) -> Result:
    """Train what `recipe` says, into the folder `out`.

    The folder gets ``recipe.toml``, ``metrics.jsonl``, ``best.safetensors``, ``last.safetensors`` and ``state.pt``,
    each of them whole at any moment, ``evaluation.json`` (more on the best weights), at the end ``report.html``, and
    events for TensorBoard where that is installed. Nothing is begun before the folder is found writable, all masks have
    been looked at, and the model is built.

    Where torchrun, or another launcher, has started several processes, they train together; all of them call this, and
    the first one alone writes and reports.

    Args:
        recipe: What to do. With `resume` it may be None: what the folder's own recipe says.
        out: A folder that holds no run yet, or with `resume` one that does.
        resume: Continue at the step of ``state.pt``. The result is that of a run that was never interrupted, on a CPU
            bit for bit. Only length, device, workers, logging and the place of the data may change.
        report: Called with every record of the log, and after every step; see `zoo.training.log`.

    Raises:
        RunError: The folder cannot be used, a resumed run would change its settings, or the loss is not finite.
        DataError: The data are not fit for training.
        ZooError: The recipe asks for what there is not; each kind as `zoo.create_model` and `open_dataset` raise it.
        Interrupted: SIGINT or SIGTERM came; the run is saved and can be resumed. It is a `KeyboardInterrupt`.
    """
    folder = RunFolder(out)
    with joined() as team:
        with team.together():
            if team.lead:
                resume = resume or goes_on(folder)
                folder.prepare(resume=resume)
        resume = team.share(resume)
        try:
            run = _begin(recipe, folder, team, report, resume=resume)
        except BaseException:
            folder.abandon()
            raise
        with report_after(folder.path, report):
            seconds = run.go(resumed=resume)
    progress = run.progress
    return Result(
        out=folder.path,
        steps=progress.step,
        best_miou=progress.best_miou,
        best_step=progress.best_step,
        metrics=run.metrics,
        images_per_second=run.images_per_second,
        peak_memory=run.peak_memory,
        seconds=seconds,
    )


def _begin(recipe: Recipe | None, folder: RunFolder, team: Team, report: Report | None, *, resume: bool) -> Run:
    """Everything before the first step, on all processes; raises as `train`."""
    with team.together():
        if resume and team.lead:
            recipe = folder.reconcile(recipe)
        if recipe is None and team.lead:
            raise RunError("a new run needs a recipe; only a resumed one has its own")
    recipe = team.share(recipe)
    assert recipe is not None
    with team.together():
        device = team.device(recipe.run.device)
        prepare.check_model(recipe)
    saved = read_state(folder, team) if resume else None
    data = open_data(recipe, team)
    recipe = team.share(prepare.resolve(recipe, data, device))  # precision is a matter of the device as well

    def make() -> SegmentationModel:
        return prepare.new_model(recipe, data, folder.path)

    model = open_model(make, team) if saved is None else state.rebuild(saved)
    with team.together():
        freeze(model, recipe.optim)
    check_settings(recipe, data, model, device, team)
    run = Run(recipe, folder, data, model, device, report, team)
    with team.together():
        if saved is not None:
            run.restore(saved)
    return run
