"""How many classes a folder without a class table has: one look at every mask."""

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np

from zoo.config import IGNORE
from zoo.data.images import read_mask
from zoo.data.labels import MAX_CLASSES, numbers
from zoo.errors import DataError

A = TypeVar("A")
B = TypeVar("B")

_SPARSE_FROM = 64
_seen: dict[tuple[tuple[str, int, int], ...], frozenset[int]] = {}


def parallel(function: Callable[[A], B], items: Iterable[A], workers: int | None = None) -> Iterator[B]:
    """``map`` with threads, in order; the first failure in that order is raised and ends the rest."""
    with ThreadPoolExecutor(workers or min(8, (os.cpu_count() or 1) + 1)) as pool:
        yield from pool.map(function, items)


def file_values(masks: Sequence[Path]) -> frozenset[int]:
    """All values that occur in some masks; remembered while the files stay as they are. Raises `DataError`."""
    try:
        stats = [(str(path), path.stat()) for path in masks]
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read: {error.strerror}") from None
    key = tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in stats)
    if key not in _seen:
        if len(_seen) >= 16:
            _seen.pop(next(iter(_seen)))
        _seen[key] = frozenset(value for values in parallel(_values_of, masks) for value in values)
    return _seen[key]


def _values_of(path: Path) -> frozenset[int]:
    raw = read_mask(path)
    if raw.dtype != np.uint8:
        return frozenset(np.unique(raw).tolist())
    occurs = np.zeros(256, dtype=np.bool_)
    occurs[raw] = True
    return frozenset(np.flatnonzero(occurs).tolist())


def count_classes(values: Collection[int], ignore: Collection[int], root: Path) -> int:
    """Largest label + 1, where the values look like labels.

    Raises:
        DataError: They do not: only 0 and 255, only one value, far apart (grey values rather than labels),
            or too large.
    """
    labels = {value for value in values if value not in ignore and value != IGNORE}
    if not labels:
        raise DataError(f"{root}: its masks hold no label, only ignored values ({numbers(values)})")
    if is_binary(values) and IGNORE not in ignore:
        raise DataError(binary_offer(root))
    if labels == {0}:
        raise DataError(f"{root}: its masks hold nothing but 0; are they the right files?")
    if min(labels) < 0:
        raise DataError(f"{root}: its masks hold negative values ({numbers(labels)}); labels are 0, 1, 2, …")
    largest = max(labels)
    if largest >= MAX_CLASSES or (largest >= _SPARSE_FROM and 2 * len(labels) <= largest):
        ordered = sorted({*labels, *({IGNORE} & set(values))})
        some = "{" + ", ".join(f"{value} = {label}" for label, value in enumerate(ordered[:12])) + "}"
        raise DataError(
            f"{root}: its masks hold the values {numbers(ordered)}, which are no labels 0, 1, 2, …; say in data.toml "
            f"what each means, e.g. values = {some if len(ordered) <= 12 else some[:-1] + ', …}'} "
            "(a value to leave out: = 255), or list `classes`"
        )
    return largest + 1


def is_binary(values: Collection[int]) -> bool:
    """Whether values are those of a 0/255 mask."""
    return set(values) == {0, IGNORE}


def binary_offer(where: Path | str) -> str:
    """The message for 0/255 masks, which would be one class and nothing else if 255 were ignored."""
    return (
        f"{where}: its masks hold only 0 and 255, and 255 means 'no label'. If they are two classes, write "
        "values = {0 = 0, 255 = 1} into data.toml in that folder, or add -o data.values='{0=0,255=1}' to the command "
        "(in Python: values={0: 0, 255: 1}). If 255 really is no label, write classes and ignore = 255 into data.toml."
    )
