"""One operation as a rule sees it, and what moves cells without mixing them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from zoo.summary.intervals import Field, Switches, UndefinedError, concatenate, gather, hull, reshape


@dataclass
class Call:
    """An operation on tensors, its arguments by name.

    Attributes:
        name: Its name: ``"convolution"``.
        values: Arguments by their name in the schema, defaults filled in.
        result: What it returned, a tensor or several.
        lookup: The field of a tensor, None for a constant; raises `UndefinedError`.
        value: The numbers in a tensor, None where they are not known.
        loose: Where a rule notes its operation when it answers with wider intervals than the truth.
    """

    name: str
    values: dict[str, Any]
    result: Any
    lookup: Callable[[Tensor], Field | None]
    value: Callable[[Tensor], Tensor | None] = lambda tensor: None
    loose: set[str] = field(default_factory=set)

    @property
    def input(self) -> Tensor:
        """The tensor that it works on."""
        tensor = self.values["self"] if "self" in self.values else self.values["input"]
        assert isinstance(tensor, Tensor)
        return tensor

    def own(self) -> Field:
        """The field of `input`; an operation that reads the picture through something else as well has no rule."""
        found = self.lookup(self.input)
        if found is None or self.others(self.input):
            raise UndefinedError(f"{self.name} steered by the picture")
        return found

    def others(self, but: Tensor | None = None) -> list[Field]:
        """The fields of all arguments, one left out."""
        found = (self.lookup(tensor) for tensor in tensors(list(self.values.values())) if tensor is not but)
        return [seen for seen in found if seen is not None]


def tensors(values: Any) -> list[Tensor]:
    """All tensors in nested lists."""
    if isinstance(values, Tensor):
        return [values]
    if isinstance(values, list | tuple):
        return [tensor for value in values for tensor in tensors(value)]
    return []


def aligned(field: Field, ndim: int) -> Field:
    """With leading dimensions of size 1, as broadcasting adds them."""
    return field.map(lambda part: part.view((1,) * (ndim - part.ndim) + tuple(part.shape)))


def pointwise(call: Call) -> Field:
    """Each cell sees what the cells at its place saw."""
    ndim = tensors(call.result)[0].ndim
    fields = [aligned(field, ndim) for field in call.others()]
    copied = call.name in ("clone", "alias", "detach", "contiguous")
    return Field(hull(fields).parts, fields[0].switches if copied else None)


def viewed(call: Call) -> Field:
    """The same cells in another shape."""
    return reshape(call.own(), call.input.shape, call.result.shape)


def permuted(call: Call) -> Field:
    """The same cells, dimensions in another order."""
    ndim = call.input.ndim
    if call.name == "permute":
        dims = [dim % ndim for dim in call.values["dims"]]
    else:
        dims = list(range(ndim))
        first, second = (0, ndim - 1) if call.name == "t" else (call.values["dim0"], call.values["dim1"])
        dims[first], dims[second] = dims[second % ndim], dims[first % ndim]
    return call.own().map(lambda part: part.permute(dims))


def expanded(call: Call) -> Field:
    """Cells repeated without being copied."""
    return aligned(call.own(), call.result.ndim)


def repeated(call: Call) -> Field:
    """Cells repeated."""
    field = aligned(call.own(), call.result.ndim)
    counts = call.values["repeats"]
    return field.map(
        lambda part: part.repeat([n if size > 1 else 1 for n, size in zip(counts, part.shape, strict=True)])
    )


def taken(call: Call) -> Field:
    """``slice``, ``select``, ``index_select``, ``flip``, ``roll``: cells, fewer, repeated or in another order."""
    field, values, shape = call.own(), call.values, call.input.shape
    if call.name == "flip":
        steps = [(dim, torch.arange(shape[dim], device="cpu").flip(0)) for dim in values["dims"]]
    elif call.name == "roll":
        if not values["dims"]:
            raise UndefinedError("roll of a flattened map")
        pairs = zip(values["dims"], values["shifts"], strict=True)
        steps = [(dim, torch.arange(shape[dim], device="cpu").roll(shift)) for dim, shift in pairs]
    else:
        dim = values["dim"]
        places = torch.arange(shape[dim], device="cpu")
        if call.name == "select":
            places = places[values["index"]].view(1)
        elif call.name == "index_select":
            known = call.value(values["index"])
            if known is None:
                raise UndefinedError("index_select by numbers that the model does not have yet")
            places = places[known]
        else:
            start, end = values["start"], values["end"]
            places = places[start : None if end is None else end : values["step"]]
        steps = [(dim, places)]
    for dim, places in steps:
        field = gather(field, dim, places[:, None])
    if call.name == "select":
        return field.map(lambda part: part.squeeze(values["dim"]))
    return field


def parted(call: Call) -> list[Field]:
    """``split``, ``split_with_sizes``, ``unbind``."""
    dim, field = call.values.get("dim", 0), call.own()
    fields, start = [], 0
    for piece in call.result:
        length = 1 if call.name == "unbind" else piece.shape[dim]
        part = gather(field, dim, torch.arange(start, start + length, device="cpu")[:, None])
        fields.append(part.map(lambda values: values.squeeze(dim)) if call.name == "unbind" else part)
        start += length
    return fields


def joined(call: Call) -> Field:
    """``cat`` and ``stack``."""
    pieces, dim = call.values["tensors"], call.values["dim"] % call.result.ndim
    fields: list[tuple[Field | None, tuple[int, ...]]] = []
    for piece in pieces:
        field, shape = call.lookup(piece), tuple(piece.shape)
        if call.name == "stack":
            field = None if field is None else field.map(lambda part: part.unsqueeze(dim))
            shape = (*shape[:dim], 1, *shape[dim:])
        fields.append((field, shape))
    return concatenate(fields, dim)


def padded(call: Call) -> Field:
    """Padding with a constant, by mirroring or by repeating; negative amounts cut off."""
    amounts, shape, field = call.values["pad" if "pad" in call.values else "padding"], call.input.shape, call.own()
    for number in range(len(amounts) // 2):
        dim = len(shape) - 1 - number
        before, after = amounts[2 * number], amounts[2 * number + 1]
        size = shape[dim]
        places = torch.arange(-before, size + after, device="cpu")
        if call.name.startswith("reflection"):
            places = places.abs()
            places = (size - 1) - (size - 1 - places).abs()
        elif call.name.startswith("replication"):
            places = places.clamp(0, size - 1)
        else:
            places = torch.where((places >= 0) & (places < size), places, -1)
        field = gather(field, dim, places[:, None])
    return field


def scattered(call: Call) -> Field:
    """Unpooling: values of a pooled map put at the switches of that pooling, in a map of constants."""
    values = call.values
    pointers, source = call.lookup(values["index"]), call.lookup(values["src"])
    switches: Switches | None = None if pointers is None else pointers.switches
    if call.lookup(call.input) is not None or pointers is None or source is None or switches is None:
        raise UndefinedError(f"{call.name} to places that only the picture knows")
    height, width = (len(windows) for windows in switches.windows)
    if call.result.shape[-1] != height * width or values["dim"] % call.result.ndim != call.result.ndim - 1:
        raise UndefinedError(f"{call.name} of something else than a pooled map")
    lead = tuple(values["src"].shape[:-1])
    field = reshape(hull([pointers, source]), values["src"].shape, (*lead, *switches.pooled))
    for axis in (0, 1):
        field = gather(field, len(lead) + axis, switches.windows[axis])
    return reshape(field, (*lead, height, width), tuple(call.result.shape))
