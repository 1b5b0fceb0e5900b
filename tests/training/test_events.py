import os
import signal
from importlib.util import find_spec

import pytest
from training_world import recipe

from zoo.training.events import Events
from zoo.training.interrupt import Interrupted
from zoo.training.log import read_log
from zoo.training.loop import train

pytestmark = pytest.mark.usefixtures("_tiny_world")


def scalars(folder):
    """Everything in the event files, as (tag, step) → list of values; nothing is purged or thinned."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    found = {}
    for path in folder.glob("events.out.tfevents.*"):
        for event in EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                number = value.tensor.float_val[0] if value.HasField("tensor") else value.simple_value
                found.setdefault((value.tag, event.step), []).append(number)
    return found


def check(folder):
    found = scalars(folder)
    assert all(len(values) == 1 for values in found.values())
    log = read_log(folder / "metrics.jsonl")
    expected = {}
    for record in log:
        step = record["step"]
        if record["kind"] == "train":
            expected |= {("loss/train", step): record["loss"], ("lr", step): record["lr"]}
            expected |= {("images_per_second", step): record["images_per_second"]}
        if record["kind"] == "eval":
            expected |= {(f"{key}/val", step): record[key] for key in ("miou", "pixel_acc", "mean_acc", "fw_iou")}
            expected |= {("loss/val", step): record["val_loss"], ("miou/train", step): record["train_miou"]}
            expected |= {(f"iou/{name}", step): value for name, value in record["iou"].items()}
    expected = {key: value for key, value in expected.items() if value is not None}
    assert {key: values[0] for key, values in found.items()} == pytest.approx(expected, rel=1e-6)
    return expected


def test_events_say_what_the_log_says(tmp_path):
    pytest.importorskip("tensorboard")
    out = train(recipe(), tmp_path / "run").out
    steps = {step for tag, step in check(out) if tag == "loss/train"}
    assert steps == {1, 2, 3, 4, 5, 6}


def test_no_step_comes_twice_after_a_resumption(tmp_path):
    """The process is gone between two saves, so steps are taken again; a second one adds to what it finds."""
    pytest.importorskip("tensorboard")
    out = tmp_path / "run"

    class Gone(BaseException):
        pass

    def vanish(record):
        if record["kind"] == "train" and record["step"] == 5:
            raise Gone

    with pytest.raises(Gone):
        train(recipe(), out, report=vanish)
    assert ("loss/train", 5) in scalars(out)

    def stop(record):
        if record["kind"] == "step" and record["step"] == 5:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted):
        train(None, out, resume=True, report=stop)
    check(out)
    train(None, out, resume=True)
    assert {step for tag, step in check(out) if tag == "loss/train"} == {1, 2, 3, 4, 5, 6}
    assert len(list(out.glob("events.*"))) == 1


def test_without_tensorboard_there_is_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("zoo.training.events.find_spec", lambda name: None)
    seen = []
    out = train(recipe(), tmp_path / "run", report=seen.append).out
    assert not list(out.glob("events.*"))
    assert "warning" not in {record["kind"] for record in seen}


@pytest.mark.parametrize("when", ["at the beginning", "later"])
def test_trouble_is_told_once_and_ends_nothing(tmp_path, monkeypatch, when):
    """Whether TensorBoard is there or not: it is played."""

    class Full:
        def __init__(self, *_, **__):
            if when == "at the beginning":
                raise OSError(28, "No space left on device")

        def add_scalar(self, *_):
            raise OSError(28, "No space left on device")

        def flush(self):
            pass

        close = flush

    import sys
    import types

    module = types.ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = Full
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    monkeypatch.setattr("zoo.training.events.find_spec", lambda name: find_spec("torch"))
    seen = []
    result = train(recipe(), tmp_path / "run", report=seen.append)
    assert result.steps == 6
    (text,) = [record["text"] for record in seen if record["kind"] == "warning"]
    assert "no more events for TensorBoard" in text
    assert "No space left" in text


def test_records_of_other_kinds_are_passed_over(tmp_path):
    pytest.importorskip("tensorboard")
    with Events(tmp_path, [{"kind": "start", "step": 0, "loss": 1.0}], pytest.fail) as events:
        events.write({"kind": "end", "step": 6})
        events.write({"kind": "train", "step": 1, "loss": None, "lr": 0.5, "images_per_second": None})
    assert scalars(tmp_path) == {("lr", 1): [0.5]}
