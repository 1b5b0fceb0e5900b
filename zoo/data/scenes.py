"""NYUDv2 and SIFT Flow, in the folder trees in which the FCN release reads them; masks are MATLAB files."""

from collections.abc import Mapping
from pathlib import Path

from zoo import classes
from zoo.config import IGNORE
from zoo.data.images import voc_palette
from zoo.data.labels import ClassTable
from zoo.data.layouts import Layout, Pair, read_list
from zoo.data.matlab import MatlabDataset
from zoo.data.places import not_here, places
from zoo.errors import DataError, did_you_mean


def _table(names: tuple[str, ...]) -> ClassTable:
    """Classes whose files hold 1…K, and 0 where there is no label."""
    count = len(names)
    values = {0: IGNORE} | {label + 1: label for label in range(count)}
    return ClassTable(names, voc_palette(count + 1)[1:], values=values)


class _Listed(MatlabDataset):
    """Pictures and masks named by lists ``train.txt``, ``val.txt``, ``trainval.txt``, ``test.txt`` in the root."""

    key: str
    table_of: ClassTable
    images: str
    masks: str
    source: str

    def __init__(
        self,
        split: str,
        *,
        channels: int = 3,
        download: bool = False,
        values: Mapping[int, int] | None = None,
        root: Path | None = None,
    ) -> None:
        looked = places(self.key, root)
        image_folder, mask_folder = Path(self.images).parent, Path(self.masks).parent
        there = [place for place in looked if (place / image_folder).is_dir() and (place / mask_folder).is_dir()]
        if not there:
            expected = f"{image_folder.as_posix()}/ and {mask_folder.as_posix()}/"
            raise not_here(self.key, looked, expected, self.source)
        folder = there[0]
        lists = {path.stem: path for path in sorted(folder.glob("*.txt"))}
        wanted = "trainval" if split == "train" and "train" not in lists else split
        if wanted not in lists:
            raise DataError(
                f"{folder}: has no list {split}.txt of the pictures of split {split!r}; it has "
                f"{', '.join(lists) or 'none'}.{did_you_mean(split, lists)}"
            )
        pairs = tuple(
            Pair.of_files(name, folder / self.images.format(name), folder / self.masks.format(name))
            for name in read_list(lists[wanted])
        )
        layout = Layout(folder, self.key, {split: pairs})
        super().__init__(
            folder, split, channels=channels, values=values, name=self.key, table=self.table_of, layout=layout
        )


class NYUDv2(_Listed):
    """One split of NYU Depth v2 (Silberman et al. 2012), colour, in the 40 classes of Gupta et al. (2013): 795 / 654.

    Args:
        split: As there are lists: ``"train"`` (381) or, without such a list, all of trainval; ``"val"`` (414),
            ``"trainval"``, ``"test"``.
        channels: 1, 3 or 4: grey, RGB or RGBA.
        download: Not possible: the files come from several sites.
        values: Label → other label (255 to ignore), to merge classes; all of 0…39 must be listed.
        root: Holds ``data/images/img_0001.png``, ``segmentation/img_0001.mat`` (variable ``segmentation``, 0 for none)
            and the lists of numbers ``0001``; by default ``$ZOO_DATA/nyudv2`` or the user's cache.

    Raises:
        DataError: No copy, no such list, missing files, or scipy is not installed.
    """

    key = "nyudv2"
    fields = ("segmentation",)
    table_of = _table(classes.NYUD)
    images = "data/images/img_{}.png"
    masks = "segmentation/img_{}.mat"
    source = "http://people.eecs.berkeley.edu/~sgupta/cvpr13/ (its data, unpacked)"


class SIFTFlow(_Listed):
    """One split of SIFT Flow (Liu, Yuen, Torralba 2011), its 33 semantic classes, 256×256.

    Args:
        split: As there are lists: ``"train"`` or, without such a list, all of trainval; ``"test"``.
        channels: 1, 3 or 4: grey, RGB or RGBA.
        download: Not possible: get it from its site.
        values: Label → other label (255 to ignore), to merge classes; all of 0…32 must be listed.
        root: Holds ``Images/spatial_envelope_256x256_static_8outdoorcategories/*.jpg``, ``SemanticLabels/…/*.mat``
            (variable ``S``, 0 for none) and the lists of names; by default ``$ZOO_DATA/siftflow`` or the user's cache.

    Raises:
        DataError: No copy, no such list, missing files, or scipy is not installed.
    """

    key = "siftflow"
    fields = ("S",)
    table_of = _table(classes.SIFT_FLOW)
    images = "Images/spatial_envelope_256x256_static_8outdoorcategories/{}.jpg"
    masks = "SemanticLabels/spatial_envelope_256x256_static_8outdoorcategories/{}.mat"
    source = "https://people.csail.mit.edu/celiu/SIFTflow/ (SiftFlowDataset.zip, unpacked)"
