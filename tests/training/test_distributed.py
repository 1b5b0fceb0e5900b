"""Several processes against one: the same order, the same weights, the same numbers."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from ranks_world import take_part, train_all
from safetensors.torch import load_file
from torch import Tensor

from zoo.training import state

SGD = ("optim.name=sgd", "optim.lr=0.1", "schedule.name=constant", "schedule.warmup=0", "model.options={dropout=0.0}")
SHORT = (*SGD, "run.steps=3", "run.eval_every=3")
EVERYTHING = (
    *SGD, "model.name=deep", "run.accumulate=2", "run.ema=0.9", "run.recompute=true", "run.eval_every=2",
    "optim.clip=0.5", "optim.freeze=['encoder.pool.*']",
)  # fmt: skip
RUNS = {
    "plain": SHORT,
    "everything": (*EVERYTHING, "run.steps=2"),
    "weighted": (*SHORT, "loss.class_weights=inverse", "data.batch_size=5"),
    "sum": (*SHORT, "loss.reduction=sum", "optim.lr=0.0001"),
}
RANDOM = ("schedule.name=constant", "data.workers=1", "run.eval_every=2")
OF_TWO = {
    "fsdp": (*EVERYTHING, "run.parallel=fsdp", "run.steps=2"),
    "apart": (*SHORT, "run.sync_bn=false"),
    "whole": (*RANDOM, "run.steps=4"),
    "part": (*RANDOM, "run.steps=2"),
    "part+": (*RANDOM, "run.steps=4"),
}
LONGER = (*EVERYTHING, "run.steps=3")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run folders: ``1/NAME`` of one process, ``2/NAME`` of two.

    One step longer than ``everything`` are ``longer``, ``joined`` (begun by one process), ``alone`` (by two).
    """
    out = tmp_path_factory.mktemp("runs")
    take_part(out / "1", RUNS)
    for copy in ("1/longer", "2/joined"):
        shutil.copytree(out / "1" / "everything", out / copy)
    train_all(out / "2", 2, {**RUNS, **OF_TWO, "joined+": (*LONGER, "run.parallel=fsdp")})
    shutil.copytree(out / "2" / "fsdp", out / "1" / "alone")
    take_part(out / "1", {"longer+": LONGER, "alone+": LONGER})
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


def test_a_state_goes_on_with_another_number_of_processes(runs):
    """Saved in pieces by two, continued by one; and the other way round."""
    expected = weights(runs / "1" / "longer")
    assert_close(weights(runs / "1" / "alone"), expected)
    assert_close(weights(runs / "2" / "joined"), expected)


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
    """Some of them have no picture to measure."""
    shutil.copytree(runs / "2" / "fsdp", tmp_path / "joined")
    wanted = {**{name: RUNS[name] for name in ("plain", "weighted")}, "fsdp": OF_TWO["fsdp"], "joined+": LONGER}
    train_all(tmp_path, 4, wanted)
    for name, other in (("plain", "plain"), ("weighted", "weighted"), ("fsdp", "everything"), ("joined", "longer")):
        assert_close(weights(tmp_path / name), weights(runs / "1" / other))
