import pytest
import torch
from torch import Tensor

from zoo.inference.rows import Rows, below, beside


def ragged() -> tuple[Rows, Tensor]:
    """Rows of 2, 0 and 3 entries, one column twice in a row."""
    rows = Rows(torch.tensor([1, 3, 0, 2, 2]), torch.tensor([0.5, 2.0, 1.0, -1.0, 4.0]), torch.tensor([0, 2, 2, 5]))
    return rows, torch.tensor([[0, 0.5, 0, 2.0], [0, 0, 0, 0], [1.0, 0, 3.0, 0]])


def even(rows: int, columns: int, seed: int = 0) -> tuple[Rows, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    index = torch.stack([torch.randperm(columns, generator=generator)[:3] for _ in range(rows)])
    weight = torch.rand(rows, 3, generator=generator)
    return Rows.even(index.int(), weight), torch.zeros(rows, columns).scatter_(1, index, weight)


@pytest.mark.parametrize("classes", [1, 2, 21])
def test_product_is_that_of_the_dense_matrix(classes: int) -> None:
    for matrix, dense in (ragged(), even(7, 5)):
        values = torch.randn(dense.shape[1], classes)
        torch.testing.assert_close(matrix @ values, dense @ values)
        assert len(matrix) == len(dense)


def test_scaling() -> None:
    matrix, dense = even(7, 5)
    rows, columns, values = torch.rand(7), torch.rand(5), torch.randn(5, 4)
    torch.testing.assert_close(matrix.scale_rows(rows) @ values, rows[:, None] * dense @ values)
    matrix, dense = ragged()
    torch.testing.assert_close(matrix.scale_columns(columns[:4]) @ values[:4], dense * columns[:4] @ values[:4])


@pytest.mark.parametrize("rows", [1, 3, 7, 100])
def test_split(rows: int) -> None:
    matrix, dense = even(7, 5)
    values = torch.randn(5, 4)
    parts = matrix.split(rows)
    assert all(len(part) <= rows for part in parts)
    torch.testing.assert_close(torch.cat([part @ values for part in parts]), dense @ values)


def test_joining() -> None:
    (a, dense_a), (b, dense_b) = even(7, 5), even(7, 4, seed=1)
    values = torch.randn(9, 3)
    torch.testing.assert_close(beside([a, b], [5, 4]) @ values, torch.cat([dense_a, dense_b], 1) @ values)
    (a, dense_a), (b, dense_b) = ragged(), even(2, 4)
    a = Rows(a.index.int(), a.weight, a.starts.int())
    for matrices, dense in (([a, b], [dense_a, dense_b]), ([b, a, a], [dense_b, dense_a, dense_a])):
        torch.testing.assert_close(below(matrices) @ values[:4], torch.cat(dense) @ values[:4])
