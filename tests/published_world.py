"""A small model that is ready to be published, and a data set to show it on."""

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import zoo

MODEL = "fcn8s_vgg16"
"""Small where the fixture `narrow_vgg` is in use."""

CLASSES = ("back & ground", '<script>alert("x")</script>', "a|b `c` *d*")
PALETTE = ((0, 0, 0), (200, 30, 30), (30, 200, 30))
LICENCE = {"weights": "MIT", "data": "CC0"}


def weights(folder: Path, name: str = "model.safetensors", *, seed: int = 0, licence=LICENCE, **described) -> Path:
    """A weight file of a model with three classes whose names would break a page that does not escape them."""
    torch.manual_seed(seed)
    model = zoo.create_model(MODEL, num_classes=3)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.normal_(0, 0.1)
    model.config = model.config.describing(classes=CLASSES, palette=PALETTE)
    described = {"data": {"name": "toys", "split": "train"}, "metrics": numbers(), **described}
    return zoo.save(
        model, folder / name, licence=licence, recipe={"run": {"steps": 7, "out": "/home/me/run"}}, **described
    )


def numbers(miou: float = 0.5) -> dict:
    iou = dict(zip(CLASSES, (0.9, 0.1, None), strict=True))
    return {"name": "toys", "split": "val", "miou": miou, "pixel_acc": 0.75, "mean_acc": 0.6, "fw_iou": 0.7, "iou": iou}


def pictures(folder: Path, count: int = 4) -> Path:
    """A data set of three classes in a folder, of odd sizes, one of them unlabelled in part."""
    for part in ("val", "valannot"):
        (folder / part).mkdir(parents=True)
    generator = np.random.default_rng(0)
    for number in range(count):
        height, width = 40 + number, 50
        image = generator.integers(0, 255, (height, width, 3), dtype=np.uint8)
        labels = generator.integers(0, 3, (height, width), dtype=np.uint8)
        labels[:5] = 255
        Image.fromarray(image).save(folder / "val" / f"{number}.png")
        Image.fromarray(labels).save(folder / "valannot" / f"{number}.png")
    palette = [list(color) for color in PALETTE]
    (folder / "data.toml").write_text(f'name = "toys"\nclasses = {json.dumps(CLASSES)}\npalette = {palette}\n')
    return folder
