"""A folder of pictures and masks as a data set."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision import tv_tensors

from zoo.config import IGNORE
from zoo.data import recognised
from zoo.data.dataset import Sample, SegmentationDataset
from zoo.data.description import Description, read_description
from zoo.data.images import image_size, read_image
from zoo.data.labels import ClassTable, Labelling, check_values, count_of
from zoo.data.layouts import Layout, find_layout
from zoo.data.scan import binary_offer, count_classes, file_values, is_binary
from zoo.errors import DataError


class FolderDataset(SegmentationDataset):
    """One split of a folder in one of the layouts of `zoo.data.layouts`.

    Classes come from `table`, else from the folder's data.toml, else from what the folder is recognised to
    be (CamVid, VOC), else from one look at the masks of all splits: the largest label + 1.

    Args:
        root: The folder.
        split: ``"train"``, ``"val"``, … as the folder has them.
        channels: 1, 3 or 4: see `read_image`.
        values: File value → label; takes the place of `values` in data.toml.
        name: By default the one in data.toml, or the folder's.
        table: The classes, where the caller knows what the folder holds.
        layout: Its pictures and masks, where the caller knows a tree that `find_layout` does not.

    Attributes:
        layout: The pictures and masks of all its splits.
        table: Its classes, their colours, and what is no class.
        labelling: How its masks are read.

    Raises:
        DataError: No such folder or split, no layout that is recognised, a picture without a mask, or labels
            that make no sense.
    """

    def __init__(
        self,
        root: str | Path,
        split: str,
        *,
        channels: int = 3,
        values: Mapping[int, int] | None = None,
        name: str | None = None,
        table: ClassTable | None = None,
        layout: Layout | None = None,
    ) -> None:
        if channels not in (1, 3, 4):
            raise DataError(f"pictures are read with 1 (grey), 3 (RGB) or 4 (RGBA) channels, not {channels}")
        self.root = Path(root).expanduser()
        self.layout = layout = find_layout(self.root) if layout is None else layout
        self._files = layout.pairs(split)
        description = read_description(self.root)
        self.name = name or description.name or self.root.resolve().name
        self.split = split
        self.channels = channels
        if values is not None:
            values = check_values(values, str(self.root))
        mapping = values if values is not None else description.values
        known = meaning(layout, description, values, table)
        if known is None:
            count = count_classes(file_values(layout.masks()), description.table.ignore, layout.root)
            known = numbered(count, description, None)
        self.table, self.labelling = known
        self.classes, self.palette = self.table.classes, self.table.palette
        self.states_255 = description.states_255 or (mapping is not None and IGNORE in mapping)

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> Sample:
        """Sample `index`; raises `DataError` where a file is damaged, sizes differ or a label is out of range."""
        image = read_image(self._files[index][0], self.channels)
        labels = self.labels(index)
        self._same_size(index, tuple(image.shape[-2:]), labels.shape)
        return Sample(tv_tensors.Image(image), tv_tensors.Mask(torch.from_numpy(labels.astype(np.int64))))

    def label(self, index: int) -> str:
        return self._files[index][0].relative_to(self.root).as_posix()

    def mask_file(self, index: int) -> Path:
        """The file of a sample's mask."""
        return self._files[index][1]

    def labels(self, index: int) -> NDArray[np.uint8]:
        return self.labelling.read(self._files[index][1])

    def size(self, index: int) -> tuple[int, int]:
        return image_size(self._files[index][0])

    def check(self, index: int) -> NDArray[np.uint8]:
        labels = self.labels(index)
        self._same_size(index, self.size(index), labels.shape)
        return labels

    def binary(self) -> str | None:
        """What to say where the masks hold only 0 and 255, and nobody said what 255 means."""
        if self.states_255:
            return None
        try:
            values = file_values([mask for _, mask in self._files])
        except DataError:  # masks in colours
            return None
        return binary_offer(self.root) if is_binary(values) else None

    def _same_size(self, index: int, image: tuple[int, ...], mask: tuple[int, ...]) -> None:
        if image == mask:
            return
        turned = " (the picture is turned by its EXIF orientation, the mask is not)" if image == mask[::-1] else ""
        raise DataError(
            f"{self._files[index][0]}: is {image[1]} × {image[0]} pixels, but its mask {self._files[index][1]} is "
            f"{mask[1]} × {mask[0]}{turned}; they must be of the same size"
        )


def meaning(
    layout: Layout,
    description: Description,
    values: Mapping[int, int] | None = None,
    table: ClassTable | None = None,
) -> tuple[ClassTable, Labelling] | None:
    """The classes of a folder and how its masks are read; None where only the masks themselves can tell.

    Args:
        layout: What is in the folder.
        description: What its data.toml says.
        values: File value → label, in the place of the one in `description`.
        table: The classes, where the caller knows them.
    """
    mapping = values if values is not None else description.values
    told = description.table
    if table is None and not told.classes:
        table = recognised.table_of(layout)
    if table is not None:
        table = replace(table, ignore=table.ignore | told.ignore, void=table.void + told.void)
        mapping, table, colors = table.reading(mapping), table.merged(mapping), table.colors(mapping)
    elif told.classes and (values is None or count_of(values) == len(told.classes)):
        table, colors = told, told.colors()  # data.toml names what the mapping leads to
    elif told.classes:
        table, colors = told.merged(values), told.colors(values)
    elif mapping is not None:
        return numbered(count_of(mapping), description, mapping)
    else:
        return None
    return table, Labelling(len(table.classes), mapping, table.ignore, colors)


def numbered(count: int, description: Description, mapping: Mapping[int, int] | None) -> tuple[ClassTable, Labelling]:
    """So many classes of which no name is known."""
    told = description.table
    table = replace(ClassTable.numbered(count), ignore=told.ignore, void=told.void)
    return table, Labelling(count, mapping, told.ignore, dict.fromkeys(told.void, IGNORE))
