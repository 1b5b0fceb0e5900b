"""Small models by name, saved to files: parts for pipelines."""

from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from tiny_world import tiny_net

import zoo
from zoo.config import InputSpec, ModelConfig
from zoo.registry import forget, register, registering_as

NAMES = ("sky", "road", "tree")


def small_model(seed=0, classes=NAMES, channels=3):
    """A net with random weights that looks at 4 × 4 pixels, of a registered name."""
    torch.manual_seed(seed)
    model = tiny_net(len(classes) or 3, channels)
    spec = InputSpec("BGR" if channels == 3 else "ANY", 255.0, (100.0,) * channels, (60.0,) * channels)
    model.config = ModelConfig("tiny_net", "pipes/tiny_net", None, len(classes) or 3, channels, input=spec)
    model.config = replace(model.config, classes=tuple(classes))
    return model.eval()


def picture(size=(30, 40), seed=0, channels=3):
    """Smooth noise (C, H, W), uint8."""
    rough = torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (1, channels, 5, 6)).astype(np.float32))
    fine = torch.nn.functional.interpolate(rough, size, mode="bicubic")[0]
    return fine.clamp(0, 255).round().to(torch.uint8)


def saved(path, **options):
    """A small model in a file."""
    return zoo.save(small_model(**options), path)


@contextmanager
def known_net():
    """The small net is registered, so that its files can be loaded."""
    with registering_as("pipes"):
        register("model", "tiny_net")(tiny_net)
    try:
        yield
    finally:
        forget("pipes")
