"""``--data NAME`` or ``--data DIR``: one door to every data set."""

import os
from collections.abc import Mapping
from pathlib import Path

from zoo.data.dataset import SegmentationDataset
from zoo.data.folder import FolderDataset
from zoo.errors import DataError, UnknownNameError, did_you_mean
from zoo.registry import registry


def open_dataset(
    data: str | os.PathLike[str],
    split: str,
    *,
    channels: int = 3,
    download: bool = False,
    values: Mapping[int, int] | None = None,
    root: str | os.PathLike[str] | None = None,
) -> SegmentationDataset:
    """Open one split of a data set.

    A registered name wins over a folder of the same name here; ``./name`` is the folder.

    Args:
        data: A registered name (``zoo list --kind dataset`` shows them) or a folder (see `zoo.data.layouts`).
        split: ``"train"``, ``"val"``, ``"test"``, or another one that it has.
        channels: 1, 3 or 4: grey, RGB or RGBA pictures.
        download: Fetch a registered data set that is not there.
        values: File value → label, for masks whose values are not labels: ``{0: 0, 255: 1}``.
        root: Where a registered data set lies or is to lie, in place of its usual places.

    Raises:
        UnknownNameError: Neither registered nor a folder.
        DataError: The data cannot be used as they are, or lack the split.
    """
    folder = folder_of(data, root)
    if folder is not None:
        return FolderDataset(folder, split, channels=channels, values=values)
    name = os.fspath(data)
    spec = registry().get("dataset", name)
    dataset = spec.load()(
        split, channels=channels, download=download, values=values, root=None if root is None else Path(root)
    )
    if not isinstance(dataset, SegmentationDataset):
        raise DataError(f"data set {name!r} ({spec.target}) made a {type(dataset).__name__}, no data set")
    return dataset


def folder_of(data: str | os.PathLike[str], root: str | os.PathLike[str] | None = None) -> Path | None:
    """The folder that `data` names; None where it is the name of a registered data set.

    Raises:
        UnknownNameError: It is neither.
        DataError: It is empty, or a folder although there is a `root`.
    """
    name = os.fspath(data)
    if not name:
        raise DataError("data is empty; name a data set or a folder")
    folder = Path(name).expanduser()
    if isinstance(data, str) and _may_be_name(name):
        if registry().lookup("dataset", name) is not None:
            return None
        if not (folder.exists() or os.sep in name):
            known = [spec.name for spec in registry().find("dataset")]
            raise UnknownNameError(
                f"there is no data set named {name!r}, and no folder {name!r} here.{did_you_mean(name, known)} "
                f"Registered are {', '.join(known) or 'none'}."
            )
    if root is not None:
        raise DataError(f"root ({root}) says where a registered data set lies; {folder} is a folder already")
    return folder


def _may_be_name(name: str) -> bool:
    """``namespace/name`` may be one; ``./x``, ``/x``, ``~/x``, ``x/`` and an existing ``a/b`` are folders."""
    if name.startswith((".", "~")) or os.path.isabs(name) or name.endswith(("/", os.sep)):
        return False
    return not (("/" in name or os.sep in name) and Path(name).exists())
