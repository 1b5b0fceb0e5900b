import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import zoo
from zoo.cli import cli
from zoo.data.catalog import open_dataset
from zoo.data.shapes import Shapes
from zoo.demo import seeing
from zoo.hub.publishing.publish import publish

PHOTOS = seeing.PICTURES / "street" / "images" / "val"


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A hub with untrained weights under the name of those that travel with Zoo."""
    model = zoo.create_model(
        "unet_l4_aspp", encoder="squeezenet1_0", num_classes=11, channels=[4, 4, 4, 4], center_convs=0, aspp_width=4
    )
    table = open_dataset(seeing.PICTURES / "street", "val")
    model.config = model.config.describing(classes=table.classes, palette=table.palette)
    zoo.save(model, tmp_path / "m.safetensors", data={"name": "camvid", "split": "val"}, metrics={"miou": 0.612})
    publish(tmp_path / "m.safetensors", tmp_path / "hub", name=seeing.FIRST, licence={"weights": "MIT", "data": "CC0"})
    monkeypatch.setattr(seeing, "shipped_folder", lambda: tmp_path / "hub")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_first_minute(shipped):
    result = CliRunner().invoke(cli, ["demo", "--json"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    streets = ["street_morning", "street_overcast"]
    assert [entry["picture"] for entry in told["pictures"]] == streets  # nuclei need weights that are not there
    for entry in told["pictures"]:
        with (
            Image.open(entry["labels"]) as labels,
            Image.open(PHOTOS / f"{entry['picture'].removeprefix('street_')}.jpg") as picture,
        ):
            assert labels.size == picture.size
            assert np.asarray(labels).max() < 11
        with Image.open(entry["overlay"]) as overlay:
            assert overlay.mode == "RGB"
    page = (shipped / told["report"]).read_text(encoding="utf-8")
    assert (page.count("data:image/jpeg"), page.count("data:image/png")) == (2 * len(streets), len(streets))
    assert "61.2 %" in page
    assert "http" not in page.partition("<body>")[2].partition("<footer>")[0]


def test_says_what_comes_next(shipped):
    result = CliRunner().invoke(cli, ["demo", "--out", "here"])
    assert result.exit_code == 0, result.output
    for words in ("here/report.html", "here/street_morning_overlay.png", "mIoU 61.2 %", "zoo predict", "zoo train"):
        assert words in result.stdout
    assert "torch.hub.load" in result.stdout
    again = CliRunner().invoke(cli, ["demo", "--out", "here"])
    assert again.exit_code == 1
    assert "not empty" in again.stderr
    taken = CliRunner().invoke(cli, ["demo", "--out", "m.safetensors"])
    assert taken.exit_code == 1
    assert "m.safetensors is a file" in taken.stderr


def test_without_weights_it_offers_to_train(tmp_path, monkeypatch):
    monkeypatch.setattr(seeing, "shipped_folder", lambda: None)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli, ["demo"])
    assert result.exit_code == 1
    assert "zoo demo --train" in result.stderr
    assert not (tmp_path / "zoo-demo").exists()


@pytest.mark.slow
def test_a_short_training(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(Shapes.__getitem__.__globals__["SPLITS"], "train", 32)
    monkeypatch.setitem(Shapes.__getitem__.__globals__["SPLITS"], "val", 18)
    result = CliRunner().invoke(cli, ["demo", "--train", "--steps", "2"])
    assert result.exit_code == 0, result.output
    assert "mIoU" in result.stdout
    out = tmp_path / "zoo-demo"
    assert "zoo-demo/contact_sheet.png" in result.stdout
    assert zoo.load(out / "run" / "best.safetensors").config.classes[1] == "disk"
    assert len(list((out / "pictures").glob("*_overlay.png"))) == 16
    labels = np.asarray(Image.open(out / "pictures" / "val_00000.png"))
    assert labels.shape == (128, 128)
    assert labels.max() < 10
    assert Image.open(out / "contact_sheet.png").width > 1000

    again = CliRunner().invoke(cli, ["demo", "--train", "--steps", "1", "--json"])
    record = json.loads(again.stdout)
    assert record["contact_sheet"] == "zoo-demo-2/contact_sheet.png"
    assert 0 <= record["miou"] <= 1

    taken = CliRunner().invoke(cli, ["demo", "--train", "--steps", "1", "--out", "zoo-demo"])
    assert taken.exit_code == 1
    assert "already holds a run" in taken.stderr
