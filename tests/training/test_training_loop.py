import json
import math
import os
import signal

import pytest
import torch
import training_world
from training_world import recipe

import zoo
from zoo.data.catalog import open_dataset
from zoo.errors import DataError, OptionError, RunError, UnknownNameError
from zoo.evaluation.evaluate import evaluate
from zoo.training import recipe as recipes
from zoo.training.interrupt import Interrupted
from zoo.training.log import read_log
from zoo.training.loop import train

pytestmark = pytest.mark.usefixtures("_tiny_world")


def weights(path):
    return zoo.load(path).state_dict()


def same(one, other):
    assert one.keys() == other.keys()
    return [name for name in one if not torch.equal(one[name], other[name])] == []


def stop_after(step, number=signal.SIGINT):
    """A watcher that sends this process a signal once a step is done."""

    def watch(record):
        if record["kind"] == "step" and record["step"] == step:
            os.kill(os.getpid(), number)

    return watch


def test_a_run_leaves_what_it_promises(tmp_path):
    out = tmp_path / "deep" / "run"
    seen = []
    result = train(recipe(), out, report=seen.append)
    assert sorted(path.name for path in out.iterdir() if not path.name.startswith("events.")) == [
        "best.safetensors", "evaluation.json", "last.safetensors", "metrics.jsonl", "recipe.toml", "report.html",
        "state.pt",
    ]  # fmt: skip
    stored = recipes.load(out / "recipe.toml")
    assert stored.data.crop == (16, 16)
    assert stored.run.eval_every == 2

    log = read_log(out / "metrics.jsonl")
    kinds = ["start", *["train", "train", "eval"] * 3, "end"]
    assert [record["kind"] for record in log] == kinds
    assert [record for record in seen if record["kind"] in kinds] == log
    assert sum(record["kind"] == "step" for record in seen) == 6
    evaluations = [record for record in log if record["kind"] == "eval"]
    best = max(evaluations, key=lambda record: record["miou"])
    assert (result.best_miou, result.best_step, result.steps) == (best["miou"], best["step"], 6)
    assert log[-1]["peak_memory"] > 10_000_000
    assert log[-1]["images_per_second"] > 0

    model = zoo.load(out / "best.safetensors")
    assert model.config.classes == training_world.NAMES
    assert model.config.palette == training_world.COLORS
    assert evaluate(model, open_dataset("colored", "val")).miou == pytest.approx(best["miou"])
    header = zoo.hub.checkpoint.read_header(out / "best.safetensors").record
    assert header["metrics"]["miou"] == best["miou"]
    assert header["data"] == {"name": "colored", "split": "train"}
    assert header["recipe"]["run"]["steps"] == 6


def test_it_learns(tmp_path):
    result = train(
        recipe("run.steps=150", "run.eval_every=150", "optim.lr=0.02", "data.scale=[1, 1]"), tmp_path / "run"
    )
    assert result.metrics.pixel_acc > 0.8
    log = read_log(tmp_path / "run" / "metrics.jsonl")
    losses = [record["loss"] for record in log if record["kind"] == "train"]
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])


@pytest.mark.parametrize("options", [["optim.name=sgd", "optim.lr=0.1"], ["run.amp=bf16"], ["run.channels_last=false"],
                                     ["schedule.name=constant", "loss.class_weights=median"]])  # fmt: skip
def test_other_settings_train_too(tmp_path, options):
    before = weights_at_start(tmp_path)
    train(recipe(*options), tmp_path / "run")
    after = weights(tmp_path / "run" / "last.safetensors")
    assert all(value.isfinite().all() for value in after.values())
    assert not same(before, after)


def weights_at_start(tmp_path):
    """The weights before the first step: a run that is stopped as soon as it has started."""

    def watch(record):
        if record["kind"] == "start":
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted):
        train(recipe(), tmp_path / "start", report=watch)
    return weights(tmp_path / "start" / "last.safetensors")


def test_frozen_parameters_stay_and_auxiliary_outputs_learn(tmp_path):
    before = weights_at_start(tmp_path)
    train(recipe("optim.weight_decay=0.5"), tmp_path / "run")
    after = weights(tmp_path / "run" / "last.safetensors")
    changed = {name for name in after if not torch.equal(before[name], after[name])}
    assert not any(name.startswith("encoder.frozen") for name in changed)
    assert any(name.startswith("auxiliary") for name in changed)


# the same six steps, however they were taken


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("stop", [1, 3, 4])
def test_a_stopped_run_continues_bit_for_bit(tmp_path, stop, number):
    settings = recipe("data.workers=2")
    train(settings, tmp_path / "straight")
    with pytest.raises(Interrupted) as caught:
        train(settings, tmp_path / "stopped", report=stop_after(stop, number))
    assert caught.value.step == stop
    assert caught.value.exit_code == 128 + number
    torch.rand(17)  # whatever happened to the generators meanwhile
    result = train(settings, tmp_path / "stopped", resume=True)
    assert result.steps == 6
    for name in ("last.safetensors", "best.safetensors"):
        assert same(weights(tmp_path / "straight" / name), weights(tmp_path / "stopped" / name))
    states = [torch.load(tmp_path / run / "state.pt", weights_only=True) for run in ("straight", "stopped")]
    assert states[0]["progress"] == states[1]["progress"]
    for one, other in zip(*(state["optimizer"]["state"].values() for state in states), strict=True):
        assert same(one, other)
    logs = [read_log(tmp_path / run / "metrics.jsonl") for run in ("straight", "stopped")]
    for kind in ("train", "eval"):
        one, other = ([(r["step"], r.get("loss"), r.get("miou")) for r in log if r["kind"] == kind] for log in logs)
        assert one == other


def test_workers_and_logging_do_not_change_what_is_learned(tmp_path):
    train(recipe(), tmp_path / "none")
    train(recipe("data.workers=2", "run.log_every=3"), tmp_path / "two")
    assert same(*(weights(tmp_path / run / "last.safetensors") for run in ("none", "two")))


def test_the_seed_does(tmp_path):
    train(recipe(), tmp_path / "none")
    train(recipe("run.seed=1"), tmp_path / "one")
    assert not same(*(weights(tmp_path / run / "last.safetensors") for run in ("none", "one")))


def test_a_finished_run_can_be_made_longer(tmp_path):
    constant = ["schedule.name=constant", "schedule.warmup=0"]
    train(recipe(*constant), tmp_path / "straight")
    train(recipe(*constant, "run.steps=4"), tmp_path / "longer")
    train(recipe(*constant, "run.steps=6"), tmp_path / "longer", resume=True)
    assert same(*(weights(tmp_path / run / "last.safetensors") for run in ("straight", "longer")))
    assert recipes.load(tmp_path / "longer" / "recipe.toml").run.steps == 6
    kinds = [record["kind"] for record in read_log(tmp_path / "longer" / "metrics.jsonl")]
    assert kinds.count("end") == 1


def test_resuming_a_finished_run_changes_nothing(tmp_path):
    first = train(recipe(), tmp_path / "run")
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    again = train(None, tmp_path / "run", resume=True)
    assert (again.steps, again.best_miou, again.images_per_second) == (6, first.best_miou, None)
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


def test_a_run_killed_before_its_first_save_starts_again(tmp_path):
    train(recipe(), tmp_path / "straight")

    def kill(record):
        if record["kind"] == "step":
            raise MemoryError  # like kill -9, it leaves no time to save

    with pytest.raises(MemoryError):
        train(recipe(), tmp_path / "killed", report=kill)
    assert not (tmp_path / "killed" / "state.pt").exists()
    (tmp_path / "killed" / ".state.xyz.pt").write_bytes(b"half")
    train(None, tmp_path / "killed", resume=True)
    assert same(*(weights(tmp_path / run / "last.safetensors") for run in ("straight", "killed")))
    assert not (tmp_path / "killed" / ".state.xyz.pt").exists()


def test_a_stop_during_an_evaluation_repeats_that_evaluation(tmp_path):
    def watch(record):
        if record["kind"] == "evaluating" and record["step"] == 4:
            os.kill(os.getpid(), signal.SIGINT)

    train(recipe(), tmp_path / "straight")
    with pytest.raises(Interrupted) as caught:
        train(recipe(), tmp_path / "stopped", report=watch)
    assert caught.value.step == 4
    train(None, tmp_path / "stopped", resume=True)
    assert same(*(weights(tmp_path / run / "best.safetensors") for run in ("straight", "stopped")))
    logs = [read_log(tmp_path / run / "metrics.jsonl") for run in ("straight", "stopped")]
    assert [[r["step"] for r in log if r["kind"] == "eval"] for log in logs] == [[2, 4, 6]] * 2


def test_a_second_signal_breaks_in(tmp_path):
    def watch(record):
        if record["kind"] == "step":
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt) as caught:
        train(recipe(), tmp_path / "run", report=watch)
    assert not isinstance(caught.value, Interrupted)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


# what a resumed run may change


def test_changed_settings_are_named(tmp_path):
    train(recipe(), tmp_path / "run")
    with pytest.raises(RunError, match=r"optim\.lr: 0\.001 → 0\.5; run\.seed: 0 → 3"):
        train(recipe("optim.lr=0.5", "run.seed=3"), tmp_path / "run", resume=True)
    train(recipe("data.workers=1", "run.log_every=5", "data.crop=auto"), tmp_path / "run", resume=True)


def test_fewer_steps_than_done_is_refused(tmp_path):
    train(recipe(), tmp_path / "run")
    with pytest.raises(RunError, match=r"has done 6 steps already; 4 were asked for"):
        train(recipe("run.steps=4"), tmp_path / "run", resume=True)


def test_other_data_is_refused(tmp_path, monkeypatch):
    train(recipe(), tmp_path / "run")
    monkeypatch.setitem(training_world.Colored.sizes, "train", 11)
    with pytest.raises(RunError, match=r"had 12 training pictures .* has 11 now"):
        train(None, tmp_path / "run", resume=True)


# what must not be begun


@pytest.mark.parametrize("name", ["recipe.toml", "best.safetensors", "last.safetensors", "state.pt", "metrics.jsonl"])
def test_a_run_is_never_overwritten(tmp_path, name):
    out = tmp_path / "run"
    out.mkdir()
    (out / name).write_text("something")
    with pytest.raises(RunError, match="already holds a run"):
        train(recipe(), out)
    assert {path.name: path.read_text() for path in out.iterdir()} == {name: "something"}


def test_nothing_to_resume(tmp_path):
    with pytest.raises(RunError, match="nothing to resume"):
        train(None, tmp_path / "run", resume=True)
    assert not (tmp_path / "run").exists()


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "run").write_text("a letter")
    for out in (tmp_path / "run", tmp_path / "run" / "deeper"):
        with pytest.raises(RunError, match="cannot write into"):
            train(recipe(), out)


@pytest.mark.parametrize(("option", "kind", "says"), [
    ("model.name=tinny", UnknownNameError, "tinny"),
    ("model.options.dropuot=0.1", OptionError, "dropout"),
    ("data.name=coloured", UnknownNameError, "colored"),
    ("run.device=gpu7", zoo.errors.ZooError, "gpu7"),
])  # fmt: skip
def test_faults_of_the_recipe_leave_no_folder(tmp_path, option, kind, says):
    with pytest.raises(kind, match=says):
        train(recipe(option), tmp_path / "deep" / "run")
    assert not (tmp_path / "deep").exists()


def test_a_bad_label_is_found_before_any_work(tmp_path, monkeypatch):
    sample = training_world.Colored.__getitem__

    def spoiled(self, index):
        found = sample(self, index)
        if self.split == "val" and index == 2:
            found.mask[4, 7] = 9
        return found

    monkeypatch.setattr(training_world.Colored, "__getitem__", spoiled)
    with pytest.raises(DataError, match=r"val/00002: label value 9 at row 4, column 7"):
        train(recipe(), tmp_path / "run")
    assert not (tmp_path / "run").exists()


# bad luck on the way


def test_a_batch_of_one_trains(tmp_path):
    """Its pooled map has one value per channel, which BatchNorm refuses."""
    result = train(recipe("data.batch_size=1"), tmp_path / "run")
    after = weights(result.out / "last.safetensors")
    assert all(value.isfinite().all() for value in after.values())
    assert after["encoder.conv.1.num_batches_tracked"] == 6
    assert after["encoder.pool.2.num_batches_tracked"] == 0


def test_batches_without_a_label_cost_nothing(tmp_path, monkeypatch):
    """Training scenes have no label at all (validation still has, so there is something to measure)."""
    monkeypatch.setattr("zoo.training.prepare.inspect", lambda dataset, look=zoo.data.inspect: look(
        training_world.Colored("val") if dataset.split == "train" else dataset))  # fmt: skip
    sample = training_world.Colored.__getitem__

    def blank(self, index):
        found = sample(self, index)
        if self.split == "train":
            found.mask[:] = 255
        return found

    monkeypatch.setattr(training_world.Colored, "__getitem__", blank)
    result = train(recipe("optim.weight_decay=0"), tmp_path / "run")
    log = read_log(result.out / "metrics.jsonl")
    assert [record["loss"] for record in log if record["kind"] == "train"] == [0.0] * 6
    assert all(value.isfinite().all() for value in weights(result.out / "last.safetensors").values())


def test_a_loss_that_is_not_finite_stops_with_what_is_needed_to_see_why(tmp_path, monkeypatch):
    from zoo.training.loss import Criterion

    forward, calls = Criterion.forward, []

    def explode(self, outputs, target, whole=None):
        calls.extend([1] * torch.is_grad_enabled())  # evaluations ask too
        return forward(self, outputs, target, whole) * (math.nan if len(calls) == 5 else 1)

    monkeypatch.setattr(Criterion, "forward", explode)
    with pytest.raises(RunError) as caught:
        train(recipe("schedule.name=constant"), tmp_path / "run")
    message = str(caught.value)
    assert "the loss is nan in step 5 (learning rate 0.001, seed 0, pictures train/" in message
    assert message.count("train/0") == 6
    assert "-o optim.lr=0.0001" in message
    state = torch.load(tmp_path / "run" / "state.pt", weights_only=True)
    assert state["progress"]["step"] == 4
    assert all(value.isfinite().all() for value in weights(tmp_path / "run" / "last.safetensors").values())


def test_a_full_disk_keeps_what_was_saved(tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    def watch(record):
        if record["kind"] == "step" and record["step"] == 3:
            monkeypatch.setattr(torch, "save", full)

    with pytest.raises(RunError, match="No space left on device; what was saved before is whole"):
        train(recipe(), tmp_path / "run", report=watch)
    monkeypatch.undo()
    train(None, tmp_path / "run", resume=True)
    train(recipe(), tmp_path / "straight")
    assert same(*(weights(tmp_path / run / "last.safetensors") for run in ("straight", "run")))


def test_two_processes_do_not_share_a_run(tmp_path):
    """The lock is one between processes, so the second one is a real process."""
    import multiprocessing

    def second(queue):
        try:
            train(None, tmp_path / "run", resume=True)
        except RunError as error:
            queue.put(str(error))

    def watch(record):
        if record["kind"] == "step" and record["step"] == 3:
            context = multiprocessing.get_context("fork")
            queue = context.Queue()
            process = context.Process(target=second, args=(queue,))
            process.start()
            messages.append(queue.get(timeout=60))
            process.join()

    messages = []
    train(recipe(), tmp_path / "run", report=watch)
    assert messages == [f"another process is training in {tmp_path / 'run'}"]
    records = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert records[-1]["kind"] == "end"
