"""Folders of small pictures and masks for tests."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def picture(height: int = 12, width: int = 16, seed: int = 0) -> np.ndarray[Any, Any]:
    """Random colours, uint8 (H, W, 3)."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def mask(labels: Iterable[int] = (0, 1, 2), height: int = 12, width: int = 16) -> np.ndarray[Any, Any]:
    """Vertical bands of the labels, uint8 or wider (H, W)."""
    values = np.array(list(labels))
    bands = np.repeat(values, -(-width // len(values)))[:width]
    return np.tile(bands, (height, 1)).astype(np.uint8 if values.max() < 256 else np.uint16)


def save(array: np.ndarray[Any, Any], path: Path, **options: Any) -> Path:
    """Write an array as the picture that the suffix says, making folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)
    return path


def pairs(images: Path, masks: Path, names: Iterable[str], labels: Iterable[int] = (0, 1, 2)) -> None:
    """A picture and a mask for every name."""
    for seed, name in enumerate(names):
        save(picture(seed=seed), images / f"{name}.png")
        save(mask(labels), masks / f"{name}.png")


def simple(root: Path, count: int = 10, labels: Iterable[int] = (0, 1, 2)) -> Path:
    """A folder with images/ and masks/ and nothing about splits."""
    pairs(root / "images", root / "masks", (f"p{i:02d}" for i in range(count)), list(labels))
    return root
