import math
import re

import numpy as np
import pytest
import torch
from torch import Tensor

from zoo.errors import ZooError
from zoo.inference import lattice as module
from zoo.inference.lattice import Lattice


def points(d: int, n: int, spread: float = 3, seed: int = 0) -> Tensor:
    return torch.randn(d, n, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * spread


def by_the_book(features: np.ndarray, values: np.ndarray, reverse: bool = False) -> np.ndarray:
    """The filter for one point after another, with a dictionary of vertices and all d + 1 coordinates."""
    d, n = features.shape
    scale = [math.sqrt(2 / 3) * (d + 1) / math.sqrt((i + 1) * (i + 2)) for i in range(d)]
    table: dict[tuple[int, ...], np.ndarray] = {}
    corners = []
    for k in range(n):
        scaled = [features[i, k] * scale[i] for i in range(d)]
        elevated = [sum(scaled)] + [sum(scaled[j:]) - j * scaled[j - 1] for j in range(1, d + 1)]
        base = [round(e / (d + 1)) * (d + 1) for e in elevated]
        left = [e - b for e, b in zip(elevated, base, strict=True)]
        order = sorted(range(d + 1), key=lambda i: (-left[i], i))  # of equal ones, the first leads
        rank = [order.index(i) + sum(base) // (d + 1) for i in range(d + 1)]
        for i in range(d + 1):
            move = (rank[i] < 0) - (rank[i] > d)
            rank[i] += move * (d + 1)
            base[i] += move * (d + 1)
        weight = [0.0] * (d + 2)
        for i in range(d + 1):
            share = (elevated[i] - base[i]) / (d + 1)
            weight[d - rank[i]] += share
            weight[d - rank[i] + 1] -= share
        weight[0] += 1 + weight[d + 1]
        for r in range(d + 1):
            key = tuple(base[i] + (r if rank[i] <= d - r else r - d - 1) for i in range(d + 1))
            assert sum(key) == 0
            table[key] = table.get(key, 0) + weight[r] * values[k]
            corners.append((key, weight[r]))
    for axis in range(d, -1, -1) if reverse else range(d + 1):
        step = [-1 + (d + 1) * (i == axis) for i in range(d + 1)]
        around = lambda key, sign: tuple(c + sign * s for c, s in zip(key, step, strict=True))  # noqa: B023, E731
        table = {
            key: value + 0.5 * (table.get(around(key, 1), 0) + table.get(around(key, -1), 0))
            for key, value in table.items()
        }
    read = [weight * table[key] for key, weight in corners]
    return np.stack([sum(read[k * (d + 1) : (k + 1) * (d + 1)]) for k in range(n)]) / (1 + 2.0**-d)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("spread", [0.2, 3, 40])
@pytest.mark.parametrize("d", [1, 2, 3, 5, 8])
def test_filter_is_the_procedure_point_by_point(d: int, spread: float, reverse: bool) -> None:
    features, values = points(d, 60, spread), points(4, 60, seed=1).t()
    got = Lattice(features).filter(values, reverse=reverse)
    np.testing.assert_allclose(got, by_the_book(features.numpy(), values.numpy(), reverse), atol=1e-11)


def test_grid_of_ties() -> None:
    """Points midway between vertices, and on them: roundings and ranks are full of ties."""
    scale = math.sqrt(2 / 3) * 3 / math.sqrt(2)
    y, x = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    features = torch.stack([x, y]).view(2, -1).double() * 1.5 / scale
    values = points(3, 64).t()
    np.testing.assert_allclose(
        Lattice(features).filter(values), by_the_book(features.numpy(), values.numpy()), atol=1e-11
    )


@pytest.mark.parametrize("d", [1, 2, 5])
def test_reverse_is_the_transpose(d: int) -> None:
    lattice = Lattice(points(d, 80, 1.0))
    identity = torch.eye(80, dtype=torch.float64)
    torch.testing.assert_close(lattice.filter(identity), lattice.filter(identity, reverse=True).t())


@pytest.mark.parametrize(("d", "worst"), [(1, 0.04), (2, 0.06), (3, 0.08), (5, 0.15)])
def test_near_the_exact_gaussian(d: int, worst: float) -> None:
    """Normalized, the filter is a weighted mean of the values, as the exact one is."""
    features = points(d, 1500, 1.0)
    values = torch.sin(features.t() @ points(d, 3, 0.5, seed=2))
    kernel = torch.exp(-0.5 * torch.cdist(features.t(), features.t()) ** 2)
    lattice = Lattice(features)
    exact = kernel @ values / kernel.sum(1, keepdim=True)
    mean = lattice.filter(values) / lattice.filter(torch.ones_like(values))
    assert float((mean - exact).abs().mean()) < worst / 3
    assert float((mean - exact).abs().quantile(0.99)) < worst


@pytest.mark.parametrize("d", [2, 5])
def test_weights_are_barycentric(d: int) -> None:
    lattice = Lattice(points(d, 100))
    weights = lattice.slice.weight.view(100, d + 1) * (1 + 2.0**-d)
    assert float(weights.min()) >= -1e-12
    torch.testing.assert_close(weights.sum(1), torch.ones(100, dtype=torch.float64))
    spread = lattice.splat @ torch.ones(100, 1, dtype=torch.float64)
    assert float(spread.sum()) == pytest.approx(100)
    assert spread.shape == (lattice.vertices + 1, 1)
    assert float(spread[-1]) == 0  # no point touches the vertex that stands for the missing ones


def test_order_of_points_is_of_no_account() -> None:
    features, values = points(3, 200), points(4, 200, seed=1).t()
    order = torch.randperm(200, generator=torch.Generator().manual_seed(0))
    shuffled = Lattice(features[:, order]).filter(values[order])
    torch.testing.assert_close(shuffled, Lattice(features).filter(values)[order])


def test_one_point() -> None:
    got = Lattice(torch.zeros(2, 1)).filter(torch.ones(1, 3))
    assert got.shape == (1, 3)
    np.testing.assert_allclose(got, by_the_book(np.zeros((2, 1)), np.ones((1, 3))), rtol=1e-6)


def test_same_each_time_and_of_the_features_type() -> None:
    features, values = points(5, 500).float(), points(7, 500, seed=1).t().float()
    first = Lattice(features).filter(values)
    assert first.dtype == torch.float32
    assert torch.equal(first, Lattice(features).filter(values))
    exact = Lattice(features.double()).filter(values.double())
    torch.testing.assert_close(first.double(), exact, atol=1e-4, rtol=1e-4)


def test_codes_of_either_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few cells fit 32-bit codes, many need 64; the procedure is the same."""
    narrow = [module._codes(*module._simplices(points(5, 50, spread))[:2])[0].dtype for spread in (0.2, 100)]
    assert narrow == [torch.int32, torch.int64]


@pytest.mark.parametrize(
    ("features", "said"),
    [
        (torch.zeros(3), "(d, N) tensor of float32 or float64 with d and N at least 1; (3,)"),
        (torch.zeros(2, 0), "(2, 0)"),
        (torch.zeros(2, 4, dtype=torch.int64), "(2, 4) of torch.int64"),
        (torch.full((2, 4), math.nan), "not all finite"),
        (torch.tensor([[0.0, 1e6]]).repeat(8, 1), "The 8 features span too many standard deviations"),
    ],
)
def test_refuses(features: Tensor, said: str) -> None:
    with pytest.raises(ZooError, match=re.escape(said)):
        Lattice(features)


def test_refuses_values_of_other_points() -> None:
    with pytest.raises(ZooError, match=re.escape("shape (4, K); (5, 2) was given")):
        Lattice(torch.zeros(2, 4)).filter(torch.zeros(5, 2))
