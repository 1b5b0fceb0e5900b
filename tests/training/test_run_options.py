"""Runs with every option of the engine: that they continue exactly, and what they leave."""

import os
import signal

import pytest
import torch
from training_world import recipe

import zoo
from zoo.data.catalog import open_dataset
from zoo.errors import RunError
from zoo.evaluation.evaluate import evaluate
from zoo.training.interrupt import Interrupted
from zoo.training.log import read_log
from zoo.training.loop import train

pytestmark = pytest.mark.usefixtures("_tiny_world")


def weights(path):
    return zoo.load(path).state_dict()


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def stop_after(step):
    """A watcher that interrupts this process once a step is done."""

    def watch(record):
        if record["kind"] == "step" and record["step"] == step:
            os.kill(os.getpid(), signal.SIGINT)

    return watch


EVERYTHING = {
    "average": ["run.ema=0.9", "optim.name=sgd", "optim.clip=0.5", "schedule.name=cosine"],
    "accumulation": ["run.accumulate=3", "data.batch_size=2", "optim.name=rmsprop", "schedule.warmup=2"],
    "losses": ["loss.terms=[{name='ohem'}, {name='dice', weight=0.5}]", "optim.name=adam", "optim.head_lr=10"],
    "half": ["run.amp=fp16", "run.recompute=true", "run.ema=0.5", "schedule.name=step", "schedule.every=2"],
    "frozen": ["optim.freeze=['encoder.conv.0.*']", "optim.freeze_norms=true", "run.metric=pixel_acc",
               "optim.head=classifier", "optim.head_lr=10",
               "schedule.name=multistep", "schedule.at=[0.5]", "run.save_every=1"],
}  # fmt: skip


@pytest.mark.parametrize("kind", EVERYTHING)
def test_every_option_continues_bit_for_bit(tmp_path, kind):
    settings = recipe(*EVERYTHING[kind], "data.workers=1")
    train(settings, tmp_path / "straight")
    resume = False
    for stop in (1, 2, 5):
        with pytest.raises(Interrupted):
            train(settings, tmp_path / "stopped", report=stop_after(stop), resume=resume)
        resume = True
    train(settings, tmp_path / "stopped", resume=True)
    for name in ("last.safetensors", "best.safetensors"):
        assert same(weights(tmp_path / "straight" / name), weights(tmp_path / "stopped" / name))
    states = [torch.load(tmp_path / run / "state.pt", weights_only=True) for run in ("straight", "stopped")]
    log = read_log(tmp_path / "stopped" / "metrics.jsonl")
    assert [record["step"] for record in log if record["kind"] == "train"] == [1, 2, 3, 4, 5, 6]
    assert states[0].keys() == states[1].keys()
    assert equal(*states)


def equal(one, other):
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(value, other[key]) for key, value in one.items())
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(equal, one, other))
    return one == other


def test_an_average_is_what_is_measured_and_saved(tmp_path):
    result = train(recipe("run.ema=0.99"), tmp_path / "run")
    state = torch.load(tmp_path / "run" / "state.pt", weights_only=True)
    last = weights(tmp_path / "run" / "last.safetensors")
    assert same(last, state["average"])
    assert not same(last, state["model"])
    measured = evaluate(zoo.load(tmp_path / "run" / "last.safetensors"), open_dataset("colored", "val"))
    assert measured.miou == pytest.approx(result.metrics.miou)


def test_a_weight_file_does_not_say_where_others_lay(tmp_path):
    train(recipe("run.steps=1"), tmp_path / "first")
    start = tmp_path / "first" / "last.safetensors"
    train(recipe("run.steps=1", f"model.weights={start}"), tmp_path / "second")
    record = zoo.hub.checkpoint.read_header(tmp_path / "second" / "last.safetensors").record
    assert record["recipe"]["model"]["weights"] == "last.safetensors"
    assert str(tmp_path) not in str(record)


@pytest.mark.parametrize("metric", ["pixel_acc", "mean_acc", "fw_iou"])
def test_another_number_may_choose_the_best(tmp_path, metric):
    result = train(recipe(f"run.metric={metric}", "run.eval_every=1", "optim.lr=0.05"), tmp_path / "run")
    found = [record for record in read_log(tmp_path / "run" / "metrics.jsonl") if record["kind"] == "eval"]
    best = max(found, key=lambda record: record[metric])
    assert (result.best_step, result.best_miou) == (best["step"], best["miou"])
    assert [record["best"] for record in found] == [
        all(record[metric] > other[metric] for other in found[:place]) for place, record in enumerate(found)
    ]


def test_epochs_count_pictures_however_many_make_up_a_step(tmp_path):
    result = train(recipe("run.epochs=2", "data.batch_size=2", "run.accumulate=4"), tmp_path / "run")
    log = read_log(tmp_path / "run" / "metrics.jsonl")
    assert result.steps == 3  # twelve pictures, twice, by eight
    assert (log[0]["batch_size"], log[0]["steps_per_epoch"]) == (8, 2)
    assert [record["epoch"] for record in log if record["kind"] == "train"] == [0, 1, 1]


def test_saving_between_evaluations_loses_less(tmp_path):
    def kill(record):
        if record["kind"] == "step" and record["step"] == 4:
            raise MemoryError

    with pytest.raises(MemoryError):
        train(recipe("run.eval_every=6", "run.save_every=3"), tmp_path / "run", report=kill)
    assert torch.load(tmp_path / "run" / "state.pt", weights_only=True)["progress"]["step"] == 3


def test_class_weights_must_fit_the_data(tmp_path):
    with pytest.raises(RunError, match=r"loss\.class_weights has 2 numbers, and the data \d classes"):
        train(recipe("loss.class_weights=[1, 2]"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_begun_before_there_were_so_many_options_goes_on(tmp_path):
    train(recipe(), tmp_path / "straight")
    with pytest.raises(Interrupted):
        train(recipe(), tmp_path / "old", report=stop_after(3))
    path = tmp_path / "old" / "state.pt"
    state = torch.load(path, weights_only=True)
    for key in ("score", "losses"):
        del state[key]
    del state["progress"]["best_score"]
    for group in state["optimizer"]["param_groups"]:
        del group["lr_factor"]
    torch.save(state, path)
    stored = tmp_path / "old" / "recipe.toml"
    added = ("ema", "accumulate", "metric", "bias_", "norm_", "head", "groups", "freeze", "reduction", "ohem", "terms")
    kept = [line for line in stored.read_text().splitlines() if not line.startswith(added)]
    stored.write_text("\n".join(kept) + "\n")
    train(None, tmp_path / "old", resume=True)
    assert same(*(weights(tmp_path / run / "last.safetensors") for run in ("straight", "old")))


def test_weights_that_are_not_finite_are_not_saved(tmp_path, monkeypatch):
    """A finite loss may have a gradient that is none; without clipping it shows in the next step."""
    from zoo.training.engine import Engine

    step = Engine.step

    def spoil(self, batches, number, steps):
        result = step(self, batches, number, steps)
        if number == 3:
            next(self.model.head.parameters()).data.fill_(float("nan"))
        return result

    monkeypatch.setattr(Engine, "step", spoil)
    with pytest.raises(RunError, match="after step 4 the weights are not finite any more"):
        train(recipe("run.save_every=1", "run.eval_every=6"), tmp_path / "run")
    assert torch.load(tmp_path / "run" / "state.pt", weights_only=True)["progress"]["step"] == 3
    assert all(value.isfinite().all() for value in weights(tmp_path / "run" / "last.safetensors").values())
