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


@pytest.mark.slow
def test_the_students_models_are_trained_and_compared_and_a_second_call_goes_on(tmp_path):
    write_folder(tmp_path / "halves")

    def run(steps):
        done = subprocess.run(
            [sys.executable, ROOT / "examples" / "compare_students.py", "--data", tmp_path / "halves",
             "--out", tmp_path / "out", "--steps", str(steps), "--models", "unet_l4", "deeplabv3@resnet18"],
            capture_output=True, text=True, cwd=ROOT, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    run(1)
    assert "resumed after step 1" in run(2)
    with (tmp_path / "out" / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["model"].rpartition("/")[2] for row in rows] == ["unet_l4", "deeplabv3@resnet18"]
    assert all(0 <= float(row["best_miou"]) <= 1 for row in rows)
    for suffix in ("txt", "md", "html"):
        assert "unet_l4" in (tmp_path / "out" / f"table.{suffix}").read_text()
    with Image.open(next((tmp_path / "out" / "data" / "train").iterdir())) as picture:
        assert picture.size == (128, 128)
