"""The objects in a label map: their classes, boxes and pixels."""

from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zoo.config import IGNORE


class Box(NamedTuple):
    """A rectangle of pixels: rows top…bottom - 1, columns left…right - 1; it may reach beyond the picture."""

    top: int
    left: int
    bottom: int
    right: int

    def enlarged(self, factor: float) -> "Box":
        """The box with both sides times `factor` about its middle, rounded outwards."""
        rows, columns = (self.bottom - self.top) * (factor - 1) / 2, (self.right - self.left) * (factor - 1) / 2
        down, across = int(np.ceil(rows - 1e-9)), int(np.ceil(columns - 1e-9))
        return Box(self.top - down, self.left - across, self.bottom + down, self.right + across)


class Thing(NamedTuple):
    """One object: its class, its tight box, its number in the map of objects."""

    label: int
    box: Box
    number: int


def find_objects(
    labels: NDArray[np.integer[Any]],
    instances: NDArray[np.integer[Any]] | None = None,
    *,
    background: Collection[int] = (0,),
    least: int = 1,
) -> tuple[list[Thing], NDArray[np.int64]]:
    """The objects of a label map (H, W), and the map (H, W) of their numbers, -1 where there is none.

    Args:
        labels: 0…K-1, 255 for none.
        instances: A map (H, W) that tells objects apart, as VOC's SegmentationObject; 0 and 255 are none. Without it,
            an object is what hangs together (at edges, not at corners) and has one label.
        background: Labels that are no objects.
        least: Smaller objects, in pixels, are left out.
    """
    covered = ~np.isin(labels, [*background, IGNORE])
    if instances is None:
        numbers = np.where(covered, components(labels), -1)
    else:
        covered &= (instances != 0) & (instances != IGNORE)
        pairs = instances.astype(np.int64) * 256 + labels  # one number may be used for several classes
        numbers = np.where(covered, pairs, -1)
    found = []
    rows, columns = np.nonzero(covered)
    which = numbers[rows, columns]
    order = np.argsort(which, kind="stable")
    starts = np.flatnonzero(np.diff(which[order], prepend=-1))
    for part in np.split(order, starts[1:]) if len(order) else []:
        if len(part) >= least:
            at_rows, at_columns = rows[part], columns[part]
            box = Box(int(at_rows.min()), int(at_columns.min()), int(at_rows.max()) + 1, int(at_columns.max()) + 1)
            found.append(Thing(int(labels[at_rows[0], at_columns[0]]), box, int(which[part[0]])))
    return sorted(found, key=lambda thing: (thing.box, thing.label)), numbers


def components(labels: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """A number (H, W) for every connected area of one label; neighbours share an edge."""
    height, width = labels.shape
    begins = np.ones((height, width), dtype=np.bool_)
    begins[:, 1:] = labels[:, 1:] != labels[:, :-1]
    runs = begins.ravel().cumsum().reshape(height, width) - 1  # equal neighbours in a row are one run
    same = labels[1:] == labels[:-1]
    count = int(runs[-1, -1]) + 1
    one, other = np.divmod(np.unique(runs[:-1][same] * count + runs[1:][same]), count)
    parent = np.arange(count)
    while True:
        lowest = np.minimum(parent[one], parent[other])
        before = parent.copy()
        np.minimum.at(parent, parent[one], lowest)
        np.minimum.at(parent, parent[other], lowest)
        parent = parent[parent]
        if np.array_equal(parent, before):
            break
    numbered: NDArray[np.int64] = parent[runs]
    return numbered
