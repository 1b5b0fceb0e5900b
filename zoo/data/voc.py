"""PASCAL VOC 2012 segmentation (Everingham et al. 2010): 20 classes and background, 1464 / 1449 pictures."""

import contextlib
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

from zoo.data.folder import FolderDataset
from zoo.data.places import absent, fetch, places
from zoo.data.recognised import VOC
from zoo.errors import DataError

MIRRORS = ("http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",)
"""Where the archive lies besides the address that torchvision knows; its hash is checked in any case."""


class VOC2012(FolderDataset):
    """One split of VOC 2012, from a local tree or archive.

    Args:
        split: ``"train"``, ``"val"`` or ``"trainval"``; the labels of ``"test"`` are not public.
        channels: 1, 3 or 4: grey, RGB or RGBA.
        download: Fetch the archive (2 GB) where there is neither.
        values: Label → other label (255 to ignore), to merge classes; all of 0…20 must be listed.
        root: Holds ``VOCdevkit/VOC2012`` or the archive ``VOCtrainval_11-May-2012.tar``, which is then unpacked
            there; by default ``$ZOO_DATA/voc2012`` or the user's cache.

    Raises:
        DataError: Neither tree nor archive and no wish to download, a damaged archive, or another split.
        DownloadError: The archive cannot be fetched.
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
        folder = _find(root) or _from_archive(root)
        if folder is None and download:
            folder = _install(places("voc2012", root)[0])
        if folder is None:
            raise absent("voc2012", places("voc2012", root), root, "2 GB")
        super().__init__(folder, split, channels=channels, values=values, name="voc2012", table=VOC)


def _find(root: Path | None) -> Path | None:
    for place in places("voc2012", root):
        for folder in (place, place / "VOC2012", place / "VOCdevkit" / "VOC2012"):
            if (folder / "JPEGImages").is_dir() and (folder / "SegmentationClass").is_dir():
                return folder
    return None


def _from_archive(root: Path | None) -> Path | None:
    """Unpack an archive that lies in one of the places; None where none does."""
    record = _record()
    for place in places("voc2012", root):
        archive = place if place.is_file() else place / record["filename"]
        if archive.is_file():
            from torchvision.datasets.utils import check_integrity

            if not check_integrity(str(archive), record["md5"]):
                raise DataError(f"{archive}: is damaged: its md5 is not {record['md5']}; remove it and fetch it again")
            return _install(archive.parent, archive)
    return None


def _install(place: Path, archive: Path | None = None) -> Path:
    """Fetch the archive unless it is there, let torchvision check and unpack it, and move the tree in at once."""
    from torchvision.datasets import VOCSegmentation

    record = _record()
    target = place / "VOCdevkit"
    try:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place, prefix=".voc2012.") as name:
            local = Path(name) / record["filename"]
            if archive is None:
                fetch("voc2012", (record["url"], *MIRRORS), local, md5=record["md5"])
            else:
                local.symlink_to(archive.resolve())
            with contextlib.redirect_stdout(sys.stderr):  # torchvision reports there; stdout is for results
                VOCSegmentation(name, year="2012", image_set="train", download=True)
            (Path(name) / "VOCdevkit").rename(target)
    except (OSError, RuntimeError, tarfile.TarError) as error:
        if not (target / "VOC2012").is_dir():  # unless another process was faster
            raise DataError(f"{place}: voc2012 cannot be put there: {error}") from None
    return target / "VOC2012"


def _record() -> dict[str, str]:
    """Address, file name and md5 of the archive, as torchvision knows them."""
    from torchvision.datasets.voc import DATASET_YEAR_DICT

    record: dict[str, str] = DATASET_YEAR_DICT["2012"]
    return record
