"""Pipelines wherever a command takes a model."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from color_world import COLORS, NAMES, color_model, color_net, scene
from PIL import Image

import zoo
from zoo.cli import cli
from zoo.data.images import read_mask
from zoo.registry import forget, register, registering_as

PAIR = """
[pipeline]
name = "pair"
summary = "Two of a kind"

[[model]]
name = "one"
weights = "model.safetensors"

[[model]]
name = "other"
weights = "turned.safetensors"
test_time = { mirror = true }
"""

BOXED = """
[pipeline]
name = "boxed"

[[model]]
name = "one"
weights = "model.safetensors"
proposals = { source = "windows", side = 32, least = 2, most = 0 }
"""


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Weights, pipelines, and pictures with masks."""
    monkeypatch.chdir(tmp_path)
    with registering_as("colors"):
        register("model", "color_net")(color_net)
    zoo.save(color_model(), "model.safetensors")
    zoo.save(color_model(COLORS[::-1], NAMES[::-1], COLORS[::-1]), "turned.safetensors")
    (tmp_path / "pair.toml").write_text(PAIR)
    (tmp_path / "boxed.toml").write_text(BOXED)
    for folder in ("images", "masks"):
        (tmp_path / "data" / folder / "val").mkdir(parents=True)
    table = {"classes": list(NAMES), "palette": [list(color) for color in COLORS]}
    (tmp_path / "data" / "data.toml").write_text(
        "\n".join(f"{key} = {json.dumps(value)}" for key, value in table.items())
    )
    for number in range(2):
        photo, labels = scene((8, 12), number)
        Image.fromarray(photo).save(tmp_path / f"data/images/val/{number}.png")
        Image.fromarray(labels.astype(np.uint8)).save(tmp_path / f"data/masks/val/{number}.png")
    yield tmp_path
    forget("colors")


def run(*args, code=0):
    result = CliRunner().invoke(cli, list(map(str, args)))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, (result.stdout, result.stderr)
    return result


def refused(*args):
    result = run(*args, code=1)
    assert len(result.stderr.strip().splitlines()) == 1
    return result.stderr


def test_predict(home):
    run("predict", "pair.toml", "data/images/val/0.png", "--out", "seen")
    assert np.array_equal(read_mask("seen/0.png"), scene((8, 12), 0)[1])
    again = run("predict", "pair.toml", "data/images/val", "--out", "seen", "--continue")
    assert "2 pictures (1 before) in seen" in again.stdout


def test_eval_states_how_it_was_asked(home):
    found = json.loads(run("eval", "pair.toml", "--data", "data", "--protocol", "--json").stdout)
    assert found["miou"] == 1
    assert found["pipeline"]["model"][1]["test_time"] == {"mirror": True}
    for text in (found["pipeline"]["protocol"], found["protocol"]["counting"]):
        assert "one (one scale; not mirrored); other (one scale; mirrored too" in text
        assert "mean of their probabilities" in text
    shown = run("eval", "pair.toml", "--data", "data", "--scales", "1,2").stdout
    assert "pair on data/val: 2 pictures" in shown
    assert "mean of their probabilities" in shown
    assert "scales 1, 2" in shown


def test_eval_of_a_plain_model_says_nothing_of_pipelines(home):
    found = json.loads(run("eval", "model.safetensors", "--data", "data", "--protocol", "--json").stdout)
    assert "pipeline" not in found
    assert found["protocol"]["counting"].count("one scale; not mirrored") == 1


def test_other_weights(home):
    zoo.save(color_model(COLORS, NAMES[1:] + NAMES[:1], COLORS), "wrong.safetensors")
    args = ("eval", "pair.toml", "--data", "data", "--json", "--weights")
    found = json.loads(run(*args, "one=wrong.safetensors", "--weights", "other=wrong.safetensors").stdout)
    assert found["miou"] < 0.5
    assert "expected MODEL=FILE" in refused(*args, "wrong.safetensors")
    assert "It has one, other" in refused(*args, "third=wrong.safetensors")
    assert "model 'one': " in refused(*args, "one=gone.safetensors")
    plain = refused("eval", "model.safetensors", "--data", "data", "--weights", "one=wrong.safetensors")
    assert "model.safetensors is no pipeline" in plain


def test_boxes_from_a_file(home):
    (home / "boxes.json").write_text(json.dumps({"0": [[0, 0, 12, 8]], "1.png": [[2, 1, 9, 7]]}))
    found = json.loads(run("eval", "boxed.toml", "--data", "data", "--boxes", "boxes.json", "--json").stdout)
    assert "boxes of boxes.json" in found["pipeline"]["protocol"]
    run("predict", "boxed.toml", "data/images/val", "--boxes", "boxes.json", "--out", "seen")
    assert read_mask("seen/0.png").max() > 0
    (home / "boxes.json").write_text(json.dumps({"0": [[0, 0, 12, 8]]}))
    message = refused("eval", "boxed.toml", "--data", "data", "--boxes", "boxes.json")
    assert "boxes.json has no boxes of" in message
    assert "1.png" in message


def test_list_and_info(home):
    listed = run("list", "--kind", "pipeline").stdout
    for name in ("deconvnet_crf", "deconvnet_proposals", "deeplab_largefov_crf", "edeconvnet", "edeconvnet_crf"):
        assert f"{name} " in listed
    named = json.loads(run("info", "edeconvnet_crf", "--json").stdout)
    assert (named["kind"], named["combine"], named["crf"]["preset"]) == ("pipeline", "product", "deconvnet")
    assert [entry["weights"] for entry in named["models"]] == ["deconvnet_vgg16.voc", "fcn8s_vgg16.voc2015"]
    shown = run("info", "pair.toml").stdout
    assert "Two of a kind" in shown
    assert "mirrored too" in shown
    assert "there is no pipeline file" in refused("info", "gone.toml")
    assert "--build is for models" in refused("info", "pair.toml", "--build")


def test_a_name_that_is_nearly_one(home):
    message = refused("predict", "edeconvnet_crff", "data/images/val/0.png", "--out", "seen")
    assert "Did you mean 'edeconvnet_crf'" in message
    assert "there is no weight file" in refused("eval", "gone.safetensors", "--data", "data")


def test_models_of_a_pipeline_made_faster(home):
    found = json.loads(run("eval", "pair.toml", "--data", "data", "--backend", "eager", "--json").stdout)
    assert found["miou"] == 1
