import csv
import io
import json

import pytest
from click.testing import CliRunner
from page_reader import Page

from zoo.cli import cli

START = {
    "kind": "start", "step": 0, "steps": 40, "model": "unet", "parameters": 1_234_567, "data": "camvid",
    "batch_size": 8, "train_images": 30,
}  # fmt: skip


def make(folder, *, miou=0.5, lr=0.1, old=False, end=True, **opening):
    """A run folder by hand: four train records, two evaluations of which the first is the best."""
    folder.mkdir(parents=True)
    records = [START | opening]
    for step in (10, 20, 30, 40):
        train = {"kind": "train", "step": step, "loss": 2 / step + lr, "lr": lr, "images_per_second": 16.0}
        records.append(train)
        if step % 20 == 0:
            score = miou if step == 20 else miou - 0.1
            found = {"kind": "eval", "step": step, "miou": score, "iou": {"sky": score, "sea": None}, "seconds": 1.0}
            new = {} if old else {"val_loss": 1 - score, "train_miou": score + 0.1}
            records.append(found | new | {"best": step == 20})
    if end:
        records.append({"kind": "end", "step": 40, "seconds": 75.0, "images_per_second": 15.5})
    (folder / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    (folder / "recipe.toml").write_text(f'[data]\nname = "camvid"\ntrain = "train"\nval = "val"\n[optim]\nlr = {lr}\n')
    return folder


@pytest.fixture
def runs(tmp_path):
    first = make(tmp_path / "first")
    (first / "test.json").write_text('{"miou": 0.45, "split": "test"}')
    return first, make(tmp_path / "second", miou=0.4, lr=0.2, old=True, end=False)


def run(*args):
    result = CliRunner().invoke(cli, ["compare", *map(str, args)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_text(runs):
    lines = run(*runs).stdout.splitlines()
    assert lines[0].split("  ")[0] == "run"
    assert " ".join(lines[1].split()) == "first unet 0.1500 0.6000 50.0 40.0 50.0 45.0 1.23 M 1 min 15 s"
    assert " ".join(lines[2].split()) == "second unet 0.2500 – – 30.0 40.0 – 1.23 M 22 s"
    assert lines[3] == "Note: second is not finished: step 40 of 40"
    assert len({len(line) for line in lines[:3]}) == 1  # aligned to the right


def test_markdown(runs):
    lines = run(*runs, "--format", "markdown").stdout.splitlines()
    assert lines[0].startswith("| run | model | train loss |")
    assert lines[1] == "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    assert "| second | unet | 0.2500 | – | – | 30.0 | 40.0 | – | 1.23 M | 22 s |" in lines
    assert len({line.count("|") for line in lines[:4]}) == 1


def test_csv_has_whole_numbers_and_empty_cells(runs, tmp_path):
    out = tmp_path / "table.csv"
    assert run(*runs, "--out", out).stdout == f"{out}\n"
    first, second = csv.DictReader(io.StringIO(out.read_text()))
    assert float(first["train_loss"]) == pytest.approx(0.15)
    assert {key: float(first[key]) for key in ("valid_loss", "best_miou", "test_miou", "seconds")} == pytest.approx(
        {"valid_loss": 0.6, "best_miou": 0.5, "test_miou": 0.45, "seconds": 75}
    )
    assert (second["valid_loss"], second["test_miou"], second["parameters"]) == ("", "", "1234567")


def test_html(runs, tmp_path):
    out = tmp_path / "table.html"
    run(*runs, "--out", out)
    page = Page(out.read_text())
    page.check_self_contained()
    for words in ("first", "second", "0.1500", "45.0", "optim.lr 0.1 0.2", "Validation mIoU", "IoU of every class"):
        assert words in page.words
    lines = page.named("polyline")
    assert len(lines) == 2 + 1 + 1 + 2  # an old run has neither validation loss nor training mIoU
    assert len({line["style"] for line in lines}) == 2  # one colour per run, the same in every chart


def test_names_that_would_be_markup(tmp_path):
    bad = make(tmp_path / "a|b<i>*c*", model="<script>x</script>|y")
    row = run(bad, "--format", "markdown").stdout.splitlines()[2]
    assert row.count(" | ") == 9
    assert "<" not in row
    page = Page(run(bad, "--format", "html").stdout)
    page.check_self_contained()
    assert "<script>x</script>|y" in page.words


def test_runs_of_one_name_go_by_their_paths(tmp_path):
    paths = make(tmp_path / "a" / "run"), make(tmp_path / "b" / "run")
    lines = run(*paths).stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [str(path) for path in paths]


def test_other_data_is_a_note(tmp_path):
    text = run(make(tmp_path / "a"), make(tmp_path / "b", data="voc2012")).stdout
    assert "Note: not the same data: camvid train val; voc2012 train val" in text


def test_the_stages_of_a_run_are_rows(tmp_path):
    (tmp_path / "staged").mkdir()
    stages = '[[stage]]\nname = "32s"\n[[stage]]\nname = "16s"\n[[stage]]\nname = "8s"\n'
    (tmp_path / "staged" / "recipe.toml").write_text(stages)  # it says the order: files may have been copied
    make(tmp_path / "staged" / "16s")
    make(tmp_path / "staged" / "32s")
    lines = run(tmp_path / "staged").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["run", "32s", "16s"]


def test_what_cannot_be_compared(tmp_path, runs):
    for args, words in (
        ([tmp_path / "none"], "is no run folder"),
        ([runs[0], tmp_path], "is no run folder"),
        ([runs[0], "--out", tmp_path / "no" / "table.md"], "cannot write"),
    ):
        result = run(*args)
        assert result.exit_code == 1
        assert words in result.stderr
        assert len(result.stderr.splitlines()) == 1
    (runs[0] / "test.json").write_text("half a")
    assert "test.json is not what" in run(runs[0]).stderr
    assert run().exit_code == 2
