"""Training a recipe in stages."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from zoo.errors import RunError
from zoo.files import atomic_path
from zoo.report.after import report_after
from zoo.training import prepare, recipe, stages, toml
from zoo.training.folder import RunFolder, departures, writing
from zoo.training.log import Report
from zoo.training.loop import Result, train
from zoo.training.parallel.opening import goes_on
from zoo.training.parallel.team import joined
from zoo.training.recipe import Tables
from zoo.training.stages import Stage


def train_stages(
    tables: Tables, out: str | os.PathLike[str], *, resume: bool = False, report: Report | None = None
) -> Result:
    """Train a staged recipe into `out`: a run folder for each stage, and the weights of the last one.

    Args:
        tables: The recipe.
        out: As for `zoo.training.loop.train`. It gets ``recipe.toml``, a folder per stage, and at the end the
            last stage's ``best.safetensors`` and ``last.safetensors``.
        resume: Continue where it stopped, in whichever stage that is.
        report: As for `train`; before each stage it is called with a record of kind ``stage``: its `name`, its
            `number`, and of how many (`of`).

    Returns:
        What the last stage came to; its `out` is the whole folder.

    Raises:
        RunError: A resumed run would change what a stage does, or as `train` raises it.
    """
    plan = stages.resolve(tables)
    folder = RunFolder(out)
    with joined() as team:
        with team.together():
            if team.lead:
                _prepare(tables, plan, folder, resume=resume or goes_on(folder))
        with _leaving_nothing(folder, plan) if team.lead else nullcontext(), report_after(folder.path, report):
            for number, stage in enumerate(plan, start=1):
                inner = RunFolder(folder.path / stage.name)
                following = [RunFolder(folder.path / other.name) for other in plan[number : number + 1]]
                done, begun = team.share((any(one.holds_run for one in following), inner.recipe.is_file()))
                if done:
                    continue  # the next one has begun
                if report is not None and team.lead:
                    report({"kind": "stage", "step": 0, "name": stage.name, "number": number, "of": len(plan)})
                result = train(stage.recipe, inner.path, resume=begun, report=report)
        with team.together():
            if team.lead:
                _hand_out(folder, RunFolder(folder.path / plan[-1].name))
    return Result(**{**vars(result), "out": folder.path})


def _prepare(tables: Tables, plan: list[Stage], folder: RunFolder, *, resume: bool) -> None:
    """Make the folder and write what will be done into it."""
    folder.prepare(resume=resume)
    with _leaving_nothing(folder, plan):
        for stage in plan:
            prepare.check_model(stage.recipe)
            prepare.check_needs(stage.recipe)
        if resume:
            _reconcile(folder, plan)
        with writing(folder.path), atomic_path(folder.recipe) as temporary:
            temporary.write_text(toml.dump(tables), encoding="utf-8")


def _hand_out(folder: RunFolder, last: RunFolder) -> None:
    """Copy the weights of the last stage into the folder of all."""
    with writing(folder.path):
        for source, target in ((last.best, folder.best), (last.last, folder.last)):
            with atomic_path(target) as temporary:
                shutil.copyfile(source, temporary)


def _reconcile(folder: RunFolder, plan: list[Stage]) -> None:
    """Refuse a resumption that departs from what was begun."""
    before = stages.resolve(recipe.read(folder.recipe), str(folder.recipe))
    if [stage.name for stage in before] != [stage.name for stage in plan]:
        names = ", ".join(stage.name for stage in before)
        raise RunError(f"{folder.path} was begun with other stages ({names}); a resumed run keeps them")
    changed = [
        f"stage.{new.name}.{line}"
        for old, new in zip(before, plan, strict=True)
        for line in departures(old.recipe, new.recipe)
    ]
    folder.require_kept(changed)


@contextmanager
def _leaving_nothing(folder: RunFolder, plan: list[Stage]) -> Iterator[None]:
    """Where a run fails before its first stage has begun, take back what was made for it."""
    try:
        yield
    except BaseException:
        if not any(Path(folder.path / stage.name).exists() for stage in plan):
            folder.recipe.unlink(missing_ok=True)
            folder.abandon()
        raise
