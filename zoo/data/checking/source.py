"""What there is to check: the samples of every split, and how to look at one."""

import os
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo.data.catalog import folder_of, open_dataset
from zoo.data.checking.look import Look, look_at_files, look_at_sample
from zoo.data.dataset import SegmentationDataset
from zoo.data.description import Description, read_description
from zoo.data.folder import FolderDataset, meaning
from zoo.data.labels import ClassTable, Labelling, check_values
from zoo.data.layouts import Layout, Pair, find_layout
from zoo.errors import DataError

UNIONS = frozenset({"all", "trainval"})
"""Splits that are others put together; they are looked at only where they are asked for, or are alone."""


@dataclass(frozen=True, slots=True)
class Source:
    """A data set, ready to be looked at.

    Attributes:
        name: For people.
        where: Its folder; None where it has none.
        layout: Its files, where they are all read in the same way.
        splits: Split → what `look` takes.
        look: Key of a sample → what it is.
        table: The classes, where they are known before the masks are read.
        named: Whether their names are known too.
        ignore: File values that mean no label.
        states_255: Whether it is said somewhere what 255 means.
        asked: Whether just these splits were asked for.
    """

    name: str
    where: Path | None
    layout: Layout | None
    splits: Mapping[str, Sequence[Hashable]]
    look: Callable[..., Look]
    table: ClassTable | None
    named: bool
    ignore: frozenset[int] = frozenset()
    states_255: bool = True
    asked: bool = False


def open_source(
    data: str | os.PathLike[str],
    splits: Sequence[str] | None,
    *,
    channels: int,
    values: Mapping[int, int] | None,
    root: str | os.PathLike[str] | None,
    download: bool,
) -> Source:
    """Find out what a data set holds, without reading its pictures; raises as `open_dataset` does."""
    folder = folder_of(data, root)
    if folder is not None:
        layout = find_layout(folder)
        description = read_description(folder)
        values = None if values is None else check_values(values, str(folder))
        known = meaning(layout, description, values)
        return _files(description.name or folder.resolve().name, layout, known, description, splits, channels)
    opened = _open_splits(data, splits, channels=channels, values=values, root=root, download=download)
    first = next(iter(opened.values()))
    if isinstance(first, FolderDataset) and type(first).labels is FolderDataset.labels:
        known = first.table, first.labelling
        return _files(first.name, first.layout, known, read_description(first.root), splits, channels)

    def look(key: tuple[str, int]) -> Look:
        return look_at_sample(opened[key[0]], key[1])

    keys = {split: [(split, index) for index in range(len(dataset))] for split, dataset in opened.items()}
    where = first.root if isinstance(first, FolderDataset) else None
    table = ClassTable(first.classes, first.palette)
    return Source(first.name, where, None, keys, look, table, named=True, asked=splits is not None)


def _files(
    name: str,
    layout: Layout,
    known: tuple[ClassTable, Labelling] | None,
    description: Description,
    splits: Sequence[str] | None,
    channels: int,
) -> Source:
    table, labelling = known or (None, None)
    wanted = _usual(layout.splits) if splits is None else splits

    def look(pair: Pair) -> Look:
        return look_at_files(pair, layout.root, labelling, channels)

    mapped = labelling is not None and labelling.values is not None and 255 in labelling.values
    return Source(
        name,
        layout.root,
        layout,
        {split: layout.samples(split) for split in wanted},
        look,
        table,
        named=table is not None and table.classes != ClassTable.numbered(len(table.classes)).classes,
        ignore=description.table.ignore,
        states_255=description.states_255 or mapped,
        asked=splits is not None,
    )


def _usual(splits: Mapping[str, Sequence[Pair]]) -> list[str]:
    parts = [split for split in splits if split not in UNIONS]
    return parts or list(splits)


def _open_splits(
    data: str | os.PathLike[str],
    splits: Sequence[str] | None,
    *,
    channels: int,
    values: Mapping[int, int] | None,
    root: str | os.PathLike[str] | None,
    download: bool,
) -> dict[str, SegmentationDataset]:
    """The splits of a registered data set: those asked for, or those of the three usual ones that it has."""
    opened: dict[str, SegmentationDataset] = {}
    failure: DataError | None = None
    for split in splits if splits is not None else ("train", "val", "test"):
        try:
            opened[split] = open_dataset(
                data, split, channels=channels, values=values, root=root, download=download and not opened
            )
        except DataError as error:
            if splits is not None:
                raise
            failure = failure or error
    if not opened:
        raise failure or DataError(f"{os.fspath(data)}: no split is given to look at")
    return opened
