"""Looking at every mask before training does: labels in range, sizes equal, pixels per class."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.config import IGNORE
from zoo.data.dataset import SegmentationDataset
from zoo.data.folder import FolderDataset
from zoo.data.scan import parallel
from zoo.errors import DataError


@dataclass(frozen=True, slots=True)
class Inspection:
    """What the masks of a split hold.

    Attributes:
        name: The data set.
        split: Its split.
        images: Number of samples.
        classes: The K class names.
        pixels: Labelled pixels per class.
        image_pixels: Per class, the labelled pixels of the images that it occurs in (for median-frequency
            weights: ``pixels / image_pixels`` is the frequency of Eigen and Fergus 2015).
        occurrences: Per class, the images that it occurs in.
        ignored: Pixels without a label.
        blank: Images that have no label at all.
        smallest: Least height and least width, (H, W).
        largest: Greatest height and greatest width, (H, W).
    """

    name: str
    split: str
    images: int
    classes: tuple[str, ...]
    pixels: tuple[int, ...]
    image_pixels: tuple[int, ...]
    occurrences: tuple[int, ...]
    ignored: int
    blank: int
    smallest: tuple[int, int]
    largest: tuple[int, int]

    @property
    def num_classes(self) -> int:
        """K."""
        return len(self.classes)

    @property
    def absent(self) -> tuple[str, ...]:
        """Names of the classes that occur nowhere."""
        return tuple(name for name, count in zip(self.classes, self.pixels, strict=True) if count == 0)

    def shares(self) -> tuple[float, ...]:
        """The share of each class in the labelled pixels, 0…1."""
        return tuple(count / sum(self.pixels) for count in self.pixels)

    def to_json(self) -> dict[str, Any]:
        return {
            "data": self.name,
            "split": self.split,
            "images": self.images,
            "smallest": list(self.smallest),
            "largest": list(self.largest),
            "pixels": dict(zip(self.classes, self.pixels, strict=True)),
            "occurrences": dict(zip(self.classes, self.occurrences, strict=True)),
            "ignored": self.ignored,
            "blank": self.blank,
        }


def inspect(dataset: SegmentationDataset, *, decode: bool = False, workers: int | None = None) -> Inspection:
    """Look at every mask of a data set.

    Args:
        dataset: The split to look at.
        decode: Decode the pictures as well, so that a damaged one is found now rather than in training.
        workers: Threads; by default as the machine has cores.

    Raises:
        DataError: The first sample (in order) with a label out of range, a mask of another size or a file
            that cannot be read; 0/255 masks of which nobody said what 255 means; no label in the whole split.
    """
    count = dataset.num_classes

    def look(index: int) -> tuple[NDArray[np.int64], tuple[int, ...]]:
        labels = dataset.check(index)
        if decode:
            dataset[index]
        wrong = ((labels < 0) | (labels >= count)) & (labels != IGNORE)
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            raise DataError(
                f"{dataset.label(index)}: label value {labels[row, column]} at row {row}, column {column}, counted "
                f"from 0, is not allowed: the {count} classes of {dataset.name!r} are 0…{count - 1}, and 255 is ignored"
            )
        return np.bincount(labels.ravel(), minlength=IGNORE + 1), labels.shape

    looks = list(parallel(look, range(len(dataset)), workers))
    if not looks:
        raise DataError(f"{dataset.name}: split {dataset.split!r} is empty")
    table = np.stack([found for found, _ in looks])
    shapes = np.array([shape for _, shape in looks])
    pixels = table[:, :count]
    if isinstance(dataset, FolderDataset) and not pixels[:, 1:].any() and table[:, IGNORE].any():
        offer = dataset.binary()
        if offer:
            raise DataError(offer)
    if not pixels.any():
        raise DataError(f"{dataset.name}: every pixel of split {dataset.split!r} is ignored; there is nothing to learn")
    occurs = pixels > 0
    return Inspection(
        name=dataset.name,
        split=dataset.split,
        images=len(looks),
        classes=dataset.classes,
        pixels=_integers(pixels.sum(axis=0)),
        image_pixels=_integers((occurs * pixels.sum(axis=1, keepdims=True)).sum(axis=0)),
        occurrences=_integers(occurs.sum(axis=0)),
        ignored=int(table[:, IGNORE].sum()),
        blank=int((~occurs.any(axis=1)).sum()),
        smallest=(int(shapes[:, 0].min()), int(shapes[:, 1].min())),
        largest=(int(shapes[:, 0].max()), int(shapes[:, 1].max())),
    )


def _integers(values: NDArray[Any]) -> tuple[int, ...]:
    return tuple(int(value) for value in values)
