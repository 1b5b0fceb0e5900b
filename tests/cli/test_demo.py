import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import zoo
from zoo.cli import cli
from zoo.data.shapes import Shapes


@pytest.mark.slow
def test_a_short_demo(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(Shapes.__getitem__.__globals__["SPLITS"], "train", 32)
    monkeypatch.setitem(Shapes.__getitem__.__globals__["SPLITS"], "val", 18)
    result = CliRunner().invoke(cli, ["demo", "--steps", "2"])
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

    again = CliRunner().invoke(cli, ["demo", "--steps", "1", "--json"])
    record = json.loads(again.stdout)
    assert record["contact_sheet"] == "zoo-demo-2/contact_sheet.png"
    assert 0 <= record["miou"] <= 1

    taken = CliRunner().invoke(cli, ["demo", "--steps", "1", "--out", "zoo-demo"])
    assert taken.exit_code == 1
    assert "already holds a run" in taken.stderr
