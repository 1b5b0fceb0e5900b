"""Pictures that are read and written in parts."""

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_world import tiny_net

import zoo.inference.large
from zoo.config import ModelConfig
from zoo.data.images import read_mask
from zoo.data.tiff import TiffPicture
from zoo.errors import DataError
from zoo.inference.batch import Asking, predict_file
from zoo.inference.outputs import Job, Wanted
from zoo.inference.predictor import predict
from zoo.inference.test_time import TestTime

ROWS = 64


def make_tiff(path, size):
    """An RGB picture of `size` × `size` in strips, not compressed, as an array in the file to be filled."""
    strips = -(-size // ROWS)
    begin = 1 << 16
    starts = [begin + number * ROWS * size * 3 for number in range(strips)]
    counts = [min(ROWS, size - number * ROWS) * size * 3 for number in range(strips)]
    tags = [(256, [size]), (257, [size]), (258, [8] * 3), (259, [1]), (262, [2])]
    tags += [(273, starts), (277, [3]), (278, [ROWS]), (279, counts)]
    table, behind, after = b"", b"", 8 + 2 + 12 * len(tags) + 4
    for tag, values in tags:
        packed = struct.pack(f"<{len(values)}I", *values)
        table += struct.pack("<HHI", tag, 4, len(values))
        table += packed if len(values) == 1 else struct.pack("<I", after + len(behind))
        behind += packed if len(values) > 1 else b""
    with path.open("wb") as file:
        file.write(b"II*\0" + struct.pack("<IH", 8, len(tags)) + table + bytes(4) + behind)
        file.truncate(begin + size * size * 3)  # holes in the file read as black
    return np.memmap(path, np.uint8, "r+", begin, (size, size, 3))


@pytest.fixture
def model():
    torch.manual_seed(1)
    net = tiny_net(5).eval()
    net.config = ModelConfig("unknown", "unknown", None, 5, input=net.encoder.input)
    return net


@pytest.fixture
def _small_is_large(monkeypatch):
    monkeypatch.setattr("zoo.inference.batch.WHOLE", 100 * 100)
    monkeypatch.setattr("zoo.inference.large.OVERVIEW", 100)


@pytest.mark.usefixtures("_small_is_large")
@pytest.mark.parametrize("kind", ["tif", "png"])
def test_the_same_as_in_memory(model, tmp_path, kind):
    picture = np.random.default_rng(0).integers(0, 256, (230, 310, 3), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / f"a.{kind}")
    job = Job(tmp_path / f"a.{kind}", tmp_path / "out" / "a.png", Wanted(polygons=True))
    seen = []
    outcome = predict_file(model, job, Asking(tile=96), {}, progress=lambda *now: seen.append(now))
    expected = predict(model, picture, tile=96).labels
    assert np.array_equal(read_mask(job.labels), expected)
    assert outcome.pixels == tuple(np.bincount(expected.ravel(), minlength=5))
    assert outcome.size == (230, 310)
    assert seen[-1][0] == seen[-1][1] > 4
    with Image.open(job.labels) as labels, Image.open(job.overlay) as overlay:
        assert labels.mode == "P"
        assert overlay.size == (78, 58)  # every fourth pixel
        shown = np.array(overlay)
    kept = predict(model, picture, tile=96)
    assert np.array_equal(shown, zoo.inference.large.paint(picture[::4, ::4], expected[::4, ::4], kept.palette, 0.5))
    regions = json.loads(job.polygons.read_text())["features"]
    assert sum(region["properties"]["pixels"] for region in regions) == 230 * 310
    assert len(job.areas.read_text().splitlines()) == 6


@pytest.mark.usefixtures("_small_is_large")
def test_other_ways_of_asking(model, tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (130, 150, 3), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "a.tif")
    asked = TestTime((1, 1.5), mirror=True)
    predict_file(model, Job(tmp_path / "a.tif", tmp_path / "a.png"), Asking(asked, 96, 0.25), {})
    expected = predict(model, picture, tile=96, overlap=24, test_time=asked).labels
    assert np.array_equal(read_mask(tmp_path / "a.png"), expected)


@pytest.mark.usefixtures("_small_is_large")
def test_probabilities_of_a_tiled_picture_are_refused(model, tmp_path):
    Image.new("RGB", (200, 200)).save(tmp_path / "a.png")
    job = Job(tmp_path / "a.png", tmp_path / "out" / "a.png", Wanted(probabilities=True))
    with pytest.raises(DataError, match="200×200 pixels are too many"):
        predict_file(model, job, Asking(tile=64), {})
    assert list((tmp_path / "out").iterdir()) == []


def test_the_made_file_is_a_tiff(tmp_path):
    array = make_tiff(tmp_path / "a.tif", 130)
    array[:] = np.random.default_rng(0).integers(0, 256, array.shape)
    array.flush()
    with Image.open(tmp_path / "a.tif") as image:
        assert np.array_equal(np.array(image), array)
    assert np.array_equal(TiffPicture(tmp_path / "a.tif").read(60, 70, 5, 9), array[60:70, 5:9])


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="peak memory is asked of the system in another way")
def test_twenty_thousand_pixels_each_way(tmp_path, root):
    """400 million pixels: 1.2 GB of picture, and 3.2 GB of probabilities if they were all held."""
    size = 20_000
    array = make_tiff(tmp_path / "a.tif", size)
    random = np.random.default_rng(0)
    for corner in (0, 9_000, size - 500):
        array[corner : corner + 500, corner : corner + 500] = random.integers(0, 256, (500, 500, 3))
    array.flush()
    del array
    program = Path(__file__).with_name("large_world.py")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), str(root / "tests")])}
    done = subprocess.run(
        [sys.executable, str(program), str(tmp_path / "a.tif"), str(tmp_path / "a.png"), "1024"],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["peak"] < 1.5e9
    assert record["size"] == [size, size]
    assert sum(record["pixels"]) == size * size
    assert (tmp_path / "a.png").stat().st_size > 100_000
