"""Shapes: 128×128 scenes that are drawn, not stored; the data set that is always there.

Six shapes and three textures overlap on a cluttered ground. Everything else is made to mislead: all classes
and the ground take their colours from the same few of each scene, light falls unevenly, lines and smears lie
about, and blur and noise lie over all. So colour says nothing about the class, form and texture say all.
"""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision import tv_tensors

from zoo.data.dataset import Sample, SegmentationDataset
from zoo.data.labels import ClassTable, Labelling, check_values
from zoo.errors import DataError, did_you_mean

SIZE = 128
SPLITS = {"train": 2000, "val": 200, "test": 200}

Plane = NDArray[np.floating[Any]]

TABLE = ClassTable(
    classes=("background", "disk", "ring", "square", "triangle", "star", "cross", "stripes", "checks", "dots"),
    palette=(
        (38, 42, 51), (230, 85, 75), (244, 162, 97), (233, 196, 106), (138, 177, 125), (42, 157, 143),
        (69, 123, 197), (144, 97, 194), (214, 112, 171), (168, 142, 122),
    ),
)  # fmt: skip


class Shapes(SegmentationDataset):
    """One split of Shapes: 2000 scenes to train on, 200 each to validate and to test.

    Scene i is a function of (split, i) alone. Images are uint8 (C, 128, 128), masks int64 (128, 128) with
    labels 0…9 and no ignored pixel.

    Args:
        split: ``"train"``, ``"val"`` or ``"test"``.
        channels: 1, 3 or 4: grey, RGB, or RGB and an opaque alpha.
        download: Nothing needs to be fetched.
        values: Label → other label (255 to ignore), to merge classes; all labels must be listed.
        root: Not used: there are no files.

    Raises:
        DataError: Another split, another number of channels, or values that make no sense.
    """

    name = "shapes"

    def __init__(
        self,
        split: str,
        *,
        channels: int = 3,
        download: bool = False,
        values: Mapping[int, int] | None = None,
        root: Path | None = None,
    ) -> None:
        if split not in SPLITS:
            raise DataError(f"shapes: has no split {split!r}; it has {', '.join(SPLITS)}.{did_you_mean(split, SPLITS)}")
        if channels not in (1, 3, 4):
            raise DataError(f"pictures are made with 1 (grey), 3 (RGB) or 4 (RGBA) channels, not {channels}")
        if values is not None:
            values = check_values(values, "shapes")
        self.split = split
        self.channels = channels
        table = TABLE.merged(values)
        self.classes, self.palette = table.classes, table.palette
        self._labelling = Labelling(len(table.classes), values)

    def __len__(self) -> int:
        return SPLITS[self.split]

    def __getitem__(self, index: int) -> Sample:
        index = self._checked(index)
        figures, labels = _arrange(self._generator(index, 0))
        picture = _paint(figures, self._generator(index, 1))
        if self.channels == 1:
            picture = np.tensordot(np.array([[0.299, 0.587, 0.114]], dtype=np.float32), picture, 1)
        elif self.channels == 4:
            picture = np.concatenate([picture, np.ones((1, SIZE, SIZE), np.float32)])
        pixels = np.clip(picture * 255 + 0.5, 0, 255).astype(np.uint8)
        mask = self._labelling.apply(labels, self.label(index)).astype(np.int64)
        return Sample(tv_tensors.Image(torch.from_numpy(pixels)), tv_tensors.Mask(torch.from_numpy(mask)))

    def labels(self, index: int) -> NDArray[np.uint8]:
        index = self._checked(index)
        return self._labelling.apply(_arrange(self._generator(index, 0))[1], self.label(index))

    def size(self, index: int) -> tuple[int, int]:
        self._checked(index)
        return SIZE, SIZE

    def _checked(self, index: int) -> int:
        if not -len(self) <= index < len(self):
            raise IndexError(f"{self.name} {self.split} has {len(self)} samples, not one at {index}")
        return index % len(self)

    def _generator(self, index: int, part: int) -> np.random.Generator:
        return np.random.default_rng([list(SPLITS).index(self.split), index, part])


class Figure(NamedTuple):
    """One object of a scene, in the window of the canvas that it touches."""

    label: int
    window: tuple[slice, slice]
    u: Plane  # coordinates in the object's own frame, in pixels
    v: Plane
    distance: Plane  # to its outline, negative inside
    radius: float


def _arrange(random: np.random.Generator) -> tuple[list[Figure], NDArray[np.uint8]]:
    """Place the objects of a scene, the farthest first; the labels follow from their outlines."""
    labels = np.zeros((SIZE, SIZE), dtype=np.uint8)
    figures = []
    for _ in range(int(random.integers(6, 12))):
        label = int(random.integers(1, len(_OUTLINES) + 1))
        outline, reach = _OUTLINES[label - 1]
        radius = float(random.uniform(13, 30)) * reach
        row, column = random.uniform(4, SIZE - 4, size=2)
        angle = random.uniform(0, 2 * math.pi)
        bend = random.uniform(0, 2 * math.pi, size=2)
        rows = slice(max(int(row - radius * 1.3) - 2, 0), min(int(row + radius * 1.3) + 3, SIZE))
        columns = slice(max(int(column - radius * 1.3) - 2, 0), min(int(column + radius * 1.3) + 3, SIZE))
        y = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] - np.float32(row)
        x = np.arange(columns.start, columns.stop, dtype=np.float32)[None] - np.float32(column)
        cos, sin = np.float32(math.cos(angle)), np.float32(math.sin(angle))
        u, v = cos * x + sin * y, cos * y - sin * x
        distance = outline(u, v, radius, bend)
        figures.append(Figure(label, (rows, columns), u, v, distance, radius))
        labels[rows, columns][distance < 0] = label
    return figures, labels


def _disk(u: Plane, v: Plane, radius: float, bend: NDArray[np.float64]) -> Plane:
    return np.hypot(u, v) - np.float32(radius)


def _ring(u: Plane, v: Plane, radius: float, bend: NDArray[np.float64]) -> Plane:
    return np.abs(np.hypot(u, v) - np.float32(radius * 0.75)) - np.float32(radius * 0.25)


def _square(u: Plane, v: Plane, radius: float, bend: NDArray[np.float64]) -> Plane:
    return np.maximum(np.abs(u), np.abs(v)) - np.float32(radius * 0.75)


def _triangle(u: Plane, v: Plane, radius: float, bend: NDArray[np.float64]) -> Plane:
    slanted = np.float32(math.sqrt(0.75)) * np.abs(u) + np.float32(0.5) * v
    return np.maximum(slanted, -v) - np.float32(radius / 2)


def _star(u: Plane, v: Plane, radius: float, bend: NDArray[np.float64]) -> Plane:
    fold = np.float32(2 * math.pi / 5)
    around = np.abs(np.mod(np.arctan2(v, u), fold) - fold / 2)  # 0 in a notch, fold / 2 at a tip
    rho = np.hypot(u, v)
    inner = radius * 0.45
    tip_x, tip_y = radius * math.cos(math.pi / 5), radius * math.sin(math.pi / 5)
    length = math.hypot(tip_x - inner, tip_y)
    across, along = np.float32(tip_y / length), np.float32((tip_x - inner) / length)
    return (rho * np.cos(around) - np.float32(inner)) * across - rho * np.sin(around) * along


def _cross(u: Plane, v: Plane, radius: float, bend: NDArray[np.float64]) -> Plane:
    long, short = np.maximum(np.abs(u), np.abs(v)), np.minimum(np.abs(u), np.abs(v))
    return np.maximum(long - np.float32(radius), short - np.float32(radius * 0.3))


def _blob(u: Plane, v: Plane, radius: float, bend: NDArray[np.float64]) -> Plane:
    around = np.arctan2(v, u)
    waves = 0.13 * np.cos(3 * around + np.float32(bend[0])) + 0.08 * np.cos(5 * around + np.float32(bend[1]))
    return np.hypot(u, v) - np.float32(radius) * (1 + waves)


Outline = Callable[[Plane, Plane, float, NDArray[np.float64]], Plane]

_OUTLINES: tuple[tuple[Outline, float], ...] = (  # by label - 1, each with the factor that makes areas alike
    (_disk, 0.85),
    (_ring, 1.05),
    (_square, 1.0),
    (_triangle, 1.25),
    (_star, 1.2),
    (_cross, 1.1),
    (_blob, 0.9),
    (_blob, 0.9),
    (_blob, 0.9),
)


def _paint(figures: list[Figure], random: np.random.Generator) -> Plane:
    """The picture (3, 128, 128) of a scene, about 0…1."""
    colors = _colors(random)
    canvas = _ground(colors, random)
    light = random.uniform(0, 2 * math.pi)
    lit_x, lit_y = math.cos(light), math.sin(light)
    for figure in figures:
        rows, columns = figure.window
        part = canvas[:, rows, columns]
        first, second = random.permutation(len(colors))[:2]
        fill = _fill(figure, colors[first], colors[second], random)
        y = np.linspace(-0.16, 0.16, rows.stop - rows.start, dtype=np.float32)[:, None]
        x = np.linspace(-0.16, 0.16, columns.stop - columns.start, dtype=np.float32)[None]
        rim = np.float32(0.3) * np.clip(1 + figure.distance / 2, 0, 1)
        fill = fill * (1 + np.float32(lit_x) * x + np.float32(lit_y) * y - rim)
        shadow = np.float32(0.45) * np.clip(1 - figure.distance / 4, 0, 1)
        part *= 1 - shadow
        cover = np.clip(0.5 - figure.distance, 0, 1)
        part += cover * (fill - part)
    canvas *= _waves(random, 0.22) + 1
    canvas = _blur(canvas, float(random.uniform(0.35, 1.0)))
    grain = random.random(canvas.shape, dtype=np.float32)  # even noise: quicker than normal, and no less noisy
    grain -= np.float32(0.5)
    grain *= np.float32(random.uniform(0.035, 0.155))
    canvas += grain
    return canvas


def _colors(random: np.random.Generator) -> Plane:
    """The five colours (5, 3) of a scene: hues anywhere, brightness spread so that neighbours differ."""
    hue = random.uniform(0, 1, size=(5, 1)) + np.array([[0, 1 / 3, 2 / 3]])
    tint = 0.5 + 0.5 * np.cos(2 * math.pi * hue)
    strength = random.uniform(0.25, 0.9, size=(5, 1))
    brightness = random.permutation(np.linspace(0.25, 0.95, 5))[:, None] + random.uniform(-0.06, 0.06, size=(5, 1))
    colors: Plane = brightness * (1 - strength + strength * 1.25 * tint)
    return colors.astype(np.float32)


def _ground(colors: Plane, random: np.random.Generator) -> Plane:
    """A ground (3, 128, 128) that runs from one colour to another, with smears and lines on it."""
    first, second = random.permutation(len(colors))[:2]
    half = SIZE // 2  # what is smooth is painted at half the size
    mix = np.clip(0.5 + _waves(random, 0.6, half), 0, 1)
    smooth: Plane = colors[first][:, None, None] * (1 - mix) + colors[second][:, None, None] * mix
    for _ in range(int(random.integers(2, 6))):
        color = colors[random.integers(len(colors))][:, None, None]
        smear = np.clip(2 * _waves(random, 0.5, half) - 0.3, 0, 0.6)
        smooth += smear * (color - smooth)
    ground = smooth.repeat(2, axis=1).repeat(2, axis=2)
    axis = np.arange(SIZE, dtype=np.float32) - SIZE // 2
    flat = ground.reshape(3, -1)  # a view
    for _ in range(int(random.integers(3, 9))):
        color = colors[random.integers(len(colors))][:, None]
        angle, offset = random.uniform(0, math.pi), random.uniform(-50, 50)
        along_x = np.float32(math.cos(angle)) * axis - np.float32(offset)
        line = np.float32(random.uniform(0.6, 1.8)) - np.abs(along_x + np.float32(math.sin(angle)) * axis[:, None])
        on = np.flatnonzero(line > 0)
        cover = np.float32(0.8) * np.minimum(line.ravel()[on], 1)
        flat[:, on] += cover * (color - flat[:, on])
    return ground


def _fill(figure: Figure, color: Plane, other: Plane, random: np.random.Generator) -> Any:
    """The colours inside an object: plain for shapes, a pattern of two colours for textures."""
    name = TABLE.classes[figure.label]
    u, v = figure.u, figure.v
    pitch = 2 * math.pi / random.uniform(5.5, 9)
    if name == "stripes":
        pattern = np.sin(np.float32(pitch) * u + np.float32(random.uniform(0, 6)))
    elif name == "checks":
        pattern = 1.6 * np.sin(np.float32(pitch * 0.7) * u) * np.sin(np.float32(pitch * 0.7) * v)
    elif name == "dots":
        pattern = np.cos(np.float32(pitch) * u) + np.cos(np.float32(pitch) * v) - np.float32(0.95)
    else:
        return color[:, None, None]
    mix = np.clip(0.5 + 1.6 * pattern, 0, 1)
    return color[:, None, None] * (1 - mix) + other[:, None, None] * mix


def _waves(random: np.random.Generator, strength: float, size: int = SIZE) -> Plane:
    """A smooth field (size, size) within ± `strength`: two waves longer than the scene."""
    axis = (np.arange(size, dtype=np.float32) + np.float32(0.5)) / size
    down, along, phase = random.uniform(-6, 6, size=(3, 2)).astype(np.float32)
    y, x = axis[:, None] * down + phase, along[:, None] * axis
    rows, columns = np.concatenate([np.sin(y), np.cos(y)], 1), np.concatenate([np.cos(x), np.sin(x)])
    field: Plane = rows @ (columns * np.float32(strength / 2))  # sin(y + x), summed over the waves
    return field


def _blur(canvas: Plane, sigma: float) -> Plane:
    """Gaussian blur over five pixels each way, edges repeated."""
    weights = np.exp(-0.5 * (np.arange(-2, 3) / sigma) ** 2).astype(np.float32)
    weights /= weights.sum()
    padded = np.pad(canvas, ((0, 0), (2, 2), (2, 2)), mode="edge")
    rows = sum(weight * padded[:, i : i + SIZE] for i, weight in enumerate(weights))
    blurred: Plane = sum(weight * rows[:, :, i : i + SIZE] for i, weight in enumerate(weights))
    return blurred
