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


def snapshot(folder):
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*") if path.is_file()}


def test_interrupted_work_goes_on(home):
    assert run("in/a.png", "--out", "out").exit_code == 0
    before = snapshot(home / "out")
    result = run("in", "--out", "out", "--continue", "--json")
    assert result.exit_code == 0, result.stderr
    record = json.loads(result.stdout)
    assert [entry["picture"] for entry in record["pictures"]] == ["in/a.png", "in/b.tif", "in/sub/a.bmp"]
    labels = scene((6, 9), 0)[1]
    assert record["pictures"][0]["area"] == {name: float((labels == k).mean()) for k, name in enumerate(NAMES)}
    after = snapshot(home / "out")
    assert before.items() <= after.items()
    assert len(after) == 6
    assert run("in", "--out", "out", "--continue").stdout.splitlines()[-1] == "3 pictures (3 before) in out"
    assert snapshot(home / "out") == after


@pytest.mark.parametrize("change", ["option", "picture", "model", "overlay", "labels"])
def test_what_was_made_otherwise_is_not_skipped(home, change):
    assert run("in/a.png", "--out", "out").exit_code == 0
    extra = []
    match change:
        case "option":
            extra = ["--mirror"]
        case "picture":
            Image.fromarray(scene((6, 9), 5)[0]).save("in/a.png")
        case "model":
            model = color_model()
            model.head.score.bias.data[0] -= 0.5
            zoo.save(model, "model.safetensors")
        case "overlay":
            os.remove("out/a_overlay.png")
        case "labels":
            with open("out/a.png", "r+b") as file:
                file.truncate(40)
    before = snapshot(home / "out")
    result = run("in/a.png", "--out", "out", "--continue", *extra)
    assert result.exit_code == 1
    assert "--force" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert snapshot(home / "out") == before
    result = run("in/a.png", "--out", "out", "--continue", "--force", *extra)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == "1 picture in out"
    assert files(home / "out") == ["a.png", "a_overlay.png"]


def test_ctrl_c_leaves_whole_files_and_says_how_to_go_on(home, monkeypatch):
    import zoo.inference.batch

    original, calls = zoo.inference.batch.predict, []

    def stop_at_the_second(*args, **kwargs):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(*args, **kwargs)

    monkeypatch.setattr(zoo.inference.batch, "predict", stop_at_the_second)
    result = run("in", "--out", "out")
    assert result.exit_code == 130
    assert result.stderr.splitlines() == [
        "stopped: 1 of 3 pictures are done. Go on with the same command and --continue."
    ]
    assert files(home / "out") == ["a.png", "a_overlay.png"]
    result = run("in", "--out", "out", "--continue")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == "3 pictures (1 before) in out"


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("in/*", ["a.png", "b.png"]),
        ("in/**/*.*", ["a.png", "b.png", "sub/a.png"]),
        ("in/*/a.*", ["sub/a.png"]),
        ("*/b.t?f", ["in/b.png"]),
    ],
)
def test_patterns(home, pattern, expected):
    result = run(pattern, "--out", "out")
    assert result.exit_code == 0, result.stderr
    assert [name for name in files(home / "out") if "_overlay" not in name] == expected


def test_a_pattern_without_pictures(home):
    result = run("in/*.jpg", "--out", "out")
    assert result.exit_code == 1
    assert result.stderr.splitlines() == ["Error: in/*.jpg: no picture matches"]


def test_probabilities_and_polygons(home):
    assert run("in", "--out", "out", "--probabilities", "--polygons").exit_code == 0
    kinds = [".csv", ".geojson", ".npz", ".png", "_overlay.png"]
    assert files(home / "out") == sorted(f"{name}{kind}" for name in ("a", "b", "sub/a") for kind in kinds)
    labels = scene((6, 9), 0)[1]
    with np.load("out/a.npz") as packed:
        assert packed["probabilities"].shape == (5, 6, 9)
        assert packed["probabilities"].dtype == np.float16
        assert np.array_equal(packed["probabilities"].argmax(0), labels)
        assert np.allclose(packed["probabilities"].astype(float).sum(0), 1, atol=2e-3)
        assert packed["classes"].tolist() == list(NAMES)
    regions = json.loads((home / "out/a.geojson").read_text())
    assert regions["picture"] == "in/a.png"
    header, *rows = (home / "out/a.csv").read_text().splitlines()
    assert header == "label,class,pixels,share,regions"
    for label, row in enumerate(rows):
        number, name, pixels, share, count = row.split(",")
        mine = [region for region in regions["features"] if region["properties"]["class"] == name]
        assert (int(number), name, int(count)) == (label, NAMES[label], len(mine))
        assert int(pixels) == (labels == label).sum() == sum(region["properties"]["pixels"] for region in mine)
        assert float(share) == pytest.approx((labels == label).mean(), abs=1e-6)


def test_contact_sheet(home):
    result = run("in", "--out", "out", "--sheet")
    assert result.exit_code == 0, result.stderr
    with Image.open("out/contact_sheet.png") as sheet:
        assert sheet.mode == "RGB"
        colors = {color for _, color in sheet.getcolors(1 << 20)}
    assert set(COLORS) <= colors  # the legend
    before = snapshot(home / "out")
    assert run("in/b.tif", "--out", "out", "--sheet").exit_code == 1
    assert snapshot(home / "out") == before
    Image.fromarray(scene((3, 3), 0)[0]).save("contact_sheet.jpg")
    assert "contact_sheet" in run("contact_sheet.jpg", "--out", "other", "--sheet").stderr


@pytest.mark.parametrize(
    "options",
    [
        ["--tile", 4, "--overlap", 1],
        ["--mirror", "--scales", "1,2"],
        ["--window", "3x4"],
        ["--window", 5],
        ["--tile", "none"],
    ],
)
def test_other_ways_of_asking_give_the_same_where_single_pixels_decide(home, options):
    result = run("in/a.png", "--out", "out", *options)
    assert result.exit_code == 0, result.stderr
    found, labels = read_mask("out/a.png"), scene((6, 9), 0)[1]
    assert (found == labels).mean() > (0.9 if "--scales" in options else 0.999)


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--scales", "0.5,x"], 2, "0.5,1,1.5"),
        (["--scales", "0"], 1, "scales"),
        (["--window", "axb"], 2, "473x473"),
        (["--window", "4x4", "--overlap", "9"], 1, "overlap"),
        (["--overlap", "some"], 2, "auto"),
        (["--tile", "big"], 2, "auto or none"),
        (["--tile", "1"], 1, "tile=1"),
        (["--output-stride", "8"], 1, "cannot be asked at output stride 8"),
    ],
)
def test_ways_of_asking_that_cannot_be(home, options, code, words):
    result = run("in/a.png", "--out", "out", *options)
    assert result.exit_code == code
    assert words in result.stderr
    assert result.stdout == ""


def test_a_file_of_several_pages_is_named(home):
    pages = [Image.fromarray(scene((4, 4), seed)[0]) for seed in range(3)]
    pages[0].save("pages.tif", save_all=True, append_images=pages[1:])
    result = run("pages.tif", "--out", "out")
    assert result.exit_code == 0
    assert result.stderr.splitlines() == ["Warning: pages.tif: the first of its 3 pages or frames was taken"]
    assert np.array_equal(read_mask("out/pages.png"), scene((4, 4), 0)[1])
