"""What a data set is: pictures, label masks, and the names and colours of the classes."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset
from torchvision import tv_tensors

from zoo.config import Color
from zoo.errors import DataError


class Sample(NamedTuple):
    """A picture and its labels.

    Attributes:
        image: uint8 (C, H, W), channels in RGB order.
        mask: int64 (H, W), labels 0…K-1, and 255 where there is none (`zoo.config.IGNORE`).
    """

    image: tv_tensors.Image
    mask: tv_tensors.Mask


class SegmentationDataset(Dataset[Sample]):
    """One split of a data set; ``dataset[i]`` is a `Sample` for 0 ≤ i < len(dataset).

    Attributes:
        name: For people and for records: ``"camvid"``, or a folder's name.
        split: ``"train"``, ``"val"``, ``"test"`` or another one that it has.
        classes: The K class names, in label order.
        palette: One RGB colour per class.
        channels: C of its pictures.
    """

    name: str
    split: str
    classes: tuple[str, ...]
    palette: tuple[Color, ...]
    channels: int = 3

    @property
    def num_classes(self) -> int:
        """K."""
        return len(self.classes)

    def __len__(self) -> int:
        raise TypeError(f"{type(self).__name__} does not define __len__")

    def __getitem__(self, index: int) -> Sample:
        raise TypeError(f"{type(self).__name__} does not define __getitem__(index)")

    def label(self, index: int) -> str:
        """What sample `index` is called in messages and file names: its relative path, or its number."""
        return f"{self.split}/{index:05d}"

    def labels(self, index: int) -> NDArray[np.integer[Any]]:
        """The label map (H, W) of a sample alone; cheaper than the whole sample where a data set knows how."""
        labels: NDArray[np.integer[Any]] = self[index].mask.numpy()
        return labels

    def size(self, index: int) -> tuple[int, int]:
        """(H, W) of a sample's picture; cheaper than the whole sample where a data set knows how."""
        height, width = self[index].image.shape[-2:]
        return height, width

    def check(self, index: int) -> NDArray[np.integer[Any]]:
        """`labels` of a sample, once it is sure that its picture is of the same size; raises `DataError`."""
        labels, size = self.labels(index), self.size(index)
        if labels.shape != size:
            raise DataError(
                f"{self.label(index)}: the picture is {size[1]} × {size[0]} pixels, but its mask has the shape "
                f"{labels.shape}; (height, width) of the picture is expected"
            )
        return labels

    def __repr__(self) -> str:
        return f"<{self.name} {self.split}: {len(self)} samples, {self.num_classes} classes>"
