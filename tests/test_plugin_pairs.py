"""Encoders and decoders of plugins that know nothing of each other, on the command line: built-in ones and theirs."""

import json

import pytest
from plugin_world import write_plugin

import zoo
from zoo.data import shapes
from zoo.testing.located import located

pytestmark = pytest.mark.usefixtures("fresh_registry")


@pytest.fixture
def trunk(tmp_path):
    """The encoder of one plugin."""
    project = write_plugin(tmp_path, "encoder")
    with located(str(project)):
        yield f"{project.name.removeprefix('zoo-')}/trunk"


@pytest.fixture
def merge(tmp_path, trunk):
    """The decoder of another, as an architecture; it needs taps at strides 4, 8 and 16."""
    project = write_plugin(tmp_path, "decoder")
    with located(str(project)):
        yield f"{project.name.removeprefix('zoo-')}/merge"


@pytest.mark.parametrize(
    "pair",
    ["deeplabv3@TRUNK", "MERGE@test_resnet", "MERGE@TRUNK"],
    ids=["built-in decoder", "built-in encoder", "neither"],
)
def test_a_pair_is_trained_and_its_file_names_both(pair, trunk, merge, zoo_here, tmp_path, monkeypatch):
    monkeypatch.setitem(shapes.SPLITS, "train", 4)
    monkeypatch.setitem(shapes.SPLITS, "val", 2)
    name = pair.replace("TRUNK", trunk).replace("MERGE", merge)
    train = ["train", name, "--data", "shapes", "--steps", 1, "--out", "run", "-o", "data.batch_size=2"]
    zoo_here(*train, "-o", "data.workers=0", "-o", "data.crop=64")
    config = zoo.load(tmp_path / "run" / "best.safetensors").config
    assert f"{config.architecture}@{config.encoder}" == name


def test_what_does_not_fit_is_said_before_anything_is_built(trunk, merge, zoo_here):
    fitting = [
        spec["name"] for spec in json.loads(zoo_here("list", "--kind", "encoder", "--for", merge, "--json").stdout)
    ]
    assert {trunk, "resnet18"} <= set(fitting)
    assert "convmixer_768_32" not in fitting
    refused = {f"{merge}@convmixer_768_32": "a tap at stride 4", f"deconvnet@{trunk}": "the switches of pool"}
    for pair, said in refused.items():
        done = zoo_here("train", pair, "--data", "shapes", "--steps", 1, "--out", "run", code=1)
        assert said in done.stderr
        assert len(done.stderr.splitlines()) == 1
