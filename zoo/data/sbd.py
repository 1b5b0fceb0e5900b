"""PASCAL VOC 2012 with the additional masks of SBD (Hariharan et al. 2011), and the lists that papers use.

=============== ======================================================================================
``train_aug``   VOC 2012 train and all of SBD, without VOC 2012 val: 10,582 pictures; also as ``train``
``val``         VOC 2012 val: 1449
``train_noval`` SBD's list of that name, which leaves out VOC's validation pictures: 5623
``seg11valid``  VOC 2011 val without SBD train: 736, on which the FCN papers report
=============== ======================================================================================
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from zoo.data.layouts import Layout, Pair, read_list
from zoo.data.matlab import MatlabDataset
from zoo.data.places import not_here, places
from zoo.data.recognised import VOC
from zoo.errors import DataError

_LISTS = Path("ImageSets") / "Segmentation"
_NOVAL = "http://home.bharathh.info/pubs/codes/SBD/train_noval.txt"
_SOURCE = (
    "VOCtrainval_11-May-2012.tar (http://host.robots.ox.ac.uk/pascal/VOC/voc2012/) and benchmark.tgz "
    "(http://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours/benchmark.tgz), unpacked"
)


class VOCAug(MatlabDataset):
    """One split of VOC 2012 with SBD, from local trees.

    A picture that VOC itself has labelled has VOC's mask; the others have SBD's: ``SegmentationClassAug/*.png`` where
    the VOC tree has it, else ``cls/*.mat`` (read by scipy). The masks of ``train_noval`` are SBD's throughout. SBD's
    masks have no ignored borders.

    Args:
        split: ``"train"``, ``"train_aug"``, ``"val"``, ``"train_noval"`` or ``"seg11valid"``.
        channels: 1, 3 or 4: grey, RGB or RGBA.
        download: Not possible: get the archives from their sites.
        values: Label → other label (255 to ignore), to merge classes; all of 0…20 must be listed.
        root: Holds ``VOCdevkit`` (VOC2012; VOC2011 as well for seg11valid) and ``benchmark_RELEASE`` or ``sbd``; by
            default ``$ZOO_DATA/voc2012_aug`` or the user's cache.

    Raises:
        DataError: A tree or a list is missing, or pictures without masks.
    """

    fields = ("GTcls", "Segmentation")

    def __init__(
        self,
        split: str,
        *,
        channels: int = 3,
        download: bool = False,
        values: Mapping[int, int] | None = None,
        root: Path | None = None,
    ) -> None:
        looked = places("voc2012_aug", root)
        for place in looked:
            voc, sbd = _tree(place, _VOC2012, "JPEGImages"), _tree(place, _SBD, "cls")
            if voc is not None and sbd is not None:
                break
        else:
            raise not_here("voc2012_aug", looked, "VOCdevkit/VOC2012/ and benchmark_RELEASE/dataset/", _SOURCE)
        wanted = "train_aug" if split == "train" else split
        makers = {"train_aug": _train_aug, "val": _val, "train_noval": _train_noval, "seg11valid": _seg11valid}
        if wanted not in makers:
            raise DataError(f"{place}: has no split {split!r}; it has train, {', '.join(makers)}")
        names = makers[wanted](voc, sbd)
        pairs = tuple(_pair(name, voc, sbd, only_sbd=wanted == "train_noval") for name in names)
        super().__init__(
            place, split, channels=channels, values=values, name="voc2012_aug", table=VOC,
            layout=Layout(place, "voc2012_aug", {split: pairs}),
        )  # fmt: skip


_VOC2012 = ("VOCdevkit/VOC2012", "VOC2012", "TrainVal/VOCdevkit/VOC2012")
_VOC2011 = ("VOC2011", "../VOC2011", "../../TrainVal/VOCdevkit/VOC2011")
_SBD = ("benchmark_RELEASE/dataset", "sbd", "dataset")


def _tree(place: Path, names: Iterable[str], inside: str) -> Path | None:
    return next((place / name for name in names if (place / name / inside).is_dir()), None)


def _train_aug(voc: Path, sbd: Path) -> list[str]:
    every = {*read_list(voc / _LISTS / "train.txt"), *read_list(sbd / "train.txt"), *read_list(sbd / "val.txt")}
    return sorted(every - {*read_list(voc / _LISTS / "val.txt")})


def _val(voc: Path, sbd: Path) -> list[str]:
    return read_list(voc / _LISTS / "val.txt")


def _train_noval(voc: Path, sbd: Path) -> list[str]:
    path = sbd / "train_noval.txt"
    if not path.is_file():
        raise DataError(f"{path}: is not there; it is no part of the archive: get it from {_NOVAL}")
    return read_list(path)


def _seg11valid(voc: Path, sbd: Path) -> list[str]:
    ready = voc / _LISTS / "seg11valid.txt"
    if ready.is_file():
        return read_list(ready)
    trees = [voc.parent / name for name in _VOC2011]
    lists = [path for tree in trees if (path := tree / _LISTS / "val.txt").is_file()]
    if not lists:
        raise DataError(
            f"{ready}: is not there, nor is VOC2011/{_LISTS}/val.txt beside {voc}, of which the list is made; unpack "
            "VOCtrainval_25-May-2011.tar there"
        )
    train = {*read_list(sbd / "train.txt")}
    return [name for name in read_list(lists[0]) if name not in train]


def _pair(name: str, voc: Path, sbd: Path, *, only_sbd: bool) -> Pair:
    images = (voc / "JPEGImages" / f"{name}.jpg", sbd / "img" / f"{name}.jpg")
    masks = [voc / "SegmentationClassAug" / f"{name}.png", sbd / "cls" / f"{name}.mat"]
    masks = masks[1:] if only_sbd else [voc / "SegmentationClass" / f"{name}.png", *masks]
    return Pair(name, *(next((path for path in paths if path.is_file()), None) for paths in (images, masks)))
