"""One look at one sample: everything that is wrong with it, and what its mask holds."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from zoo.config import IGNORE, Color
from zoo.data.dataset import SegmentationDataset
from zoo.data.images import color_codes, read_image, read_raw_mask
from zoo.data.labels import Labelling
from zoo.data.layouts import Pair
from zoo.errors import DataError

MOST_COLORS = 256
"""A mask with more colours than this is a photograph; they are not counted further."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one sample is.

    Attributes:
        name: Its picture, relative to the data set's folder; for messages.
        size: (H, W) of the picture; None where it cannot be read.
        digest: Hash of the decoded picture.
        values: File value → pixels, for masks of one channel.
        labels: Label → pixels (255 for none); None where the mask cannot be read or nobody knows what it means.
        colors: Colour → pixels, for a mask in colours that nobody knows.
        faults: (kind, message) of everything that is wrong.
    """

    name: str
    size: tuple[int, int] | None = None
    digest: bytes | None = None
    values: Mapping[int, int] | None = None
    labels: Mapping[int, int] | None = None
    colors: Mapping[Color, int] | None = None
    faults: tuple[tuple[str, str], ...] = ()


def look_at_files(pair: Pair, root: Path, labelling: Labelling | None, channels: int) -> Look:
    """Read a picture and its mask; without `labelling`, only what the mask holds is noted, not what it means."""
    look = Look(_name(pair, root))
    faults: list[tuple[str, str]] = []
    if pair.image is None:
        faults.append(("no picture", f"{look.name}: has no picture"))
    else:
        try:
            image = read_image(pair.image, channels)
            look = replace(look, size=(image.shape[-2], image.shape[-1]), digest=_digest(image))
        except DataError as error:
            faults.append(("unreadable", str(error)))
    if pair.mask is None:
        faults.append(("no mask", f"{look.name}: has no mask"))
    else:
        try:
            raw = read_raw_mask(pair.mask)
        except DataError as error:
            faults.append(("unreadable", str(error)))
        else:
            look, wrong = _look_at_mask(look, raw, pair.mask, labelling)
            faults += wrong
    return replace(look, faults=tuple(faults))


def look_at_sample(dataset: SegmentationDataset, index: int) -> Look:
    """Read a sample of a data set that knows itself what its masks mean."""
    look = Look(dataset.label(index))
    try:
        image, mask = dataset[index]
    except DataError as error:
        return replace(look, faults=(("unreadable", str(error)),))
    labels = _count(mask.numpy())
    look = replace(look, size=(image.shape[-2], image.shape[-1]), digest=_digest(image), labels=labels)
    faults = []
    if mask.shape != image.shape[-2:]:
        faults.append(("sizes", _sizes(look, mask.shape)))
    wrong = [label for label in labels if label != IGNORE and not 0 <= label < dataset.num_classes]
    if wrong:
        message = f"{look.name}: label {wrong[0]}; the {dataset.num_classes} classes are 0…{dataset.num_classes - 1}"
        faults.append(("values", message))
        look = replace(look, labels=None)
    return replace(look, faults=tuple(faults))


def _look_at_mask(
    look: Look, raw: NDArray[np.integer[Any]], path: Path, labelling: Labelling | None
) -> tuple[Look, list[tuple[str, str]]]:
    faults = []
    if look.size is not None and raw.shape[:2] != look.size:
        faults.append(("sizes", _sizes(look, raw.shape[:2])))
    if raw.ndim == 3 and labelling is None and bool((raw == raw[..., :1]).all()):
        raw = raw[..., 0]
    if raw.ndim == 2:
        look = replace(look, values=_count(raw))
    if labelling is None:
        return (look if raw.ndim == 2 else replace(look, colors=_colors(raw))), faults
    try:
        return replace(look, labels=_count(labelling.translate(raw, path))), faults
    except DataError as error:
        colored = raw.ndim == 3 and not (raw == raw[..., :1]).all()
        if colored:
            look = replace(look, colors=_colors(raw))
        return look, [*faults, ("colours" if colored else "values", str(error))]


def _sizes(look: Look, mask: tuple[int, ...]) -> str:
    assert look.size is not None
    turned = " (the picture is turned by its EXIF orientation, the mask is not)" if look.size == mask[::-1] else ""
    return f"{look.name}: the picture is {look.size[1]} × {look.size[0]}, its mask {mask[1]} × {mask[0]}{turned}"


def _name(pair: Pair, root: Path) -> str:
    path = pair.image or pair.mask
    return path.relative_to(root).as_posix() if path is not None and path.is_relative_to(root) else pair.name


def _digest(image: Tensor) -> bytes:
    hashed = hashlib.blake2b(repr(tuple(image.shape)).encode(), digest_size=16)
    hashed.update(np.ascontiguousarray(image.numpy()).data)
    return hashed.digest()


def _count(values: NDArray[np.integer[Any]]) -> dict[int, int]:
    """Value → pixels."""
    if values.dtype == np.uint8:
        counts = np.bincount(values.ravel(), minlength=256)
        return {int(value): int(counts[value]) for value in np.flatnonzero(counts)}
    found, counts = np.unique(values, return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))


def _colors(raw: NDArray[np.integer[Any]]) -> dict[Color, int]:
    found, counts = np.unique(color_codes(raw), return_counts=True)
    first = np.argsort(-counts, kind="stable")[: MOST_COLORS + 1]
    return {
        (int(c) >> 16, int(c) >> 8 & 255, int(c) & 255): int(n)
        for c, n in zip(found[first], counts[first], strict=True)
    }
