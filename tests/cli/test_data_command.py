"""``zoo data check`` at the command line."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from data_folders import mask, save, simple

from zoo.cli import cli


def run(*args):
    return CliRunner().invoke(cli, [str(arg) for arg in args])


@pytest.fixture
def data(tmp_path):
    return simple(tmp_path / "data")


def test_a_clean_folder(data):
    done = run("data", "check", data)
    assert done.exit_code == 0
    assert "No problems." in done.stdout
    assert "class 2" in done.stdout


def test_a_problem_is_exit_code_1(data):
    save(mask((0, 1), height=5), data / "masks" / "p03.png")
    done = run("data", "check", data)
    assert done.exit_code == 1
    assert "p03" in done.stdout
    found = run("data", "check", data, "--json")
    assert found.exit_code == 1
    record = json.loads(found.stdout)
    assert not record["ok"]
    assert record["problems"][0]["kind"] == "sizes"


def test_json_of_one_split(data):
    record = json.loads(run("data", "check", data, "--split", "val", "--json").stdout)
    assert record["ok"]
    assert [*record["splits"]] == ["val"]
    assert record["splits"]["val"]["sizes"] == [{"height": 12, "width": 16, "images": 2}]


def test_writes_a_description_and_a_sheet(tmp_path):
    root = simple(tmp_path / "cells", labels=(0, 255))
    done = run("data", "check", root, "--write-data-toml", "--sheet", tmp_path / "sheet.png")
    assert done.exit_code == 1
    assert "values = {0 = 0, 255 = 1}" in (root / "data.toml").read_text()
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")
    assert run("data", "check", root).exit_code == 0
    again = run("data", "check", root, "--write-data-toml")
    assert again.exit_code == 1
    assert "is there already" in again.stderr


def test_values_are_given_as_for_training(tmp_path):
    root = simple(tmp_path / "cells", labels=(0, 255))
    assert run("data", "check", root).exit_code == 1
    assert run("data", "check", root, "-o", "data.values={0=0,255=1}").exit_code == 0
    assert "data.values" in run("data", "check", root, "-o", "optim.lr=1").stderr


def test_what_is_not_there(tmp_path, data):
    assert "no folder" in run("data", "check", "no_such_thing").stderr
    assert "there is no folder" in run("data", "check", data, "--sheet", tmp_path / "no" / "s.png").stderr
    assert "Did you mean 'check'" in run("data", "chek", data).stderr


def test_training_refuses_unless_told_otherwise(tmp_path, data):
    (data / "images" / "p00.png").write_bytes((data / "images" / "p01.png").read_bytes())
    (data / "train.txt").write_text("p01\np02\np03\n")
    (data / "val.txt").write_text("p00\np04\n")
    args = ["train", "unet_l4", "--data", data, "--out", tmp_path / "run", "--steps", 1]
    args += ["-o", "data.batch_size=1", "-o", "data.crop=16", "-o", "data.workers=0"]
    refused = run(*args)
    assert refused.exit_code == 1
    assert "1 picture of split val also in train" in refused.stderr
    assert not (tmp_path / "run").exists()
    assert run(*args, "-o", "data.check=false").exit_code == 0


def test_help_is_light(zoo_command):
    done = zoo_command("data", "check", "--help", flags=["-X", "importtime"])
    assert not {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()} & {"torch", "numpy", "PIL"}


def test_training_on_crops_with_augmentations_by_name(tmp_path):
    root = tmp_path / "data"
    for number in range(4):
        labels = np.zeros((40, 48), np.uint8)
        labels[4:24, 6 + number : 30] = 1
        save(np.random.default_rng(number).integers(0, 255, (40, 48, 3), dtype=np.uint8), root / f"images/{number}.png")
        save(labels, root / "masks" / f"{number}.png")
    steps = '[{name = "resize", size = [36, 36]}, {name = "rotate"}, {name = "crop", size = [32, 32]}]'
    for kind in ("objects", "proposals"):
        args = ["train", "unet_l4", "--data", root, "--out", tmp_path / kind, "--steps", 1, "-o", "data.batch_size=2"]
        args += ["-o", f"data.crops={kind}", "-o", f"data.augment={steps}", "-o", "data.workers=0"]
        done = run(*args)
        assert done.exit_code == 0, done.output
        assert 'name = "rotate"' in (tmp_path / kind / "recipe.toml").read_text()
    wrong = run(*args[:4], "--out", tmp_path / "wrong", "-o", 'data.augment=[{name = "mirorr"}]')
    assert wrong.exit_code == 1
    assert "Did you mean 'mirror'" in wrong.stderr
