"""Several runs side by side."""

import json
import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.errors import RunError
from zoo.report.course import Course, number

TEST = "test.json"
"""Where a run folder keeps its result on the test split: what ``zoo eval … --split test --out RUN/test.json`` wrote."""


@dataclass(frozen=True)
class Row:
    """A run in the table; None stands for what is not known.

    The losses and mIoUs are the last ones of the run, as a reader of its curves would read them off at the end.

    Attributes:
        name: What to call the run.
        model: Its model.
        train_loss: Mean of the last steps.
        valid_loss: Of the last evaluation.
        train_miou: Likewise; see `TrainScore`.
        valid_miou: Likewise.
        best_miou: That of the best weights.
        test_miou: That of the best weights on the test split, where somebody measured it.
        parameters: How many there are.
        seconds: How long the run took.
        state: What should be known, as that it is not finished; empty otherwise.
    """

    name: str
    model: str
    train_loss: float | None
    valid_loss: float | None
    train_miou: float | None
    valid_miou: float | None
    best_miou: float | None
    test_miou: float | None
    parameters: float | None
    seconds: float | None
    state: str = ""


def read_courses(paths: Sequence[Path]) -> list[Course]:
    """Read run folders; one with stages counts as its stages.

    Raises:
        RunError: One of them is no run folder.
    """
    return [Course.read(path) for given in paths for path in run_folders(given)]


def run_folders(path: Path) -> list[Path]:
    """The folder itself, or of a run in stages those of the stages that have begun, in their order."""
    return stages_of(path) or [path]


def stages_of(run: Path) -> list[Path]:
    """The folders of the stages that have begun, in their order; none where it is a run of one stage."""
    try:
        stages = tomllib.loads((run / "recipe.toml").read_text(encoding="utf-8"))["stage"]
        folders = [run / stage["name"] for stage in stages]
    except (OSError, ValueError, KeyError, TypeError):  # no recipe, a broken one, or one without stages
        return []
    return [folder for folder in folders if _begun(folder / "metrics.jsonl")]


def names(courses: Sequence[Course]) -> list[str]:
    """What to call the runs: the names of their folders, or where these are the same, their paths."""
    count = Counter(course.name for course in courses)
    return [course.name if count[course.name] == 1 else str(course.path) for course in courses]


def rows(courses: Sequence[Course]) -> list[Row]:
    """The table."""
    return [_row(course, name) for course, name in zip(courses, names(courses), strict=True)]


def notes(courses: Sequence[Course]) -> list[str]:
    """What makes the numbers of these runs hard to compare."""
    found = []
    data = {(course.opening.get("data"), *_splits(course)) for course in courses}
    if len(data) > 1:
        words = sorted(" ".join(str(part) for part in parts if part) for parts in data)
        found.append(f"not the same data: {'; '.join(words)}")
    for course, name in zip(courses, names(courses), strict=True):
        if not course.finished:
            found.append(f"{name} is not finished: step {course.step} of {course.steps or '?'}")
    return found


def differences(courses: Sequence[Course]) -> list[tuple[str, list[str]]]:
    """Settings in which the recipes differ: the key, and its value in every run."""
    flat = [_flat(course.recipe) for course in courses]
    keys = list(dict.fromkeys(key for table in flat for key in table))
    found = [(key, [table.get(key, "–") for table in flat]) for key in keys]
    return [(key, values) for key, values in found if len(set(values)) > 1]


def _row(course: Course, name: str) -> Row:
    seconds = course.seconds
    return Row(
        name=name,
        model=str(course.opening.get("model", "–")),
        train_loss=course.last("train", "loss"),
        valid_loss=course.last("eval", "val_loss"),
        train_miou=course.last("eval", "train_miou"),
        valid_miou=course.last("eval", "miou"),
        best_miou=number(course.best.get("miou")),
        test_miou=_test(course),
        parameters=number(course.opening.get("parameters")),
        seconds=seconds if seconds > 0 else None,
        state="" if course.finished else "not finished",
    )


def _test(course: Course) -> float | None:
    try:
        record = json.loads((course.path / TEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise RunError(f"{course.path / TEST} is not what `zoo eval --out` writes: {error}") from None
    return number(record.get("miou")) if isinstance(record, dict) else None


def _begun(log: Path) -> bool:
    return log.is_file() and log.stat().st_size > 0


def _splits(course: Course) -> tuple[str, ...]:
    table = course.recipe.get("data")
    return tuple(str(table.get(key, "")) for key in ("train", "val")) if isinstance(table, dict) else ()


def _flat(tables: dict[str, Any], before: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in tables.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{before}{key}.")
        else:
            found[f"{before}{key}"] = value if isinstance(value, str) else json.dumps(value, default=str)
    return found
