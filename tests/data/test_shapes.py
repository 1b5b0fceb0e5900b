"""Shapes are the same everywhere, varied, and beyond a model that sees colours only."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from zoo.data.shapes import SPLITS, TABLE, Shapes
from zoo.errors import DataError


def test_samples() -> None:
    for split, length in {"train": 2000, "val": 200, "test": 200}.items():
        dataset = Shapes(split)
        assert len(dataset) == length
        image, mask = dataset[length - 1]
        assert image.shape == (3, 128, 128)
        assert mask.shape == (128, 128)
        assert (image.dtype, mask.dtype) == (torch.uint8, torch.int64)
        assert dataset.size(0) == (128, 128)
    assert dataset.num_classes == len(dataset.palette) == len(set(dataset.palette)) == 10


def test_a_scene_depends_on_split_and_number_only(root: Path) -> None:
    code = (
        "import hashlib; from zoo.data.shapes import Shapes; d = Shapes('val'); d[3]; s = d[17];"
        "print(hashlib.sha256(s.image.numpy().tobytes() + s.mask.numpy().tobytes()).hexdigest())"
    )
    there = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, check=True, text=True).stdout
    image, mask = Shapes("val")[17]
    assert there.strip() == hashlib.sha256(image.numpy().tobytes() + mask.numpy().tobytes()).hexdigest()
    one, again = Shapes("train"), Shapes("train")
    assert torch.equal(one[5].image, again[5].image)
    scenes = [Shapes(split)[i].image.numpy().tobytes() for split in SPLITS for i in range(20)]
    assert len(set(scenes)) == 60


def test_labels_alone_are_those_of_the_sample() -> None:
    dataset = Shapes("test")
    for index in range(10):
        assert np.array_equal(dataset.labels(index), dataset[index].mask.numpy())


def test_indices() -> None:
    dataset = Shapes("val")
    assert torch.equal(dataset[-1].image, dataset[199].image)
    for index in (200, -201):
        with pytest.raises(IndexError):
            dataset[index]
    assert dataset.label(7) == "val/00007"


def test_scenes_are_varied() -> None:
    dataset = Shapes("val")
    counts = np.array([np.bincount(dataset.labels(i).ravel(), minlength=10) for i in range(200)])
    shares = counts.sum(0) / counts.sum()
    assert 0.45 < shares[0] < 0.7
    assert shares[1:].min() > 0.025
    assert shares[1:].max() < 0.08
    present = (counts[:, 1:] > 0).sum(1)
    assert present.min() >= 2
    assert 4 < present.mean() < 8
    brightness = np.array([dataset[i].image.float().mean().item() for i in range(60)])
    assert brightness.std() > 15


@pytest.mark.parametrize("balanced", [False, True])
def test_a_linear_model_on_colour_fails(balanced: bool) -> None:
    """Least squares on all colours and their products, per pixel, with the classes as they are or balanced."""

    def features(index: int, dataset: Shapes) -> tuple[np.ndarray, np.ndarray]:
        image, mask = dataset[index]
        r, g, b = image[:, ::2, ::2].double().numpy().reshape(3, -1) / 255
        return np.stack([np.ones_like(r), r, g, b, r * r, g * g, b * b, r * g, g * b, r * b], 1), mask[
            ::2, ::2
        ].numpy().ravel()

    train, val = Shapes("train"), Shapes("val")
    x, y = (np.concatenate(part) for part in zip(*(features(i, train) for i in range(120)), strict=True))
    weights = (1 / np.bincount(y, minlength=10))[y] if balanced else np.ones(len(y))
    solution = np.linalg.lstsq((x * weights[:, None]).T @ x, (x * weights[:, None]).T @ np.eye(10)[y], rcond=None)[0]
    x, y = (np.concatenate(part) for part in zip(*(features(i, val) for i in range(40)), strict=True))
    matrix = np.bincount(y * 10 + (x @ solution).argmax(1), minlength=100).reshape(10, 10)
    correct = np.diag(matrix)
    iou = correct / (matrix.sum(0) + matrix.sum(1) - correct)
    assert iou.mean() < 0.12
    assert iou[1:].max() < 0.15


def test_channels_and_merged_classes() -> None:
    grey = Shapes("val", channels=1)[0].image
    colored = Shapes("val")[0].image
    assert grey.shape == (1, 128, 128)
    luma = (colored.float() * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(0)
    clipped = ((colored == 0) | (colored == 255)).any(0)
    assert (grey[0].float() - luma)[~clipped].abs().max() <= 1.01
    four = Shapes("val", channels=4)[0].image
    assert torch.equal(four[:3], colored)
    assert (four[3] == 255).all()
    merged = Shapes("val", values={0: 255} | {i: int(i > 6) for i in range(1, 10)})
    assert merged.classes == ("disk/ring/square/triangle/star/cross", "stripes/checks/dots")
    before, after = Shapes("val")[0].mask, merged[0].mask
    assert torch.equal(after == 255, before == 0)
    assert torch.equal(after == 1, before > 6)


def test_nonsense_is_refused() -> None:
    with pytest.raises(DataError, match=r"no split 'trian'; it has train, val, test.* Did you mean 'train'"):
        Shapes("trian")
    with pytest.raises(DataError, match="not 2"):
        Shapes("val", channels=2)
    with pytest.raises(DataError, match=r"val/00000: label value \d .*`values` lists 0"):
        next(sample for sample in Shapes("val", values={0: 0}))
    assert len(TABLE.classes) == 10
