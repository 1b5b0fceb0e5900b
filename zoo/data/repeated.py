"""Pictures that an epoch shows more than once, for the sake of what is in them."""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.dataset import Sample, SegmentationDataset
from zoo.data.scan import parallel
from zoo.errors import did_you_mean

logger = logging.getLogger("zoo")


class Repeated(SegmentationDataset):
    """A data set in which pictures that hold certain classes come several times, as separate samples.

    DeepLabV3 was finished so, on pictures of bicycles, chairs, tables, plants and sofas (Chen et al. 2017, § 4.4).

    Args:
        of: The data set.
        times: Class → how often a picture that holds it comes; of several such classes the most frequent decides. Of
            names that are no class of `of` one warning is logged.
    """

    def __init__(self, of: SegmentationDataset, times: Mapping[str, int]) -> None:
        self.of = of
        self.name, self.split, self.channels = of.name, of.split, of.channels
        self.classes, self.palette = of.classes, of.palette
        strange = [f"{name!r}{did_you_mean(name, of.classes)}" for name in times if name not in of.classes]
        if strange:
            logger.warning("%s has no class %s, to repeat pictures of", of.name, ", ".join(strange))
        by_label = {of.classes.index(name): count for name, count in times.items() if name in of.classes}

        def count(index: int) -> int:
            return max([1, *(by_label.get(int(label), 1) for label in np.unique(of.labels(index)))])

        counts = parallel(count, range(len(of) if by_label else 0))
        repeats = list(counts) or [1] * len(of)
        self.indices = [index for index, repeat in enumerate(repeats) for _ in range(repeat)]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Sample:
        return self.of[self.indices[index]]

    def label(self, index: int) -> str:
        return self.of.label(self.indices[index])

    def labels(self, index: int) -> NDArray[np.integer[Any]]:
        return self.of.labels(self.indices[index])

    def size(self, index: int) -> tuple[int, int]:
        return self.of.size(self.indices[index])
