"""The run folder, its log, its state."""

import json

import pytest
import torch
from color_world import color_model
from torch import nn

from zoo.errors import CheckpointError, RunError
from zoo.training import state
from zoo.training.folder import RunFolder
from zoo.training.log import RunLog, read_log
from zoo.training.recipe import build
from zoo.training.state import Progress

CPU = torch.device("cpu")


def recipe(**tables):
    return build({"model": {"name": "fcn8s"}, "data": {"name": "shapes"}, **tables})


def test_preparing_makes_folders_and_abandoning_takes_them_back(tmp_path):
    folder = RunFolder(tmp_path / "a" / "b")
    folder.prepare(resume=False)
    assert list(folder.path.iterdir()) == []
    folder.abandon()
    assert list(tmp_path.iterdir()) == []


def test_abandoning_leaves_what_is_not_ours(tmp_path):
    (tmp_path / "a").mkdir()
    folder = RunFolder(tmp_path / "a" / "b")
    folder.prepare(resume=False)
    (folder.path / "note").write_text("")
    folder.abandon()
    assert folder.path.exists()
    RunFolder(tmp_path / "a").abandon()
    assert (tmp_path / "a").exists()


def test_an_empty_log_is_no_run(tmp_path):
    (tmp_path / "metrics.jsonl").touch()
    assert not RunFolder(tmp_path).holds_run
    (tmp_path / "metrics.jsonl").write_text("{}\n")
    assert RunFolder(tmp_path).holds_run


def test_a_folder_that_is_not_writable(tmp_path, monkeypatch):
    def refuse(**options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(RunError, match=r"cannot write into .*run: Permission denied"):
        RunFolder(tmp_path / "run").prepare(resume=False)
    assert not (tmp_path / "run").exists()


def test_reconciling(tmp_path):
    folder = RunFolder(tmp_path)
    folder.write_recipe(recipe(data={"name": "shapes", "crop": [64, 64]}, run={"steps": 10, "eval_every": 5}))
    assert folder.reconcile(None).run.steps == 10
    longer = folder.reconcile(recipe(run={"epochs": 3, "device": "cpu"}))
    assert (longer.run.epochs, longer.run.steps, longer.run.eval_every, longer.data.crop) == (3, None, 5, (64, 64))
    with pytest.raises(RunError, match=r"other settings \(model\.name: \"fcn8s\" → \"unet\"; data\.crop"):
        folder.reconcile(recipe(model={"name": "unet"}, data={"name": "shapes", "crop": 32}))


def test_one_folder_by_two_names_is_the_same_data(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    folder = RunFolder(tmp_path)
    folder.write_recipe(recipe(data={"name": str(tmp_path / "data")}))
    assert folder.reconcile(recipe(data={"name": "./data"})).data.name == str(tmp_path / "data")
    with pytest.raises(RunError, match=r"data\.name"):
        folder.reconcile(recipe(data={"name": "./other"}))


def write(path, records):
    with RunLog(path) as log:
        for record in records:
            log.write(record)


RECORDS = [
    {"kind": "start", "step": 0},
    {"kind": "train", "step": 1},
    {"kind": "train", "step": 2},
    {"kind": "eval", "step": 2},
    {"kind": "train", "step": 3},
    {"kind": "end", "step": 3},
]


@pytest.mark.parametrize(("progress", "kept"), [
    (Progress(0), 1), (Progress(1), 2), (Progress(2), 3), (Progress(2, 2), 4), (Progress(3, 2), 5),
])  # fmt: skip
def test_a_resumed_log_goes_back_to_the_state(tmp_path, progress, kept):
    path = tmp_path / "metrics.jsonl"
    write(path, RECORDS)
    with RunLog(path, progress) as log:
        log.write({"kind": "resume", "step": progress.step})
    assert read_log(path) == [*RECORDS[:kept], {"kind": "resume", "step": progress.step}]


@pytest.mark.parametrize("tail", [b'{"kind": "tr', b"[]\n", b'{"kind": "train", "step": 3}', b"\xff\n"])
def test_the_half_line_of_a_killed_process_goes(tmp_path, tail):
    path = tmp_path / "metrics.jsonl"
    write(path, RECORDS[:4])
    with path.open("ab") as file:
        file.write(tail)
    RunLog(path, Progress(9, 9)).__exit__(None, None, None)
    assert read_log(path) == RECORDS[:4]


def test_a_log_is_begun_once_and_holds_only_json(tmp_path):
    path = tmp_path / "metrics.jsonl"
    write(path, RECORDS[:1])
    with pytest.raises(RunError, match="already holds a run"):
        RunLog(path)
    with RunLog(path, Progress()) as log, pytest.raises(ValueError, match="not JSON compliant"):
        log.write({"loss": float("nan")})
    assert [json.loads(line) for line in path.read_text().splitlines()] == RECORDS[:1]


def saved(tmp_path, model=None):
    model = model or color_model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    model(torch.rand(2, 3, 4, 4))["out"].sum().backward()
    optimizer.step()
    path = tmp_path / "state.pt"
    state.save_state(path, Progress(5, 4, 0.25, 4, 12), model, optimizer.state_dict())
    return path, model, optimizer


def test_a_state_comes_back_whole(tmp_path):
    path, model, optimizer = saved(tmp_path)
    record = state.read_state(path)
    other = color_model()
    fresh = torch.optim.AdamW(other.parameters(), lr=0.1)
    assert state.restore(record, other, fresh) == Progress(5, 4, 0.25, 4, 12)
    assert all(torch.equal(one, two) for one, two in zip(model.parameters(), other.parameters(), strict=True))
    assert str(fresh.state_dict()) == str(optimizer.state_dict())


def test_damaged_and_foreign_states(tmp_path):
    path, _, _ = saved(tmp_path)
    whole = path.read_bytes()
    for content in (b"", whole[: len(whole) // 2], b"not a state"):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"state\.pt is damaged and cannot be resumed from"):
            state.read_state(path)
    torch.save({"version": 99}, path)
    with pytest.raises(CheckpointError, match="version 99; this Zoo resumes version 1"):
        state.read_state(path)
    torch.save([1], path)
    with pytest.raises(CheckpointError, match="version None"):
        state.read_state(path)


def test_a_state_of_another_model(tmp_path):
    record = state.read_state(saved(tmp_path)[0])
    other = nn.Conv2d(1, 1, 1)
    with pytest.raises(CheckpointError, match="does not fit the model"):
        state.restore(record, other, torch.optim.SGD(other.parameters(), lr=1))


def test_the_numbers_of_a_step_depend_on_seed_and_step_alone():
    import random

    import numpy as np

    def draw(seed, step):
        state.seed_step(seed, step, CPU)
        return (*torch.rand(2).tolist(), random.random(), float(np.random.rand()))

    first = draw(0, 3)
    torch.rand(100)
    assert draw(0, 3) == first
    assert len({draw(seed, step) for seed in range(10) for step in range(10)}) == 100
