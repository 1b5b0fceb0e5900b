import json
import os

import numpy as np
import pytest
from click.testing import CliRunner
from color_world import COLORS, NAMES, color_model, color_net, scene
from PIL import Image

import zoo
from zoo.cli import cli
from zoo.data.images import read_mask
from zoo.registry import forget, register, registering_as


@pytest.fixture
def _color_net():
    with registering_as("colors"):
        register("model", "color_net")(color_net)
    yield
    forget("colors")


@pytest.fixture
def home(tmp_path, monkeypatch, _color_net):
    """A checkpoint and three pictures, one of them in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    zoo.save(color_model(), "model.safetensors")
    for place, seed, size in [("in/a.png", 0, (6, 9)), ("in/b.tif", 1, (4, 4)), ("in/sub/a.bmp", 2, (3, 5))]:
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(scene(size, seed)[0]).save(tmp_path / place)
    return tmp_path


def run(*args):
    result = CliRunner().invoke(cli, ["predict", "model.safetensors", *map(str, args)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_one_picture(home):
    result = run("in/a.png", "--out", "out")
    assert result.exit_code == 0, result.stderr
    assert files(home / "out") == ["a.png", "a_overlay.png"]
    assert np.array_equal(read_mask("out/a.png"), scene((6, 9), 0)[1])
    with Image.open("out/a.png") as labels, Image.open("out/a_overlay.png") as overlay:
        assert labels.mode == "P"
        assert labels.getpalette()[:15] == [value for color in COLORS for value in color]
        assert labels.size == overlay.size == (9, 6)
        expected = zoo.load("model.safetensors").predict("in/a.png").overlay()
        assert np.array_equal(np.array(overlay), np.array(expected))
    first, last = result.stdout.splitlines()
    assert first.startswith("in/a.png: ")
    assert any(name in first for name in NAMES)
    assert last == "1 picture in out"
    assert result.stderr == ""


def test_a_folder_keeps_its_folders(home):
    result = run("in", "--out", "deep/out")
    assert result.exit_code == 0, result.stderr
    assert files(home / "deep/out") == [
        *("a.png", "a_overlay.png", "b.png", "b_overlay.png"),
        *("sub/a.png", "sub/a_overlay.png"),
    ]
    assert np.array_equal(read_mask("deep/out/sub/a.png"), scene((3, 5), 2)[1])
    assert result.stdout.splitlines()[-1] == "3 pictures in deep/out"


def test_json(home):
    result = run("in", "--out", "out", "--json")
    assert result.exit_code == 0
    record = json.loads(result.stdout)
    assert record["failed"] == []
    assert [entry["picture"] for entry in record["pictures"]] == ["in/a.png", "in/b.tif", "in/sub/a.bmp"]
    entry = record["pictures"][0]
    assert (entry["height"], entry["width"], entry["labels"]) == (6, 9, "out/a.png")
    labels = scene((6, 9), 0)[1]
    assert entry["area"] == {name: float((labels == k).mean()) for k, name in enumerate(NAMES)}


def test_bad_files_have_a_line_each_and_the_others_are_done(home):
    (home / "in/broken.jpg").write_bytes((home / "in/a.png").read_bytes()[:60])
    (home / "in/text.jpg").write_text("not a picture")
    (home / "in/empty.png").touch()
    result = run("in", "gone.jpg", "--out", "out")
    assert result.exit_code == 1
    errors = result.stderr.splitlines()
    assert len(errors) == 4
    for name in ("in/broken.jpg", "in/text.jpg", "in/empty.png", "gone.jpg"):
        assert sum(name in line and line.startswith("Error: ") for line in errors) == 1
    assert len(files(home / "out")) == 6
    assert result.stdout.splitlines()[-1] == "3 pictures in out, 4 failed"
    again = run("in/text.jpg", "in/b.tif", "--out", "again", "--json")
    assert again.exit_code == 1
    record = json.loads(again.stdout)
    assert [entry["picture"] for entry in record["failed"]] == ["in/text.jpg"]
    assert len(record["pictures"]) == 1


def test_nothing_is_replaced_without_force(home):
    assert run("in/a.png", "--out", "out").exit_code == 0
    before = os.stat("out/a.png").st_mtime_ns
    result = run("in", "--out", "out")
    assert result.exit_code == 1
    assert "--force" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert files(home / "out") == ["a.png", "a_overlay.png"]
    assert os.stat("out/a.png").st_mtime_ns == before
    assert run("in", "--out", "out", "--force").exit_code == 0
    assert len(files(home / "out")) == 6


def test_alpha(home):
    assert run("in/a.png", "--out", "out", "--alpha", 0).exit_code == 0
    with Image.open("out/a_overlay.png") as overlay, Image.open("in/a.png") as picture:
        assert np.array_equal(np.array(overlay), np.array(picture))
    assert run("in/b.tif", "--out", "out", "--alpha", 2).exit_code == 2


@pytest.mark.parametrize("kind", ["grey", "alpha", "sixteen", "cmyk", "palette", "turned"])
def test_pictures_of_every_kind(home, kind):
    picture = Image.fromarray(scene((6, 9), 0)[0])
    path, size = f"{kind}.png", (9, 6)
    match kind:
        case "grey":
            picture.convert("L").save(path)
        case "alpha":
            picture.convert("RGBA").save(path)
        case "sixteen":
            Image.fromarray(np.arange(54, dtype=np.uint16).reshape(6, 9) * 1000).save(path)
        case "cmyk":
            path = "cmyk.tif"
            picture.convert("CMYK").save(path)
        case "palette":
            picture.convert("P").save(path)
        case "turned":
            exif, path, size = Image.Exif(), "turned.jpg", (6, 9)
            exif[0x0112] = 6
            picture.save(path, exif=exif)
    result = run(path, "--out", "out")
    assert result.exit_code == 0, result.stderr
    with Image.open(f"out/{kind}.png") as labels:
        assert labels.size == size


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["in/a.png", "--out", "model.safetensors"], ["model.safetensors is a file"]),
        (["in/a.png", "--out", "model.safetensors/deep"], ["model.safetensors is a file"]),
        (["in/a.png", "--out", "in"], ["in/a.png"]),
        (["in/a.png", "in/sub/a.bmp", "--out", "out"], ["both become out/a.png"]),
        (["in/a.png", "--out", "out", "--device", "tpu9"], ["tpu9"]),
    ],
)
def test_what_cannot_be_done_is_one_line(home, arguments, words):
    before = files(home)
    result = run(*arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert all(word in result.stderr for word in words)
    assert files(home) == before


def test_checkpoints_that_are_none(home):
    whole = (home / "model.safetensors").read_bytes()
    for content in (whole[:-4], b"", b"text"):
        (home / "model.safetensors").write_bytes(content)
        result = run("in/a.png", "--out", "out")
        assert result.exit_code == 1
        assert "model.safetensors" in result.stderr
        assert len(result.stderr.splitlines()) == 1
        assert not (home / "out").exists()


def test_only_pictures_that_are_not_there(home):
    result = run("gone.png", "--out", "out")
    assert result.exit_code == 1
    assert "gone.png: no such file" in result.stderr
    assert run("--out", "out").exit_code == 2


def test_results_have_a_folder_of_their_own_where_none_is_given(home):
    assert run("in").exit_code == 0
    assert list((home / "predicted").glob("*_overlay.png"))
