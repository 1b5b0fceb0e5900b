"""File values → labels: which values a mask may hold, and what each of them means."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.config import IGNORE, Color
from zoo.data.images import PathLike, labels_of_colors, read_raw_mask, voc_palette
from zoo.errors import DataError

MAX_CLASSES = 255
"""Labels 0…254; 255 is the ignored one."""

_REFUSED = 256


@dataclass(frozen=True, slots=True)
class ClassTable:
    """The classes of a data set, and what in its masks is no class.

    Attributes:
        classes: K names, in label order.
        palette: K colours; also how masks in colours are read.
        ignore: File values that mean "no label", besides 255.
        void: Colours that mean "no label", in masks in colours.
        values: File value → label, of a data set whose files hold other numbers than labels.
    """

    classes: tuple[str, ...]
    palette: tuple[Color, ...]
    ignore: frozenset[int] = frozenset()
    void: tuple[Color, ...] = ()
    values: Mapping[int, int] | None = None

    def reading(self, values: Mapping[int, int] | None) -> Mapping[int, int] | None:
        """File value → label after `values` (label → other label); None where they are the same."""
        if self.values is None or values is None:
            return self.values if values is None else values
        kept = {file: label for file, label in self.values.items() if label == IGNORE or label in values}
        return {file: label if label == IGNORE else values[label] for file, label in kept.items()}

    @classmethod
    def numbered(cls, count: int) -> "ClassTable":
        """Classes of which nothing but the number is known."""
        return cls(tuple(f"class {label}" for label in range(count)), voc_palette(count))

    def merged(self, values: Mapping[int, int] | None) -> "ClassTable":
        """The table after `values` (old label → new label): merged classes share their names, ``"car/truck"``."""
        if values is None:
            return self
        count = count_of(values)
        sources = [[old for old in sorted(values) if values[old] == label] for label in range(count)]
        known = [[old for old in olds if 0 <= old < len(self.classes)] for olds in sources]
        spare = ClassTable.numbered(count)
        return ClassTable(
            tuple("/".join(self.classes[i] for i in olds) or spare.classes[new] for new, olds in enumerate(known)),
            tuple(self.palette[olds[0]] if olds else spare.palette[new] for new, olds in enumerate(known)),
            self.ignore,
            self.void,
        )

    def colors(self, values: Mapping[int, int] | None = None) -> dict[Color, int]:
        """Colour in a mask → label, after `values` where given; colours of equal classes mean the first."""
        labels = {label: label for label in range(len(self.classes))} if values is None else values
        colors = dict.fromkeys(self.void, IGNORE)
        for place, color in reversed(list(enumerate(self.palette))):
            if place in labels:
                colors[color] = labels[place]
        return colors


def count_of(values: Mapping[int, int]) -> int:
    """The number of classes that a mapping leads to."""
    return max(label for label in values.values() if label != IGNORE) + 1


def check_values(values: Mapping[Any, Any], where: str) -> dict[int, int]:
    """A mapping file value → label, as integers; keys may be strings, as TOML has them.

    Raises:
        DataError: Not whole numbers, labels outside 0…254 (255 ignores), or no label at all.
    """
    checked: dict[int, int] = {}
    for key, label in values.items():
        try:
            value = int(key)
        except (TypeError, ValueError):
            value = -1
        if not 0 <= value <= 65535 or isinstance(key, (bool, float)):
            raise DataError(f"{where}: values maps {key!r}, which is no file value (a whole number 0…65535)")
        if isinstance(label, bool) or not isinstance(label, int) or not 0 <= label <= IGNORE:
            raise DataError(f"{where}: values maps {value} to {label!r}; labels are 0…254, or 255 to ignore")
        checked[value] = label
    if all(label == IGNORE for label in checked.values()):
        raise DataError(f"{where}: values leads to no label; file value = label is meant: values = {{0 = 0, 255 = 1}}")
    return checked


class Labelling:
    """Reads masks as labels 0…K-1 and 255, and refuses every other value by name and place.

    Args:
        count: K, at most 255.
        values: File value → label. Where given, it is complete: a value that neither it nor `ignore` lists
            is refused. Without it, file values are labels.
        ignore: File values that become 255. 255 itself always does, unless `values` maps it.
        colors: Colour → label (255 for none), for masks in colours.
    """

    def __init__(
        self,
        count: int,
        values: Mapping[int, int] | None = None,
        ignore: Collection[int] = (),
        colors: Mapping[Color, int] | None = None,
    ) -> None:
        self.count = count
        self.values = dict(values) if values is not None else None
        self.ignore = frozenset(ignore) | {IGNORE}
        self._colors = dict(colors or {})
        meanings = dict.fromkeys(self.ignore, IGNORE)
        meanings |= {value: value for value in range(count) if value not in self.ignore} if values is None else values
        self._table = np.full(1 << 16, _REFUSED, dtype=np.int16)
        self._table[list(meanings)] = list(meanings.values())
        self._bytes = self._table[:256].astype(np.uint8).tobytes()
        self._refused_bytes = np.flatnonzero(self._table[:256] == _REFUSED).astype(np.uint8).tobytes()

    def read(self, path: PathLike) -> NDArray[np.uint8]:
        """The labels (H, W) of a mask file; raises `DataError`."""
        return self.translate(read_raw_mask(path), path)

    def translate(self, raw: NDArray[np.integer[Any]], path: PathLike) -> NDArray[np.uint8]:
        """The labels (H, W) of what `read_raw_mask` gave for `path`; raises `DataError`."""
        if raw.ndim == 2:
            return self.apply(raw, path)
        labels = labels_of_colors(raw, self._colors, path)
        return self.apply(raw[..., 0], path) if labels is None else labels

    def apply(self, raw: NDArray[np.integer[Any]], name: PathLike) -> NDArray[np.uint8]:
        """The labels of an array of file values (H, W); `name` says whose they are in the `DataError`."""
        if raw.dtype == np.uint8:  # by bytes, which is quicker than by an index
            found = bytearray(raw.tobytes()).translate(self._bytes, self._refused_bytes)
            if len(found) == raw.size:
                return np.frombuffer(found, np.uint8).reshape(raw.shape)
        if raw.dtype.itemsize > 2:
            outside = (raw < 0) | (raw >= len(self._table))
            if outside.any():
                raise DataError(self._refusal(raw, outside, name))
        labels = self._table.take(raw)
        if labels.max() == _REFUSED:
            raise DataError(self._refusal(raw, labels == _REFUSED, name))
        return labels.astype(np.uint8)

    def _refusal(self, raw: NDArray[np.integer[Any]], refused: NDArray[np.bool_], name: PathLike) -> str:
        row, column = np.argwhere(refused)[0]
        pixels = int(refused.sum())
        more = f" ({pixels:,} such pixels in this mask)" if pixels > 1 else ""
        if self.values is None:
            allowed = f"the {self.count} classes are 0…{self.count - 1}"
        else:
            allowed = f"`values` lists {numbers(self.values)}"
        ignored = self.ignore - set(self.values or ())
        if ignored:
            allowed += f", and {numbers(ignored)} {'is' if len(ignored) == 1 else 'are'} ignored"
        value = int(raw[row, column])
        return (
            f"{name}: label value {value} at row {row}, column {column}, counted from 0{more}, is not allowed: "
            f"{allowed}. Correct the mask, or list {value} in `values` or `ignore` of data.toml."
        )


def numbers(values: Collection[int], limit: int = 12) -> str:
    """``"0, 1, 2, …"``: at most `limit` of them, in order."""
    ordered = sorted(values)
    return ", ".join(map(str, ordered[:limit])) + (", …" if len(ordered) > limit else "")
