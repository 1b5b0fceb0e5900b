"""How each operation hands on what its inputs have seen. An operation without a rule makes the answer undefined."""

from collections.abc import Callable
from fractions import Fraction
from math import ceil, floor
from typing import Any

import torch
from torch import Tensor

from zoo.summary.calls import (
    Call,
    aligned,
    expanded,
    joined,
    padded,
    parted,
    permuted,
    pointwise,
    repeated,
    scattered,
    taken,
    viewed,
)
from zoo.summary.intervals import Field, Switches, UndefinedError, gather, hull, over, reshape

Rule = Callable[[Call], Field | list[Field]]


def windows(outputs: int, inputs: int, kernel: int, stride: int, padding: int, dilation: int = 1) -> Tensor:
    """(outputs, kernel): the cells that each window covers, -1 in the padding."""
    starts = torch.arange(outputs, device="cpu")[:, None] * stride - padding
    places = starts + torch.arange(kernel, device="cpu") * dilation
    return torch.where((places >= 0) & (places < inputs), places, -1)


def transposed_windows(outputs: int, inputs: int, kernel: int, stride: int, padding: int, dilation: int) -> Tensor:
    """As `windows`, of a transposed convolution: the cells whose kernels reach each output."""
    reached = torch.arange(outputs, device="cpu")[:, None] + padding
    reached = reached - torch.arange(kernel, device="cpu") * dilation
    places = reached // stride
    return torch.where((reached % stride == 0) & (places >= 0) & (places < inputs), places, -1)


def ranges(bounds: list[tuple[int, int]]) -> Tensor:
    """(outputs, k): the cells from the first to the last of each pair."""
    longest = max(last - first for first, last in bounds) + 1
    ends = torch.tensor(bounds, device="cpu")
    places = ends[:, :1] + torch.arange(longest, device="cpu")
    return torch.where(places <= ends[:, 1:], places, -1)


def _pair(values: Any, default: Any = None) -> tuple[int, int]:
    found = list(values) or list(default)
    return (found[0], found[-1])


def convolution(call: Call) -> Field:
    """Windows of cells, over all channels of a group; transposed, the cells whose kernels reach a cell."""
    values, x, weight = call.values, call.input, call.values["weight"]
    field = call.lookup(x)
    if field is None or x.ndim not in (3, 4):
        raise UndefinedError(f"{call.name} of {x.ndim - 2} axes" if field else f"{call.name} steered by the picture")
    groups = values["groups"]
    if groups == 1:
        field = over(field, [1])
    elif any(part.shape[1] > 1 for part in field.parts):
        batch, channels = x.shape[:2]
        split = (batch, groups, channels // groups, *x.shape[2:])
        field = over(reshape(field, x.shape, split), [2])
        each = call.result.shape[1] // groups
        field = field.map(lambda part: part.squeeze(2).repeat_interleave(each if part.shape[1] > 1 else 1, 1))
    settings = [_pair(values[key]) for key in ("stride", "padding", "dilation")]
    for axis in range(x.ndim - 2):
        dim = 2 + axis
        own = (call.result.shape[dim], x.shape[dim], weight.shape[dim], *(pair[axis] for pair in settings))
        field = gather(field, dim, transposed_windows(*own) if values["transposed"] else windows(*own))
    steering = call.lookup(weight)  # a kernel that depends on the picture
    return field if steering is None else hull([field, _everything(steering, x.ndim)])


def pooling(call: Call) -> Field | list[Field]:
    """Windows of cells; the switches of a max pooling remember them."""
    values, x, field = call.values, call.input, call.own()
    result = call.result[0] if isinstance(call.result, tuple | list) else call.result
    kernel = _pair(values["kernel_size"])
    settings = [
        kernel,
        _pair(values["stride"], kernel),
        _pair(values["padding"]),
        _pair(values.get("dilation", [1, 1])),
    ]
    before = x.ndim - 2
    for axis in (0, 1):
        dim = before + axis
        own = (result.shape[dim], x.shape[dim], *(pair[axis] for pair in settings))
        field = gather(field, dim, windows(*own))
    if call.name != "max_pool2d_with_indices":
        return field
    kernel, stride, padding, dilation = settings
    if dilation != (1, 1):
        return field
    height, width = result.shape[-2:]
    lying = [
        _lying_in(x.shape[before + axis], result.shape[before + axis], kernel[axis], stride[axis], padding[axis])
        for axis in (0, 1)
    ]
    return [field, Field(field.parts, Switches((lying[0], lying[1]), (height, width)))]


def _lying_in(cells: int, pooled: int, kernel: int, stride: int, padding: int) -> Tensor:
    """(cells, k): the pooling windows that each cell lies in."""
    return transposed_windows(cells, pooled, kernel, stride, padding, 1)


def adaptive_pooling(call: Call) -> Field | list[Field]:
    """The windows into which a map is divided."""
    field, x = call.own(), call.input
    result = call.result[0] if isinstance(call.result, tuple | list) else call.result
    for dim in (x.ndim - 2, x.ndim - 1):
        size, cells = x.shape[dim], result.shape[dim]
        bounds = [(i * size // cells, -(-(i + 1) * size // cells) - 1) for i in range(cells)]
        field = gather(field, dim, ranges(bounds))
    return [field, field] if isinstance(call.result, tuple | list) else field


def upsampling(call: Call) -> Field:
    """The one, two or four cells along each axis that interpolation reads."""
    field, x = call.own(), call.input
    scales = call.values.get("scale_factors") or [call.values.get("scales_h"), call.values.get("scales_w")]
    for axis in (0, 1):
        dim = 2 + axis
        places = _read_by(call, x.shape[dim], call.result.shape[dim], scales[axis])
        field = gather(field, dim, ranges(places))
    return field


def _read_by(call: Call, inputs: int, outputs: int, scale: float | None) -> list[tuple[int, int]]:
    """First and last cell that each cell of a resized map is made of."""
    ratio = Fraction(inputs, outputs) if scale is None else 1 / Fraction(scale).limit_denominator(1 << 16)
    bounds = []
    for i in range(outputs):
        if "nearest" in call.name:
            exact = "exact" in call.name
            first = last = floor((i + Fraction(1, 2)) * ratio) if exact else floor(i * ratio)
        else:
            if call.values["align_corners"]:
                place = i * Fraction(inputs - 1, outputs - 1) if outputs > 1 else Fraction(0)
            else:
                place = (i + Fraction(1, 2)) * ratio - Fraction(1, 2)
            first, last = floor(place), ceil(place)
            if "bicubic" in call.name and first != last:
                first, last = first - 1, last + 1
        bounds.append((min(max(first, 0), inputs - 1), min(max(last, 0), inputs - 1)))
    return bounds


def reduction(call: Call) -> Field | list[Field]:
    """All cells along some dimensions together."""
    if "other" in call.values:  # the larger of two
        return pointwise(call)
    dims = call.values.get("dim")
    ndim = call.input.ndim
    listed = [dims] if isinstance(dims, int) else list(dims or range(ndim))
    listed = sorted({dim % ndim for dim in listed})
    field = over(call.own(), listed)
    if not call.values.get("keepdim", False):
        field = field.map(lambda part: part.amax(listed))
    return [field] * len(call.result) if isinstance(call.result, tuple | list) else field


def along(call: Call) -> Field:
    """What mixes all cells along one dimension and keeps it: softmax, cumulative sums."""
    return over(call.own(), [call.values["dim"]])


def batch_norm(call: Call) -> list[Field]:
    """Each cell for itself; all cells of a channel where the batch gives the statistics."""
    field = call.own()
    if call.values.get("training", False) or call.values.get("running_mean") is None:
        field = over(field, [dim for dim in range(call.input.ndim) if dim != 1])
    return [field]


def layer_norm(call: Call) -> list[Field]:
    """All cells along the last dimensions."""
    count = len(call.values["normalized_shape"])
    return [over(call.own(), range(call.input.ndim - count, call.input.ndim))]


def group_norm(call: Call) -> list[Field]:
    """All cells of a picture."""
    return [over(call.own(), range(1, call.input.ndim))]


def product(call: Call) -> Field:
    """Matrix products: a row of the first with a column of the second."""
    values = call.values
    first, second = (
        (values["mat1"], values["mat2"])
        if "mat1" in values
        else (values["batch1"], values["batch2"])
        if "batch1" in values
        else (values["self"], values["mat2"])
    )
    ndim = call.result.ndim
    parts = [over(field, [dim]) for tensor, dim in ((first, -1), (second, -2)) if (field := call.lookup(tensor))]
    if call.name in ("addmm", "baddbmm") and (bias := call.lookup(values["self"])):
        parts.append(aligned(bias, ndim))
    try:
        return hull(parts)
    except UndefinedError:
        # Every place with every other one. A mean over the others follows wherever this is attention.
        call.loose.add(call.name)
        return hull([parts[0], *(over(part, [-1]) for part in parts[1:])])


def linear(call: Call) -> Field:
    """All cells along the last dimension."""
    return over(call.own(), [-1])


def attention(call: Call) -> Field:
    """Softmax(query · keys) · values: each query sees what all keys and values saw."""
    values = call.values
    seen = []
    for key in ("key", "value"):
        if (field := call.lookup(values[key])) is not None:
            seen.append(over(field, [-2, -1]))
    if (field := call.lookup(values["query"])) is not None:
        seen.append(over(field, [-1]))
    if values.get("attn_mask") is not None and (field := call.lookup(values["attn_mask"])) is not None:
        seen.append(aligned(over(field, [-1]), call.result.ndim))
    return hull(seen)


def shuffled(call: Call) -> Field:
    """Between channels and places: `pixel_shuffle` and its inverse."""
    field, shape = call.own(), tuple(call.input.shape)
    batch, channels, height, width = shape
    if call.name == "pixel_shuffle":
        factor = call.values["upscale_factor"]
        split = (batch, channels // factor**2, factor, factor, height, width)
        field = reshape(field, shape, split).map(lambda part: part.permute(0, 1, 4, 2, 5, 3))
        moved = (batch, channels // factor**2, height, factor, width, factor)
    else:
        factor = call.values["downscale_factor"]
        split = (batch, channels, height // factor, factor, width // factor, factor)
        field = reshape(field, shape, split).map(lambda part: part.permute(0, 1, 3, 5, 2, 4))
        moved = (batch, channels, factor, factor, height // factor, width // factor)
    return reshape(field, moved, tuple(call.result.shape))


def _everything(field: Field, ndim: int) -> Field:
    return field.map(lambda part: part.max().view((1,) * ndim))


def _named(rule: Rule, names: str) -> dict[str, Rule]:
    return dict.fromkeys(names.split(), rule)


_FILLED = """zeros_like ones_like empty_like full_like rand_like randn_like new_zeros new_ones new_empty new_full
    new_empty_strided zero_ fill_ bernoulli_ uniform_ normal_"""
CONSTANTS = frozenset(_FILLED.split())
"""Operations whose result depends on the shape of their input only."""

RULES: dict[str, Rule] = {
    **_named(convolution, "convolution _convolution"),
    **_named(pooling, "max_pool2d_with_indices avg_pool2d"),
    **_named(adaptive_pooling, "_adaptive_avg_pool2d adaptive_avg_pool2d adaptive_max_pool2d"),
    **_named(upsampling, "upsample_bilinear2d upsample_nearest2d _upsample_nearest_exact2d upsample_bicubic2d"),
    **_named(reduction, "mean sum amax amin var std var_mean std_mean linalg_vector_norm logsumexp max min"),
    **_named(along, "_softmax _log_softmax _safe_softmax cumsum"),
    **_named(batch_norm, "_native_batch_norm_legit_no_training _native_batch_norm_legit native_batch_norm"),
    **_named(layer_norm, "native_layer_norm"),
    **_named(group_norm, "native_group_norm"),
    **_named(product, "mm bmm addmm baddbmm"),
    **_named(linear, "linear"),
    **_named(attention, "scaled_dot_product_attention"),
    **_named(shuffled, "pixel_shuffle pixel_unshuffle"),
    **_named(viewed, "view _unsafe_view reshape _reshape_alias squeeze unsqueeze"),
    **_named(permuted, "permute transpose t"),
    **_named(expanded, "expand"),
    **_named(repeated, "repeat"),
    **_named(taken, "slice select index_select flip roll"),
    **_named(parted, "split split_with_sizes unbind"),
    **_named(joined, "cat stack"),
    **_named(padded, "constant_pad_nd reflection_pad2d replication_pad2d"),
    **_named(scattered, "scatter"),
    **_named(pointwise, "clone alias detach _to_copy copy contiguous native_dropout masked_fill where hardswish"),
}
