"""Gaussian filtering in many dimensions on the permutohedral lattice (Adams, Baek and Davis, 2010).

N points with d features each are filtered with exp(−½ |f_i − f_j|²) in time linear in N. Each point lies in a simplex
of the lattice with d + 1 corners: its value is spread over the corners (splat), the corners are blurred along each of
the lattice's d + 1 axes, and each point reads its corners (slice). All three are sparse matrices, built once for the
features and applied to any number of values. Roundings, ties and constants are those of Krähenbühl's dense CRF, so
that results agree with it to float32's own error.

The whole is torch operations on whole tensors, on the features' device; nothing is random, and the sums have one
order, so that results on one device are the same each time.
"""

import math
from itertools import combinations

import torch
from torch import Tensor

from zoo.errors import ZooError
from zoo.inference.rows import Rows

_LARGEST_CODE = 2**62


class Lattice:
    """The lattice over one set of features.

    Values at the vertices are (V + 1, K): the last row stands for every vertex that no point touches, and is zero.
    Memory, for V vertices (at most N (d + 1), usually far fewer), is about 16 N (d + 1) + 12 V (d + 2) bytes in
    float32, and while it is built about 50 N (d + 1).

    Args:
        features: (d, N) floats, already divided by the standard deviation of each. float64 makes the filter float64.

    Attributes:
        dimensions: d.
        points: N.
        vertices: V.
        splat: (V + 1, N).
        axes: One (V + 1, V + 1) blur for each of the d + 1 axes, in the order in which they are applied.
        slice: (N, V + 1); it carries the filter's constant factor.

    Raises:
        ZooError: features that are no (d, N) floats with d, N ≥ 1, not finite, or so wide (in standard deviations)
            that the lattice's coordinates do not fit a 64-bit integer.
    """

    def __init__(self, features: Tensor) -> None:
        _check(features)
        self.dimensions, self.points = features.shape
        width = self.dimensions + 1
        base, step, weight = _simplices(features)
        codes, strides = _codes(base, step)
        # Sorting brings the entries of a vertex together. It is stable: a vertex sums its points in their order.
        code, order = torch.sort(codes.t().reshape(-1), stable=True)
        del base, step, codes
        first = torch.ones_like(code, dtype=torch.bool)
        torch.ne(code[1:], code[:-1], out=first[1:])
        begin = first.nonzero()[:, 0]
        vertices = code[begin]
        del code
        self.vertices, entries = len(vertices), len(order)
        integer = torch.int32 if entries < 2**31 - 1 else torch.int64
        weight = weight.t().reshape(-1)
        vertex = torch.empty(entries, dtype=integer, device=order.device)
        vertex[order] = first.cumsum(0, dtype=integer) - 1
        ends = torch.full((2,), entries, dtype=integer, device=order.device)
        starts = torch.cat([begin.to(integer), ends])
        self.splat = Rows(order.to(integer) // width, weight[order], starts)
        self.slice = Rows.even(vertex.view(-1, width), (weight / (1 + 2.0**-self.dimensions)).view(-1, width))
        self.axes = _axes(vertices, strides, integer, features.dtype)

    def blur(self, values: Tensor, *, reverse: bool = False) -> Tensor:
        """Blur (V + 1, K) along each axis in turn; `reverse` is the order of the transposed filter."""
        for axis in reversed(self.axes) if reverse else self.axes:
            values = axis @ values
        return values

    def filter(self, values: Tensor, *, reverse: bool = False) -> Tensor:
        """Filter (N, K) → (N, K): the sum over all points, each with itself, not normalised.

        With `reverse` it is the transpose of the plain filter: where vertices are missing, blurs along different axes
        do not commute.
        """
        if values.ndim != 2 or len(values) != self.points:
            raise ZooError(f"The lattice filters values of shape ({self.points}, K); {tuple(values.shape)} was given.")
        return self.slice @ self.blur(self.splat @ values.contiguous(), reverse=reverse)


def _check(features: Tensor) -> None:
    if features.ndim != 2 or 0 in features.shape or features.dtype not in (torch.float32, torch.float64):
        raise ZooError(
            "The lattice's features are a (d, N) tensor of float32 or float64 with d and N at least 1; "
            f"{tuple(features.shape)} of {features.dtype} was given."
        )
    if not bool(features.isfinite().all()):
        raise ZooError("The lattice's features are not all finite: remove NaN and infinities, and zero deviations.")


def _simplices(features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Find each point's simplex, and where in it the point lies.

    Returns:
        (d, N) coordinates of the simplex' first corner divided by d + 1, without the last, which depends on the others;
        (d + 1, N) int64, for each axis the corner, 0 to d, from which a walk around the simplex steps back along it;
        (d + 1, N) barycentric weights of the corners.
    """
    d, points = features.shape
    width = d + 1
    # The products and sums are separate and in this order so as to round as the reference does.
    deviation = torch.tensor(math.sqrt(2 / 3) * width, dtype=features.dtype).item()
    elevated = features.new_empty(width, points)
    total = features.new_zeros(points)
    for j in range(d, 0, -1):
        scaled = features[j - 1] * (1 / math.sqrt(j * (j + 1)) * deviation)
        torch.sub(total, scaled * j, out=elevated[j])
        total = total + scaled
    elevated[0] = total
    down = torch.tensor(1 / width, dtype=features.dtype).item()
    base = (elevated * down).round_()
    offset = elevated - base * width
    # rank[i] counts the axes with a larger offset; of equal ones the first leads. Bytes are enough and fast.
    rank = torch.arange(width, dtype=torch.int8, device=features.device).unsqueeze(1).repeat(1, points)
    for i, j in combinations(range(width), 2):
        lower = (offset[i] < offset[j]).view(torch.int8)
        rank[i] += lower
        rank[j] -= lower
    # Corners must lie in the plane where coordinates sum to 0: walk back to it from the rounded one.
    rank += base.sum(0).to(torch.int8)
    move = (rank < 0).view(torch.int8) - (rank > d).view(torch.int8)
    base += move
    step = d - rank.add_(move, alpha=width).long()
    offset = (elevated - base * width) * down
    falling = elevated.scatter_(0, step, offset)  # its memory is at hand
    weight = torch.empty_like(falling)
    torch.sub(falling[1:], falling[:-1], out=weight[1:])
    torch.add(falling[0] - falling[-1], 1, out=weight[0])
    return base[:d], step, weight


def _codes(base: Tensor, step: Tensor) -> tuple[Tensor, list[int]]:
    """Give each corner of each simplex a number, the same for the same vertex and for no other.

    All coordinates of a vertex are equal modulo d + 1. The code is that remainder (which is the corner's number) and,
    in mixed radix above it, the coordinates' quotients: a neighbour's code is a constant away.

    Returns:
        (d + 1, N) codes, int32 where they fit; the stride of each of the d coordinates.
    """
    d, points = base.shape
    low, high = (limit.long() for limit in base.aminmax(dim=1))
    low, high = low - 2, high + 2  # one for the corners of a simplex, one for their neighbours
    strides, room = [], d + 1
    for extent in (high - low + 1).tolist():
        strides.append(room)
        room *= extent
    if room > _LARGEST_CODE:
        raise ZooError(
            f"The {d} features span too many standard deviations for one lattice "
            f"({', '.join(map(str, (high - low - 3).tolist()))} cells): use larger deviations or fewer features."
        )
    integer = torch.int32 if room < 2**31 else torch.int64
    codes = torch.empty(d + 2, points, dtype=integer, device=base.device)
    back = torch.tensor([1 - stride for stride in (*strides, 0)], dtype=integer, device=base.device)
    codes[1:].scatter_(0, step, back.unsqueeze(1).expand(-1, points))  # the last step would lead home
    codes = codes[:-1]
    codes[0] = 0
    for axis in range(d):
        codes[0] += (base[axis].to(integer) - low[axis].to(integer)) * strides[axis]
    for number in range(1, d + 1):
        codes[number] += codes[number - 1]
    return codes, strides


def _axes(vertices: Tensor, strides: list[int], integer: torch.dtype, dtype: torch.dtype) -> list[Rows]:
    """For each axis, the matrix that adds to each vertex half of its two neighbours, where they exist."""
    width, count = len(strides) + 1, len(vertices)
    here = torch.arange(count + 1, dtype=integer, device=vertices.device)
    starts = torch.arange(count + 2, dtype=integer, device=vertices.device) * 3
    weight = torch.tensor([1, 0.5, 0.5], dtype=dtype, device=vertices.device).repeat(count + 1)
    # One less in every coordinate: below remainder 0 comes d, with all quotients one less.
    less = vertices - 1 + (vertices % width == 0).to(vertices.dtype) * (width - sum(strides))
    axes = []
    for stride in (*strides, 0):
        sought = less + stride
        found = torch.searchsorted(vertices, sought, out_int32=integer == torch.int32).clamp_(max=count - 1)
        index = torch.full((3, count + 1), count, dtype=integer, device=vertices.device)
        index[0] = here
        index[1, :count] = torch.where(vertices[found] == sought, found, index[1, :count])
        index[2, index[1].long()] = here
        index[2, count] = count
        axes.append(Rows(index.t().reshape(-1), weight, starts))
    return axes
