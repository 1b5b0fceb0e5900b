"""The scripts in ``examples/`` run as they stand."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent


def write_folder(folder: Path) -> None:
    """Nine pictures, 40 × 30, half of each bright; the masks say which half."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for number in range(9):
        labels = np.zeros((30, 40), np.uint8)
        labels[:, 4 * number :] = 1
        noise = np.random.default_rng(number).integers(0, 60, (30, 40, 3))
        Image.fromarray((noise + 180 * labels[..., None]).astype(np.uint8)).save(folder / "images" / f"{number}.png")
        Image.fromarray(labels).save(folder / "masks" / f"{number}.png")


def run(folder, *arguments):
    """Run the comparison on `folder`/halves; returns what it printed."""
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "compare_students.py", "--data", folder / "halves",
         "--out", folder / "out", *arguments],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_several_seeds_of_narrow_models_are_averaged(tmp_path):
    write_folder(tmp_path / "halves")
    options = ["--steps", "1", "--models", "unet_l4_aspp", "--width", "0.125", "--seeds", "3", "4"]
    assert "unet_l4_aspp " in run(tmp_path, *options)
    with (tmp_path / "out" / "table.csv").open() as file:
        first, second = csv.DictReader(file)
    assert int(first["parameters"]) < 1_000_000  # 13 million as published
    scores = [100 * float(row["best_miou"]) for row in (first, second)]
    mean, deviation = sum(scores) / 2, abs(scores[0] - scores[1]) / 2**0.5
    assert f"{mean:.1f} ± {deviation:.1f} %" in (tmp_path / "out" / "seeds.txt").read_text()


@pytest.mark.slow
def test_the_students_models_are_trained_and_compared_and_a_second_call_goes_on(tmp_path):
    write_folder(tmp_path / "halves")

    narrow = ["--width", "0.25", "--models", "unet_l4"]
    run(tmp_path, "--steps", "1", *narrow)
    assert "resumed after step 1" in run(tmp_path, "--steps", "2", *narrow, "deeplabv3@resnet18")
    with (tmp_path / "out" / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["model"].rpartition("/")[2] for row in rows] == ["unet_l4", "deeplabv3@resnet18"]
    assert all(0 <= float(row["best_miou"]) <= 1 for row in rows)
    for suffix in ("txt", "md", "html"):
        assert "unet_l4" in (tmp_path / "out" / f"table.{suffix}").read_text()
    with Image.open(next((tmp_path / "out" / "data" / "train").iterdir())) as picture:
        assert picture.size == (128, 128)
