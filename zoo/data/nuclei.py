"""Nuclei under the microscope: the training pictures of the Data Science Bowl 2018 (Caicedo et al. 2019), CC0.

664 pictures of many sizes and kinds: fluorescence, dark and grey, stained tissue, in colour, and bright fields. Which
kind a picture is goes with its size. Nobody published a split; ours takes a fifth of each size for val, by hash of the
name. Some pictures are cut from the same slide, so val reads too high for slides of another laboratory.
"""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from zoo.data.folder import FolderDataset
from zoo.data.images import image_size
from zoo.data.labels import ClassTable
from zoo.data.layouts import Layout, Pair, by_hash, match
from zoo.data.places import not_here, places

NUCLEI = ClassTable(classes=("background", "nucleus"), palette=((38, 42, 51), (244, 162, 97)))


class Nuclei(FolderDataset):
    """One split of the nuclei.

    Args:
        split: ``"train"`` or ``"val"``.
        channels: 1, 3 or 4: grey, RGB or RGBA.
        download: Not possible: the pictures are published with a mask per nucleus.
        values: Label → other label.
        root: Holds ``images`` and ``masks`` (0 background, 1 nucleus); by default ``$ZOO_DATA/nuclei`` or the user's
            cache.

    Raises:
        DataError: There is no copy, or a picture cannot be read.
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
        looked = places("nuclei", root)
        folder = next((place for place in looked if (place / "images").is_dir() and (place / "masks").is_dir()), None)
        if folder is None:
            source = "https://bbbc.broadinstitute.org/BBBC038, the masks of each picture joined into one of 0 and 1"
            raise not_here("nuclei", looked, "images/ and masks/", source)
        splits = _stratified(match(folder / "images", folder / "masks"))
        layout = Layout(folder, "nuclei", splits)
        super().__init__(folder, split, channels=channels, values=values, name="nuclei", table=NUCLEI, layout=layout)


def _stratified(pairs: tuple[Pair, ...]) -> dict[str, tuple[Pair, ...]]:
    """A fifth of the pictures of each size is val; where there is only one of a size, it is train."""
    by_size: dict[tuple[int, int], list[Pair]] = defaultdict(list)
    for pair in pairs:
        by_size[(0, 0) if pair.image is None else image_size(pair.image)].append(pair)
    splits: dict[str, list[Pair]] = {"train": [], "val": []}
    for group in by_size.values():
        halves = by_hash(group) if len(group) > 1 else {"train": tuple(group), "val": ()}
        for split, chosen in halves.items():
            splits[split] += chosen
    return {split: tuple(sorted(chosen)) for split, chosen in splits.items()}
