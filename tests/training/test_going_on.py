"""When a launcher starts a command again, is its run resumed?"""

import json
from pathlib import Path

import pytest

from zoo.training.folder import RunFolder
from zoo.training.parallel.opening import goes_on


@pytest.fixture
def launch(monkeypatch):
    """What torchrun says of itself: the name of the launch, and how often it has started its processes again."""

    def say(name: str | None, restarts: int) -> None:
        monkeypatch.setenv("TORCHELASTIC_RUN_ID", name or "none")
        monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", str(restarts))

    return say


def begin(folder: Path, *launches: str | None, recipe: str = "") -> RunFolder:
    """A run folder whose log was opened by these launches."""
    folder.mkdir(parents=True)
    (folder / "recipe.toml").write_text(recipe)
    records = [
        {"kind": kind, "step": place, **({"launch": name} if name else {})}
        for place, (name, kind) in enumerate(zip(launches, ["start", *["resume"] * len(launches)], strict=False))
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return RunFolder(folder)


@pytest.mark.parametrize(
    ("launches", "now", "restarts", "resumed"),
    [
        (["a"], "a", 0, True),  # a job that was queued again
        (["a"], "a", 2, True),
        (["b", "a"], "a", 0, True),
        (["a", "b"], "a", 0, False),
        ([None], None, 1, True),  # who has no name is believed
        (["a"], None, 1, True),
        ([None], None, 0, False),
        (["a"], "b", 0, False),
        (["a"], "b", 1, False),  # refused, and so started again: it still is the run of somebody else
        ([None], "b", 1, False),
        ([], "a", 1, True),  # killed before its first record
        ([], "a", 0, False),
    ],
)
def test_a_run_goes_on_in_the_launch_that_it_is_of(tmp_path, launch, launches, now, restarts, resumed):
    launch(now, restarts)
    assert goes_on(begin(tmp_path / "run", *launches)) == resumed


@pytest.mark.parametrize(("last", "resumed"), [("a", True), ("b", False)])
def test_of_a_run_in_stages_the_last_one_counts(tmp_path, launch, last, resumed):
    launch("a", 0)
    stages = '[[stage]]\nname = "one"\n\n[[stage]]\nname = "after"\n\n[[stage]]\nname = "later"\n'
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "recipe.toml").write_text(stages)
    begin(tmp_path / "run" / "one", "a")
    begin(tmp_path / "run" / "after", last)
    assert goes_on(RunFolder(tmp_path / "run")) == resumed


def test_where_nothing_was_begun_nothing_goes_on(tmp_path, launch):
    launch("a", 1)
    assert not goes_on(RunFolder(tmp_path / "run"))


def test_a_damaged_log_is_read_as_far_as_it_makes_sense(tmp_path, launch):
    launch("a", 0)
    folder = begin(tmp_path / "run", "a")
    with folder.log.open("ab") as file:
        file.write(b'\x00\x00\n{"kind": "tra')
    assert goes_on(folder)
