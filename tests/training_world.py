"""A model and a data set that train in a second: norms, dropout, a frozen layer, an auxiliary output."""

from typing import Any, ClassVar

import numpy as np
import torch
from color_world import COLORS, NAMES, scene
from torch import Tensor, nn
from torchvision import tv_tensors

from zoo.config import IGNORE
from zoo.data.dataset import Sample, SegmentationDataset
from zoo.interfaces import Decoder, Encoder, Features, FeatureSpec, Head
from zoo.model import SegmentationModel
from zoo.ops import resize
from zoo.registry import register
from zoo.training.recipe import Recipe, build, override


class Stem(Encoder):
    """A map at stride 2 and one of 1×1, on which BatchNorm sees one value per channel of a lone picture."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.features = (FeatureSpec("map", 8, 2, 0.5), FeatureSpec("pooled", 8, 32, 0.5))
        self.frozen = nn.Conv2d(channels, channels, 1)
        self.frozen.requires_grad_(False)
        self.conv = nn.Sequential(nn.Conv2d(channels, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8), nn.ReLU())

    def forward(self, x: Tensor, taps: object, with_pools: bool = False) -> Features:
        x = self.conv(self.frozen(x))
        return Features({"map": x, "pooled": self.pool(x)}, {})


class Add(Decoder):
    taps = ("map", "pooled")

    def __init__(self, out: FeatureSpec) -> None:
        super().__init__()
        self.out = out

    def forward(self, features: Features) -> Tensor:
        return features.maps["map"] + features.maps["pooled"]


class Score(Head):
    def __init__(self, classes: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Dropout(dropout), nn.Conv2d(8, classes, 1))

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        return resize(self.layers(x), size)


def tiny(num_classes: int, in_channels: int = 3, *, dropout: float = 0.3, aux: bool = True) -> SegmentationModel:
    """Two thousand parameters."""
    encoder = Stem(in_channels)
    auxiliary = {"aux": ("map", Score(num_classes, 0.0))} if aux else None
    return SegmentationModel(encoder, Add(encoder.features[0]), Score(num_classes, dropout), auxiliary)


class Colored(SegmentationDataset):
    """Scenes of noisy colours, (20, 24); a fifth of the pixels has no label, and of scene 3 none has."""

    name = "colored"
    classes, palette = NAMES, COLORS
    sizes: ClassVar = {"train": 12, "val": 3}

    def __init__(self, split: str, *, channels: int = 3, download: bool = False, values: Any = None, root: Any = None):
        self.split = split

    def __len__(self) -> int:
        return self.sizes[self.split]

    def __getitem__(self, index: int) -> Sample:
        seed = 100 * (self.split == "val") + index
        coarse, labels = scene((5, 6), seed)
        picture, labels = (np.kron(part, np.ones((4, 4, *[1] * (part.ndim - 2)), int)) for part in (coarse, labels))
        labels = labels.astype(np.int64)
        labels[np.random.default_rng(seed).random(labels.shape) < 0.2] = IGNORE
        if index == 3:
            labels[:] = IGNORE
        image = torch.from_numpy(picture.astype(np.uint8)).permute(2, 0, 1).contiguous()
        return Sample(tv_tensors.Image(image), tv_tensors.Mask(torch.from_numpy(labels)))


def install() -> None:
    """Register both under the namespace that is current."""
    register("model", "tiny")(tiny)
    register("dataset", "colored")(Colored)


def recipe(*options: str) -> Recipe:
    """Settings for a run of six steps, two to an epoch, with every kind of randomness in it."""
    tables: dict[str, dict[str, Any]] = {"model": {"name": "tiny"}, "data": {"name": "colored"}}
    defaults = (
        "run.steps=6",
        "run.eval_every=2",
        "run.log_every=1",
        "data.batch_size=6",
        "data.crop=16",
        "data.workers=0",
        "run.amp=none",  # what is measured is then what `evaluate` measures by default, to the last digit
    )
    for option in (*defaults, *options):
        tables = override(tables, option)
    return build(tables)
