"""Pictures cut into objects and into proposals: what DeconvNet is trained on (Noh, Hong, Han 2015).

First stage: every object, cut out with some room around it; it alone keeps its label. Second stage: windows that cover
an object well enough; all labels stay, and rare classes are repeated.
"""

import math
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional as F

from zoo.config import IGNORE
from zoo.data.dataset import Sample, SegmentationDataset
from zoo.data.folder import FolderDataset
from zoo.data.images import read_mask
from zoo.data.objects import Box, Thing, find_objects
from zoo.data.scan import parallel
from zoo.data.selective import require_selective_search, selective_search
from zoo.errors import DataError

ENLARGED = 1.2
"""How much larger than the object a crop is, as published."""

SIDES = (1.0, 0.7, 0.5, 0.35, 0.25)
"""Sides of windows, as shares of the picture's shorter side."""

ASPECTS = (0.5, 1.0, 2.0)
"""Width over height of windows; their area is that of the square."""

MOST_REPEATED = 20
"""A rare class is not repeated more often than this."""


class Crop(NamedTuple):
    """One crop: of which sample, where, and for the sake of which class and object."""

    sample: int
    box: Box
    label: int
    number: int


class _Crops(SegmentationDataset):
    """Crops of another data set, as samples of many sizes; an augmentation warps them to one."""

    def __init__(self, of: SegmentationDataset, kind: str, background: Collection[int], least: int) -> None:
        self.of = of
        self.name, self.split, self.channels = of.name, of.split, of.channels
        self.classes, self.palette = of.classes, of.palette
        self.background, self.least = tuple(background), least
        self.crops = [crop for crops in parallel(self._find, range(len(of))) for crop in crops]
        if not self.crops:
            raise DataError(f"{of.name}: split {of.split!r} holds no {kind} of at least {least} pixels")

    def __len__(self) -> int:
        return len(self.crops)

    def label(self, index: int) -> str:
        """Picture and box of a crop."""
        crop = self.crops[index]
        return f"{self.of.label(crop.sample)} [{crop.box.top}:{crop.box.bottom}, {crop.box.left}:{crop.box.right}]"

    def _find(self, index: int) -> list[Crop]:
        raise TypeError(f"{type(self).__name__} does not define _find(index)")

    def _objects(self, index: int, labels: NDArray[np.integer[Any]]) -> tuple[list[Thing], NDArray[np.int64]]:
        return find_objects(labels, _instances(self.of, index), background=self.background, least=self.least)


class ObjectCrops(_Crops):
    """Every object of a data set by itself.

    Objects are told apart by VOC's ``SegmentationObject`` where the data have it, else an object is what hangs
    together. A crop is the object's box, 1.2 times as high and wide; beyond the picture it is black, and 255 in the
    mask. All pixels but those of the object are background, except for such as have no label.

    Args:
        of: The data set.
        background: Labels that are no objects; the first is what surrounds one.
        least: Smaller objects, in pixels, are left out.

    Raises:
        DataError: There is no object.
    """

    def __init__(self, of: SegmentationDataset, *, background: Sequence[int] = (0,), least: int = 100) -> None:
        super().__init__(of, "object", background, least)

    def __getitem__(self, index: int) -> Sample:
        crop = self.crops[index]
        image, mask = self.of[crop.sample]
        _, numbers = self._objects(crop.sample, mask.numpy())
        own = torch.from_numpy(numbers == crop.number)
        alone = torch.where(own | (mask == IGNORE), mask.as_subclass(Tensor), self.background[0])
        return cut(Sample(image, tv_tensors.Mask(alone)), crop.box)

    def _find(self, index: int) -> list[Crop]:
        things, _ = self._objects(index, self.of.labels(index))
        return [Crop(index, thing.box.enlarged(ENLARGED), thing.label, thing.number) for thing in things]


class ProposalCrops(_Crops):
    """Windows of many sizes that cover an object well, with all labels; rare classes are repeated.

    Args:
        of: The data set.
        background: Labels that are no objects.
        least: Smaller objects, in pixels, are left out.
        overlap: The least intersection over union of a window with the box of an object.
        source: Where the windows come from: ``"windows"`` of several sizes and proportions all over the picture, or
            ``"selective_search"``, see `zoo.data.selective`, which reads every picture and takes about a second for
            each and core.

    Raises:
        DataError: No window covers an object, or a package is missing.
    """

    def __init__(
        self,
        of: SegmentationDataset,
        *,
        background: Sequence[int] = (0,),
        least: int = 100,
        overlap: float = 0.5,
        source: Literal["windows", "selective_search"] = "windows",
    ) -> None:
        self.overlap, self.source = overlap, source
        if source == "selective_search":
            require_selective_search()
        super().__init__(of, f"object that a window covers by {overlap:g}", background, least)
        self.crops = balanced(self.crops)

    def __getitem__(self, index: int) -> Sample:
        crop = self.crops[index]
        return cut(self.of[crop.sample], crop.box)

    def _find(self, index: int) -> list[Crop]:
        labels = self.of.labels(index)
        things, _ = self._objects(index, labels)
        if not things:
            return []
        boxes = windows(*labels.shape) if self.source == "windows" else selective_search(self.of[index].image)
        share = overlaps(boxes, [thing.box for thing in things])
        best = share.argmax(axis=1)
        return [
            Crop(index, box.enlarged(ENLARGED), things[thing].label, things[thing].number)
            for box, thing, value in zip(boxes, best.tolist(), share.max(axis=1).tolist(), strict=True)
            if value >= self.overlap
        ]


def windows(height: int, width: int) -> list[Box]:
    """Windows of several sizes and proportions all over a picture, each half beside the next, within its borders."""
    found: dict[Box, None] = {}
    for side in SIDES:
        for aspect in ASPECTS:
            rows = min(round(side * min(height, width) / math.sqrt(aspect)), height)
            columns = min(round(side * min(height, width) * math.sqrt(aspect)), width)
            if rows < 1 or columns < 1:
                continue
            for top in _places(height, rows):
                for left in _places(width, columns):
                    found[Box(top, left, top + rows, left + columns)] = None
    return [*found]


def overlaps(boxes: Sequence[Box], others: Sequence[Box]) -> NDArray[np.float64]:
    """Intersection over union of each box with each other one, (boxes, others)."""
    one, other = np.array(boxes, dtype=np.float64)[:, None], np.array(others, dtype=np.float64)[None]
    sides = np.minimum(one[..., 2:], other[..., 2:]) - np.maximum(one[..., :2], other[..., :2])
    common = sides.clip(min=0).prod(axis=-1)
    areas = [(box[..., 2:] - box[..., :2]).prod(axis=-1) for box in (one, other)]
    share: NDArray[np.float64] = common / (areas[0] + areas[1] - common)
    return share


def balanced(crops: Sequence[Crop]) -> list[Crop]:
    """The crops with those of rare classes repeated, so that each class has about as many as the most frequent one."""
    counts = Counter(crop.label for crop in crops)
    most = max(counts.values(), default=0)
    repeats = {label: min(max(round(most / count), 1), MOST_REPEATED) for label, count in counts.items()}
    return [crop for crop in crops for _ in range(repeats[crop.label])]


def cut(sample: Sample, box: Box) -> Sample:
    """A box out of a sample; beyond the picture it is black, and has no label."""
    height, width = sample.mask.shape
    top, left, bottom, right = max(box.top, 0), max(box.left, 0), min(box.bottom, height), min(box.right, width)
    padding = [left - box.left, top - box.top, box.right - right, box.bottom - bottom]
    image = F.pad(sample.image[:, top:bottom, left:right], padding, fill=0)
    mask = F.pad(sample.mask[None, top:bottom, left:right], padding, fill=IGNORE)[0]
    return Sample(tv_tensors.Image(image), tv_tensors.Mask(mask))


def _places(length: int, window: int) -> list[int]:
    count = max(math.ceil(2 * (length - window) / window), 0) + 1
    return [round(place * (length - window) / max(count - 1, 1)) for place in range(count)]


def _instances(dataset: SegmentationDataset, index: int) -> NDArray[np.integer[Any]] | None:
    """VOC's map of objects beside a mask; None where there is none."""
    mask = dataset.mask_file(index) if isinstance(dataset, FolderDataset) else None
    if mask is None or mask.parent.name != "SegmentationClass":
        return None
    path: Path = mask.parent.parent / "SegmentationObject" / mask.name
    return read_mask(path) if path.is_file() else None
