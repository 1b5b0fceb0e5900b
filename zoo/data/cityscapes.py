"""Cityscapes: street scenes of 50 cities, 2048×1024 (Cordts et al. 2016), in its 19 classes for training.

2975 / 500 / 1525 finely labelled pictures; the labels of the test split are not public. To be had from
https://www.cityscapes-dataset.com after signing up.
"""

from collections.abc import Mapping
from pathlib import Path

from zoo.config import IGNORE
from zoo.data.folder import FolderDataset
from zoo.data.labels import ClassTable
from zoo.data.layouts import Layout, Pair
from zoo.data.places import not_here, places
from zoo.errors import DataError

_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
"""The label ids of the files that are trained on, in the order of the labels; all others are ignored."""

CITYSCAPES = ClassTable(
    classes=(
        "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation",
        "terrain", "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle",
    ),
    palette=(
        (128, 64, 128), (244, 35, 232), (70, 70, 70), (102, 102, 156), (190, 153, 153), (153, 153, 153),
        (250, 170, 30), (220, 220, 0), (107, 142, 35), (152, 251, 152), (70, 130, 180), (220, 20, 60), (255, 0, 0),
        (0, 0, 142), (0, 0, 70), (0, 60, 100), (0, 80, 100), (0, 0, 230), (119, 11, 32),
    ),
    values=dict.fromkeys(range(34), IGNORE) | {file: label for label, file in enumerate(_IDS)},
)  # fmt: skip


class Cityscapes(FolderDataset):
    """One split of Cityscapes, from a local copy of ``leftImg8bit_trainvaltest.zip`` and ``gtFine_trainvaltest.zip``.

    Args:
        split: ``"train"`` or ``"val"``.
        channels: 1, 3 or 4: grey, RGB or RGBA.
        download: Not possible: the licence asks everybody to sign up.
        values: Label → other label (255 to ignore), to merge classes; all of 0…18 must be listed.
        root: Holds ``leftImg8bit`` and ``gtFine``; by default ``$ZOO_DATA/cityscapes`` or the user's cache.

    Raises:
        DataError: No copy, another split, or pictures without labels.
    """

    def __init__(
        self,
        split: str,
        *,
        channels: int = 3,
        download: bool = False,
        values: Mapping[int, int] | None = None,
        root: Path | None = None,
    ) -> None:
        looked = places("cityscapes", root)
        folder = next((place for place in looked if (place / "leftImg8bit").is_dir()), None)
        if folder is None or not (folder / "gtFine").is_dir():
            raise not_here(
                "cityscapes", looked, "leftImg8bit/ and gtFine/", "https://www.cityscapes-dataset.com/downloads"
            )
        layout = Layout(folder, "cityscapes", {name: _pairs(folder, name) for name in ("train", "val")})
        if split == "test":
            raise DataError(f"{folder}: the labels of Cityscapes' test split are not public; it has train, val")
        super().__init__(
            folder, split, channels=channels, values=values, name="cityscapes", table=CITYSCAPES, layout=layout
        )


def _pairs(folder: Path, split: str) -> tuple[Pair, ...]:
    pairs = []
    for image in sorted((folder / "leftImg8bit" / split).glob("*/*_leftImg8bit.png")):
        city, name = image.parent.name, image.name.removesuffix("_leftImg8bit.png")
        mask = folder / "gtFine" / split / city / f"{name}_gtFine_labelIds.png"
        pairs.append(Pair.of_files(f"{city}/{name}", image, mask))
    return tuple(pairs)
