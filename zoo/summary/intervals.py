"""What each cell of a map can have seen, as intervals of input rows and columns.

A `Field` holds, for every cell of a tensor, the first and last input row and column that it depends on. The arrays are
broadcast: a dimension along which nothing differs has size 1, so a map of 512 channels costs no more than one channel.
Firsts are stored negated; the hull of two intervals is then the maximum of both arrays, whichever end it is.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

EMPTY = -(1 << 30)
"""Either end of the interval of a cell that saw nothing: padding, a constant."""

LARGEST = 1 << 24
"""Elements that one array may have; beyond, the answer is given up rather than the machine's memory."""


class UndefinedError(Exception):
    """What a cell saw cannot be told; the message names the operation."""


@dataclass(frozen=True)
class Field:
    """Intervals of a tensor's cells.

    Attributes:
        parts: -(first row), last row, -(first column), last column; each broadcasts to the tensor's shape.
        switches: For the indices of a max pooling: which windows they point into.
    """

    parts: tuple[Tensor, ...]
    switches: "Switches | None" = None

    def map(self, change: Callable[[Tensor], Tensor]) -> "Field":
        """The same change to all four arrays."""
        return Field(tuple(change(part) for part in self.parts))

    def extent(self) -> tuple[int, int]:
        """Rows and columns that the widest cell saw."""
        rows, columns = (int((self.parts[axis] + self.parts[axis + 1]).max()) + 1 for axis in (0, 2))
        return max(rows, 0), max(columns, 0)

    def sees_all(self, height: int, width: int) -> bool:
        """Whether every cell saw the whole picture."""
        ends = (0, height - 1, 0, width - 1)
        return all(int(part.min()) == end for part, end in zip(self.parts, ends, strict=True))


@dataclass(frozen=True)
class Switches:
    """Windows of a max pooling.

    Attributes:
        windows: For rows and columns, (cells before pooling, most windows per cell): the windows that a cell lies in.
        pooled: (h, w) after the pooling.
    """

    windows: tuple[Tensor, Tensor]
    pooled: tuple[int, int]


def picture(height: int, width: int) -> Field:
    """The field of the picture itself, (N, C, H, W): each pixel saw itself."""
    rows = torch.arange(height, dtype=torch.int32, device="cpu").view(1, 1, -1, 1)
    columns = torch.arange(width, dtype=torch.int32, device="cpu").view(1, 1, 1, -1)
    return Field((-rows, rows, -columns, columns))


def hull(fields: Iterable[Field]) -> Field:
    """The smallest intervals that contain those of all fields, broadcast as tensors are."""
    first, *others = fields
    parts = first.parts
    for other in others:
        parts = tuple(torch.maximum(*_sized(mine, its)) for mine, its in zip(parts, other.parts, strict=True))
    return Field(parts)


def over(field: Field, dims: Iterable[int], *, keep: bool = True) -> Field:
    """Every cell sees what the cells along `dims` saw together, as after a sum over them."""
    wanted = tuple(dims)
    return field.map(lambda part: part.amax(wanted, keepdim=keep) if wanted else part)


def gather(field: Field, dim: int, sources: Tensor) -> Field:
    """Cells of a new map, each seeing several cells of the old one along `dim`.

    Args:
        field: The old map.
        dim: Where.
        sources: (new cells, k) indices of old cells; -1 for none.
    """

    def change(part: Tensor) -> Tensor:
        if part.shape[dim] == 1:
            return part
        moved = part.movedim(dim, 0)
        nothing = torch.full_like(moved[:1], EMPTY)
        _allow(moved[:1].numel() * sources.numel())
        seen = torch.cat([moved, nothing])[sources.flatten()]  # -1 is the last one: nothing
        return seen.view(*sources.shape, *moved.shape[1:]).amax(1).movedim(0, dim)

    return field.map(change)


def reshape(field: Field, old: Sequence[int], new: Sequence[int]) -> Field:
    """As `Tensor.reshape` from shape `old` to `new`; what is constant stays of size 1 where that is possible."""
    groups = _groups(list(old), list(new))

    def change(part: Tensor) -> Tensor:
        sizes: list[int] = []
        shape: list[int] = []
        for before, after in groups:
            own = part.shape[before.start : before.stop]
            varies = any(size > 1 for size in own)
            sizes += [old[dim] if varies else 1 for dim in before]
            shape += [new[dim] if varies else 1 for dim in after]
        _allow(math.prod(sizes))
        return _compressed(part.expand(sizes).reshape(shape))

    return Field(field.map(change).parts, field.switches)


def concatenate(fields: Sequence[tuple[Field | None, Sequence[int]]], dim: int) -> Field:
    """As `torch.cat` of tensors with these fields (None for constants) and shapes."""
    template = next(field for field, _ in fields if field is not None)

    def join(number: int) -> Tensor:
        pieces = []
        for field, shape in fields:
            part = torch.full_like(template.parts[number][:1], EMPTY) if field is None else field.parts[number]
            if field is None:
                part = part.amax(tuple(range(part.ndim)), keepdim=True)
            size = list(part.shape)
            size[dim] = shape[dim]
            pieces.append(part.expand(size))
        common = [max(piece.shape[axis] for piece in pieces) for axis in range(pieces[0].ndim)]
        sizes = [[*common[:dim], piece.shape[dim], *common[dim + 1 :]] for piece in pieces]
        _allow(sum(math.prod(size) for size in sizes))
        return torch.cat([piece.expand(size) for piece, size in zip(pieces, sizes, strict=True)], dim)

    return Field(tuple(join(number) for number in range(4))).map(_compressed)


def _sized(mine: Tensor, its: Tensor) -> tuple[Tensor, Tensor]:
    _allow(math.prod(map(max, mine.shape, its.shape)))
    return mine, its


def _allow(elements: int) -> None:
    if elements > LARGEST:
        raise UndefinedError("too many cells with a field of their own")


def _compressed(part: Tensor) -> Tensor:
    for dim in range(part.ndim):
        if part.shape[dim] > 1:
            first = part.narrow(dim, 0, 1)
            if bool((part == first).all()):
                part = first
    return part


def _groups(old: list[int], new: list[int]) -> list[tuple[range, range]]:
    """Runs of dimensions of both shapes that hold the same number of elements, as short as possible."""
    groups: list[tuple[range, range]] = []
    here = there = 0
    while here < len(old) or there < len(new):
        start, begin = here, there
        before = after = 1
        while True:
            if before < after or (before == after and here == start and here < len(old)):
                before *= old[here]
                here += 1
            elif after < before or (there == begin and there < len(new)):
                after *= new[there]
                there += 1
            else:
                break
            if before == after and (here > start or here == len(old)) and (there > begin or there == len(new)):
                break
        groups.append((range(start, here), range(begin, there)))
    return groups
