"""A world in which the right answer is known: every class is a colour, and the model finds the nearest colour."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torchvision import tv_tensors

from zoo.config import Color, InputSpec, ModelConfig
from zoo.data.dataset import Sample, SegmentationDataset
from zoo.interfaces import Decoder, Encoder, Features, FeatureSpec, Head
from zoo.model import SegmentationModel

COLORS: tuple[Color, ...] = ((0, 0, 0), (200, 30, 30), (30, 200, 30), (30, 30, 200), (220, 220, 220))
NAMES = ("nothing", "berry", "grass", "sea", "snow")


class Look(Encoder):
    """Sees the picture as it is."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.features = (FeatureSpec("picture", channels, 1, 0.0),)
        self.input = InputSpec("RGB" if channels == 3 else "ANY", 1.0, (0.0,) * channels, (1.0,) * channels)

    def forward(self, x: Tensor, taps: object, with_pools: bool = False) -> Features:
        return Features({"picture": x}, {})


class Keep(Decoder):
    taps = ("picture",)

    def __init__(self, out: FeatureSpec) -> None:
        super().__init__()
        self.out = out

    def forward(self, features: Features) -> Tensor:
        return features.maps["picture"]


class Nearest(Head):
    """Logit k = 2 c_k · x - |c_k|², largest for the nearest colour."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.score = nn.Conv2d(channels, classes, 1)
        self.norm = nn.BatchNorm2d(classes)  # an identity in evaluation mode, and wrong in training mode

    def set(self, colors: Sequence[Sequence[int]]) -> None:
        center = torch.tensor(colors, dtype=torch.float32) / 255
        with torch.no_grad():
            self.score.weight.copy_(2 * center[:, :, None, None])
            self.score.bias.copy_(-center.square().sum(1))

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        return self.norm(self.score(x))


def color_net(num_classes: int, in_channels: int = 3) -> SegmentationModel:
    """A model function to register."""
    encoder = Look(in_channels)
    return SegmentationModel(encoder, Keep(encoder.features[0]), Nearest(in_channels, num_classes))


def color_model(
    colors: Sequence[Color] = COLORS, classes: tuple[str, ...] = NAMES, palette: tuple[Color, ...] = COLORS
) -> SegmentationModel:
    """A model that gives every pixel the class of the nearest colour."""
    model = color_net(len(colors))
    model.head.set(colors)  # type: ignore[operator]
    model.config = ModelConfig(
        "color_net", "color_net", None, len(colors), input=model.encoder.input, classes=classes, palette=palette
    )
    return model.eval()


def scene(size: tuple[int, int], seed: int, classes: int = len(COLORS)) -> tuple[np.ndarray, np.ndarray]:
    """A picture (H, W, 3) of noisy colours, each nearest to its own, and its labels (H, W)."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, size)
    noise = random.integers(-10, 11, (*size, 3))
    return np.clip(np.asarray(COLORS)[labels] + noise, 0, 255).astype(np.uint8), labels


class Scenes(SegmentationDataset):
    """A data set of given pictures (H, W, 3) and labels (H, W)."""

    def __init__(self, pairs: Sequence[tuple[np.ndarray, np.ndarray]], classes: tuple[str, ...] = NAMES) -> None:
        self.name, self.split, self.classes, self.palette = "scenes", "val", classes, COLORS
        self.pairs = list(pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Sample:
        picture, labels = self.pairs[index]
        return Sample(
            tv_tensors.Image(torch.from_numpy(picture).permute(2, 0, 1).contiguous()),
            tv_tensors.Mask(torch.from_numpy(labels.astype(np.int64))),
        )

    def label(self, index: int) -> str:
        return f"{index}.png"
