"""Sparse matrices by rows, times dense ones with few columns: gathers of whole rows, on any device."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, eq=False)
class Rows:
    """A sparse matrix: row i holds `weight[starts[i]:starts[i + 1]]` in the columns `index[…]` of the same slice.

    Attributes:
        index: (n,) int32 or int64, the columns.
        weight: (n,) float32 or float64.
        starts: (rows + 1,) of the type of `index`.
    """

    index: Tensor
    weight: Tensor
    starts: Tensor

    @classmethod
    def even(cls, index: Tensor, weight: Tensor) -> "Rows":
        """The matrix whose rows all hold as many entries: `index` and `weight` are (rows, entries)."""
        rows, entries = index.shape
        starts = torch.arange(rows + 1, device=index.device, dtype=index.dtype) * entries
        return cls(index.reshape(-1), weight.reshape(-1), starts)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __matmul__(self, values: Tensor) -> Tensor:
        """Multiply by a dense, contiguous (columns, K)."""
        # Several times faster on a CPU than the product of a sparse CSR tensor, and deterministic on a GPU.
        return F.embedding_bag(
            self.index, values, self.starts, mode="sum", per_sample_weights=self.weight, include_last_offset=True
        )

    def scale_columns(self, factors: Tensor) -> "Rows":
        """Multiply each column by its factor, (columns,)."""
        return Rows(self.index, self.weight * factors[self.index], self.starts)

    def scale_rows(self, factors: Tensor) -> "Rows":
        """Multiply each row of an even matrix by its factor, (rows,)."""
        weight = self.weight.view(len(self), -1) * factors.unsqueeze(1)
        return Rows(self.index, weight.view(-1), self.starts)

    def split(self, rows: int) -> list["Rows"]:
        """Split an even matrix into matrices of at most `rows` rows, which share its memory."""
        entries = len(self.index) // len(self)
        return [
            Rows(index, weight, self.starts[: len(index) // entries + 1])
            for index, weight in zip(
                *(torch.split(part, rows * entries) for part in (self.index, self.weight)), strict=True
            )
        ]


def below(matrices: Sequence[Rows]) -> Rows:
    """Matrices of as many columns, one below the other."""
    starts, end = [], 0
    for matrix in matrices:
        starts.append(matrix.starts[:-1] + end)
        end += len(matrix.index)
    starts.append(matrices[-1].starts[-1:] + (end - len(matrices[-1].index)))
    index, weight = (torch.cat(parts) for parts in zip(*((m.index, m.weight) for m in matrices), strict=True))
    return Rows(index, weight, torch.cat(starts))


def beside(matrices: Sequence[Rows], columns: Sequence[int]) -> Rows:
    """Even matrices of as many rows, one beside the other; `columns` counts the columns of each."""
    rows = len(matrices[0])
    index, before = [], 0
    for matrix, count in zip(matrices, columns, strict=True):
        index.append(matrix.index.view(rows, -1) + before)
        before += count
    return Rows.even(torch.cat(index, 1), torch.cat([matrix.weight.view(rows, -1) for matrix in matrices], 1))
