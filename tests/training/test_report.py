import base64
import html
import io
import json
import os
import re
import signal

import numpy as np
import pytest
import torch
import training_world
from click.testing import CliRunner
from page_reader import Page
from PIL import Image
from training_world import recipe

from zoo.cli import cli
from zoo.errors import RunError, ZooError
from zoo.report import after
from zoo.report.course import Course
from zoo.report.pictures import choose, error
from zoo.report.report import write_report
from zoo.report.stages import write_stages_report
from zoo.training.interrupt import Interrupted
from zoo.training.log import read_log
from zoo.training.loop import train
from zoo.training.measured import Measured
from zoo.training.staged import train_stages

pytestmark = pytest.mark.usefixtures("_tiny_world")


@pytest.fixture
def run(tmp_path):
    return train(recipe(), tmp_path / "run").out


def read(path):
    page = Page(path.read_text(encoding="utf-8"))
    page.check_self_contained()
    return page


def pictures(page):
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(image["src"].split(",")[1]))).convert("RGB"))
            for image in page.named("img")]  # fmt: skip


def test_a_run_leaves_a_report_with_everything_in_it(run):
    page = read(run / "report.html")
    words = page.words
    for expected in (
        "tiny on colored", "Finished after 6 steps.", "12 pictures to learn from, 3 to measure on (splits train, val)",
        "Loss", "Mean IoU", "Every class", "Dice", "Confusion matrix", "Best", "Worst", "Recipe", "batch_size = 6",
        f"zoo train --recipe {run}/recipe.toml --out {run}-again", "Environment", str(torch.__version__), "Whole run",
        *training_world.NAMES,
    ):  # fmt: skip
        assert expected in words, expected
    assert "To continue it" not in words
    assert sum("plot" in svg.get("class", "") for svg in page.named("svg")) == 4
    assert len(page.named("img")) == 4 * 3
    best = Course.read(run).best
    assert f"{best['miou'] * 100:.1f} %" in words


def test_the_pictures_are_those_of_the_data(run):
    """The truth in its colours, pixel for pixel; red exactly where truth and prediction differ."""
    page = read(run / "report.html")
    for tag in page.named("img"):
        assert tag["alt"]
    colors = {tuple(color): label for label, color in enumerate(training_world.COLORS)}
    data = training_world.Colored("val")
    masks = [data[index].mask.numpy() for index in range(3)]
    shown = pictures(page)
    found = []
    for truth, guess, wrong in zip(shown[1::4], shown[2::4], shown[3::4], strict=True):
        labels = np.array([[colors.get(tuple(map(int, pixel)), 255) for pixel in row] for row in truth])
        (index,) = [number for number, mask in enumerate(masks) if np.array_equal(mask, labels)]
        found.append(index)
        differ = (labels != 255) & (truth != guess).any(2)
        red = wrong.astype(int)[..., 0] - wrong[..., 1]
        if differ.any() and not differ.all():
            assert red[differ].mean() > 80 > 20 > abs(red[~differ].mean())
    assert sorted(found) == [0, 1, 2]


def test_the_evaluation_of_the_best_weights_is_kept(run):
    kept = Measured.read(run)
    best = Course.read(run).best
    assert kept.step == best["step"]
    assert kept.metrics.miou == pytest.approx(best["miou"])
    assert kept.metrics.iou == pytest.approx(best["iou"])
    assert kept.palette == training_world.COLORS
    assert len(kept.pictures) == 3
    for broken in ("", "{}", '{"step": 1}', "[1]"):
        (run / "evaluation.json").write_text(broken)
        assert Measured.read(run) is None


@pytest.mark.parametrize("moment", ["step", "evaluating"])
def test_a_run_that_is_stopped_leaves_one_too(tmp_path, moment):
    def watch(record):
        if record["kind"] == moment and record["step"] == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted):
        train(recipe("run.log_every=2"), tmp_path / "run", report=watch)
    page = read(tmp_path / "run" / "report.html")
    assert "Not finished: step 4 of 6" in page.words
    assert f"zoo train --out {tmp_path / 'run'} --resume" in page.words
    assert len(page.named("img")) == 4 * 3
    train(None, tmp_path / "run", resume=True)
    page = read(tmp_path / "run" / "report.html")
    assert "Finished after 6 steps." in page.words
    assert "Resumed once" in page.words


def test_a_run_that_is_stopped_before_its_first_evaluation(tmp_path):
    def watch(record):
        if record["kind"] == "step" and record["step"] == 1:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted):
        train(recipe(), tmp_path / "run", report=watch)
    page = read(tmp_path / "run" / "report.html")
    assert "Not finished: step 1 of 6" in page.words
    assert "No weights have been measured yet." in page.words


@pytest.mark.parametrize("trouble", [OSError(28, "No space left on device"), ValueError("a bug\nin two lines")])
def test_a_report_that_fails_is_one_warning(tmp_path, monkeypatch, trouble):
    def fail(*_, **__):
        raise trouble

    monkeypatch.setattr("zoo.report.report.write_report", fail)
    seen = []
    result = train(recipe(), tmp_path / "run", report=seen.append)
    (warning,) = [record["text"] for record in seen if record["kind"] == "warning"]
    assert "no report was written" in warning
    assert f"zoo report {result.out}" in warning
    assert len(warning.splitlines()) == 1
    assert result.steps == 6
    assert not (result.out / "report.html").exists()
    with pytest.warns(UserWarning, match="no report was written"), after.report_after(result.out):
        pass


def test_names_from_files_cannot_bring_in_html(run):
    bad = '<script>alert("x")</script>&<img src=x onerror=y>'
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for record in lines:
        for key in ("model", "data", "device", "zoo"):
            if key in record:
                record[key] = bad
        record["iou"] = {bad: 0.5} if "iou" in record else {}
    (run / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in lines))
    (run / "recipe.toml").write_text(f"# {bad}\n" + (run / "recipe.toml").read_text())
    kept = json.loads((run / "evaluation.json").read_text())
    kept["classes"][1] = bad
    (run / "evaluation.json").write_text(json.dumps(kept))
    page = read(write_report(run))
    assert page.words.count(bad) >= 5


def test_a_run_of_an_earlier_time(run):
    """Without evaluation.json, validation loss and environment: measured on demand, not by itself."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for record in lines:
        for key in ("val_loss", "train_miou", "environment", "plugins"):
            record.pop(key, None)
    (run / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in lines) + '{"kind": "tra')
    before = Measured.read(run)
    (run / "evaluation.json").unlink()
    page = read(write_report(run, measure=False))
    assert not page.named("img")
    assert "Confusion matrix" not in page.words
    assert "Every class" in page.words
    seen = []
    page = read(write_report(run, progress=lambda *done: seen.append(done)))
    assert seen[-1] == (3, 3)
    assert len(page.named("img")) == 4 * 3
    assert f"{before.metrics.mean_dice * 100:.1f} %" in page.words


def test_data_that_are_gone_or_have_changed_leave_a_note(run, monkeypatch):
    monkeypatch.setitem(training_world.Colored.sizes, "val", 2)
    page = read(write_report(run))
    assert "There are no pictures: colored/val had 3 pictures, and has 2 now" in page.words
    assert "Confusion matrix" in page.words
    text = (run / "recipe.toml").read_text()
    (run / "recipe.toml").write_text(text.replace('"colored"', '"/no/such/folder"'))
    assert "There are no pictures: " in read(write_report(run)).words
    with pytest.raises(ZooError):
        write_report(run, data="/no/such/folder")


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(RunError, match="is no run folder"):
        write_report(tmp_path)
    (tmp_path / "metrics.jsonl").write_text("half a li")
    with pytest.raises(RunError, match="holds no run yet"):
        write_report(tmp_path)


def test_which_pictures_are_shown():
    scores = [0.5, None, 0.9, 0.1, 0.7, 0.3, 0.8, 0.2]
    assert choose(scores, 1) == [("Best", 2), ("Median", 0), ("Worst", 3)]
    both = [("Best", 2), ("Best", 6), ("Median", 4), ("Median", 0), ("Worst", 7), ("Worst", 3)]
    assert choose(scores, 2) == both
    assert [index for _, index in choose([0.2, 0.4], 2)] == [1, 0]
    assert choose([None, None], 2) == []


def test_errors_are_red_and_void_is_grey():
    photo = np.full((1, 3, 3), 100, np.uint8)
    shown = error(photo, np.array([[1, 2, 255]]), np.array([[1, 1, 1]])).astype(int)
    assert shown[0, 0].tolist() == [180, 180, 180]
    assert shown[0, 1, 0] - shown[0, 1, 1] > 100
    assert len({*shown[0, 2]} - {198, 202, 208}) == 0


def test_a_run_that_diverged_leaves_a_report_that_says_why(tmp_path):
    with pytest.raises(RunError, match="the loss is") as caught:
        train(recipe("optim.name=sgd", "optim.lr=1e30", "schedule.warmup=0", "run.eval_every=6"), tmp_path / "run")
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Stopped:" in page
    assert html.escape(str(caught.value)) in page
    log = read_log(tmp_path / "run" / "metrics.jsonl")
    assert (log[-1]["kind"], log[-1]["why"]) == ("stop", str(caught.value))


def test_a_run_in_stages_has_one_page_over_all(tmp_path):
    tables = {"model": {"name": "tiny"}, "data": {"name": "colored", "batch_size": 6, "crop": 16, "workers": 0},
              "run": {"steps": 2, "log_every": 1}, "stage": [{"name": "one"}, {"name": "two"}]}  # fmt: skip
    train_stages(tables, tmp_path / "run")
    page = (tmp_path / "run" / "report.html").read_text()
    for stage in ("one", "two"):
        assert f'href="{stage}/report.html"' in page
        assert (tmp_path / "run" / stage / "report.html").is_file()
    assert [re.findall(rf"<title>{stage}: .* at (\d+)</title>", page)[-1] for stage in ("one", "two")] == ["2", "4"]
    (tmp_path / "run" / "report.html").unlink()
    done = CliRunner().invoke(cli, ["report", str(tmp_path / "run")])
    assert done.output.splitlines()[-1] == str(tmp_path / "run" / "report.html")
    assert (tmp_path / "run" / "report.html").read_text() == page
    log = tmp_path / "run" / "two" / "metrics.jsonl"
    log.write_text(re.sub(r'"plugins": \[.*?\]', '"plugins": ["my world.py"]', log.read_text()))
    words = read(write_stages_report(tmp_path / "run")).words
    assert f"zoo --plugin 'my world.py' train --recipe {tmp_path}/run/recipe.toml" in words
