"""The shipped recipes in stages, end to end on a small VOC tree, with narrower nets and a few steps."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from data_folders import save
from safetensors.torch import load_file

from zoo.errors import DataError
from zoo.training import recipe as recipes
from zoo.training import shelf
from zoo.training.log import read_log
from zoo.training.staged import train_stages

NARROW = "{width=0.0625, classifier_channels=8}"
DECONVNET = (
    "model.name=deconvnet@vgg11_bn",
    f"model.options={NARROW}",
    "data.augment=[{name='resize', size=[36, 36]}, {name='crop', size=[32, 32]}, {name='mirror'}]",
    "data.crop=32",
    "data.batch_size=2",
    "run.accumulate=2",
)
FCN = tuple(
    part
    for stage in ("32s", "16s", "8s")
    for part in (f"stage.{stage}.model.name=fcn{stage}@vgg11", f"stage.{stage}.model.options={NARROW}")
)
RECIPES = {"deconvnet_voc": (DECONVNET, ("objects", "proposals")), "fcn8s_staged": (FCN, ("32s", "16s", "8s"))}


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    """Six pictures, 48 × 40, each with two touching persons and a car; the last two are for validation."""
    tree = tmp_path / "VOC2012"
    names = [f"2007_00000{number}" for number in range(6)]
    for number, name in enumerate(names):
        labels = np.zeros((40, 48), dtype=np.uint8)
        labels[4 + number : 24, 6:30] = 15
        labels[26:38, 20 : 40 + number] = 7
        instances = np.select([labels == 7, labels == 15], [3, 1 + (np.arange(48) >= 18)[None].repeat(40, 0)], 0)
        labels[0], instances[0] = 255, 255
        picture = np.random.default_rng(number).integers(0, 60, (40, 48, 3)) + 9 * np.minimum(labels, 20)[..., None]
        save(picture.astype(np.uint8), tree / "JPEGImages" / f"{name}.jpg")
        save(labels, tree / "SegmentationClass" / f"{name}.png")
        save(instances.astype(np.uint8), tree / "SegmentationObject" / f"{name}.png")
    lists = tree / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("\n".join(names[:4]))
    (lists / "val.txt").write_text("\n".join(names[4:]))
    return tmp_path


def tables(name: str, data: Path, *more: str) -> recipes.Tables:
    made = recipes.read(shelf.find_recipe(name))
    stages = [f"stage.{stage}.run.steps=2" for stage in RECIPES[name][1]]
    given = [f"data.name={data}", "data.workers=0", "run.eval_every=2", "run.log_every=1", *stages, *RECIPES[name][0]]
    for option in (*given, *more):
        made = recipes.override(made, option)
    return made


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_a_staged_recipe_runs_and_goes_on_within_a_stage(name, voc, tmp_path):
    given = tables(name, voc)
    result = train_stages(given, tmp_path / "straight")
    first, *later = RECIPES[name][1]
    assert (result.steps, result.out) == (2, tmp_path / "straight")
    for before, stage in zip((first, *later), later, strict=False):
        used = recipes.load(tmp_path / "straight" / stage / "recipe.toml")
        assert used.model.weights == f"stage:{before}/last"

    def stop(record):
        if record["kind"] == "stage":
            stop.stage = record["name"]
        if record["kind"] == "step" and (stop.stage, record["step"]) == (later[0], 1):
            raise OSError("the power is gone")

    with pytest.raises(OSError, match="the power is gone"):
        train_stages(given, tmp_path / "stopped", report=stop)
    train_stages(given, tmp_path / "stopped", resume=True)
    for file in ("best.safetensors", "last.safetensors"):
        one, other = (load_file(tmp_path / run / file) for run in ("straight", "stopped"))
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.slow
def test_deconvnet_learns_from_objects_and_then_from_proposals(voc, tmp_path):
    train_stages(tables("deconvnet_voc", voc), tmp_path / "run")
    counts = {
        stage: read_log(tmp_path / "run" / stage / "metrics.jsonl")[0]["train_images"]
        for stage in ("objects", "proposals")
    }
    assert counts["objects"] == 4 * 3  # two persons, told apart by SegmentationObject, and a car
    assert counts["proposals"] > 4


def test_what_a_later_stage_lacks_is_said_before_the_first(voc, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2.ximgproc", None)
    given = tables("deconvnet_voc", voc, "stage.proposals.data.proposals=selective_search")
    with pytest.raises(DataError, match="selective search needs OpenCV"):
        train_stages(given, tmp_path / "run")
    assert not (tmp_path / "run").exists()
