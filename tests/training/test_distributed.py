"""Several processes against one: the same order, the same weights, the same numbers."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from ranks_world import train_all
from safetensors.torch import load_file
from torch import Tensor

from zoo.training import state

SGD = ("optim.name=sgd", "optim.lr=0.1", "run.steps=4", "model.options={dropout=0.0}")
RUNS = {
    "plain": (*SGD, "run.eval_every=4"),
    "everything": (*SGD, "run.accumulate=2", "run.ema=0.9", "optim.clip=0.5", "optim.freeze=['encoder.pool.*']"),
    "weighted": (*SGD, "run.eval_every=4", "loss.class_weights=inverse", "data.batch_size=5"),
    "sum": (*SGD, "run.eval_every=4", "loss.reduction=sum", "optim.lr=0.0001"),
}
OF_TWO = {
    "fsdp": (*SGD, "run.parallel=fsdp", "run.recompute=true", *RUNS["everything"][4:]),
    "apart": (*SGD, "run.eval_every=4", "run.sync_bn=false"),
    "whole": ("run.steps=6", "data.workers=1", "run.eval_every=3"),
    "part": ("run.steps=3", "data.workers=1", "run.eval_every=3"),
    "part+": ("run.steps=6", "data.workers=1", "run.eval_every=3"),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run folders: ``1/NAME`` of one process, ``2/NAME`` of two."""
    out = tmp_path_factory.mktemp("runs")
    train_all(out / "1", 1, RUNS)
    train_all(out / "2", 2, {**RUNS, **OF_TWO})
    return out


def weights(folder: Path, name: str = "last") -> dict[str, Tensor]:
    return load_file(folder / f"{name}.safetensors")


def log(folder: Path, kind: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["kind"] == kind]


def assert_close(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, other[name], rtol=1e-4, atol=2e-6, msg=lambda text, name=name: name + text)


@pytest.mark.parametrize("name", RUNS)
def test_two_processes_learn_what_one_does(runs, name):
    """Over ignored pixels and a picture without any label: the mean is over the pixels of both."""
    one, two = runs / "1" / name, runs / "2" / name
    assert_close(weights(one), weights(two))
    for first, second in zip(log(one, "train"), log(two, "train"), strict=True):
        assert first["loss"] == pytest.approx(second["loss"], rel=1e-5)


@pytest.mark.parametrize("name", RUNS)
def test_metrics_are_those_of_one_process(runs, name):
    (*_, one), (*_, two) = (log(runs / size / name, "eval") for size in ("1", "2"))
    for key in ("miou", "pixel_acc", "mean_acc", "fw_iou", "iou", "train_miou"):
        assert one[key] == two[key]
    assert one["val_loss"] == pytest.approx(two["val_loss"], rel=1e-5)
    measured = [json.loads((runs / size / name / "evaluation.json").read_text()) for size in ("1", "2")]
    for key in ("confusion", "ignored", "pictures"):
        assert measured[0][key] == measured[1][key]


def test_a_model_in_pieces_learns_the_same_and_leaves_the_same_files(runs):
    whole, pieces = runs / "1" / "everything", runs / "2" / "fsdp"
    for name in ("last", "best"):
        assert_close(weights(whole, name), weights(pieces, name))
    one, two = (state.read_state(folder / "state.pt") for folder in (whole, pieces))
    assert_close(one["average"], two["average"])
    assert one["optimizer"]["param_groups"][0]["params"] == two["optimizer"]["param_groups"][0]["params"]
    for index, entry in one["optimizer"]["state"].items():
        torch.testing.assert_close(
            entry["momentum_buffer"], two["optimizer"]["state"][index]["momentum_buffer"], rtol=1e-4, atol=1e-5
        )


def test_a_state_goes_on_with_another_number_of_processes(runs, tmp_path):
    """Saved in pieces by two, continued by one; and the other way round."""
    longer = (*[option for option in RUNS["everything"] if "steps" not in option], "run.steps=6")
    (tmp_path / "1").symlink_to(runs / "1")
    for source, target in (("2/fsdp", "a"), ("1/everything", "b"), ("1/everything", "c")):
        (tmp_path / target).mkdir()
        for name in ("recipe.toml", "state.pt", "metrics.jsonl", "last.safetensors", "best.safetensors"):
            (tmp_path / target / name).write_bytes((runs / source / name).read_bytes())
    train_all(tmp_path, 1, {"a+": (*longer, "run.recompute=true"), "c+": longer})
    train_all(tmp_path, 2, {"b+": (*longer, "run.parallel=fsdp")})
    assert_close(weights(tmp_path / "a"), weights(tmp_path / "c"))
    assert_close(weights(tmp_path / "b"), weights(tmp_path / "c"))


def test_a_resumed_run_is_the_uninterrupted_one(runs):
    """Dropout, augmentation and workers included, bit for bit."""
    one, two = (weights(runs / "2" / name) for name in ("whole", "part"))
    assert all(torch.equal(tensor, two[name]) for name, tensor in one.items())
    whole, part = (log(runs / "2" / name, "train") for name in ("whole", "part"))
    assert [line["loss"] for line in whole] == [line["loss"] for line in part]


def test_norms_can_keep_to_their_process(runs):
    """They learn something else then, and all processes still have the same weights."""
    apart, together = weights(runs / "2" / "apart"), weights(runs / "2" / "plain")
    assert not torch.allclose(apart["encoder.conv.1.running_var"], together["encoder.conv.1.running_var"], rtol=1e-3)


def test_only_the_lead_writes(runs):
    folder = runs / "2" / "plain"
    assert len(log(folder, "start")) == len(log(folder, "end")) == 1
    assert log(folder, "start")[0]["processes"] == 2
    assert log(folder, "start")[0]["batch_size"] == 6
    assert len(list(folder.glob("events.*"))) <= 1
    assert (folder / "report.html").is_file()


@pytest.mark.slow
def test_four_processes_learn_what_one_does(runs, tmp_path):
    train_all(tmp_path, 4, {**{name: RUNS[name] for name in ("plain", "weighted")}, **OF_TWO})
    for name in ("plain", "weighted"):
        assert_close(weights(runs / "1" / name), weights(tmp_path / name))
    assert_close(weights(runs / "1" / "everything"), weights(tmp_path / "fsdp"))
    one, two = (weights(tmp_path / name) for name in ("whole", "part"))
    assert all(torch.equal(tensor, two[name]) for name, tensor in one.items())
