"""Holding translated tensors against the net that they are for, one to one."""

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from zoo.errors import CheckpointError


def fitted(given: Mapping[str, Tensor], own: Mapping[str, Tensor], what: str) -> dict[str, Tensor]:
    """Check that `given` holds exactly the tensors of `own`; return them in its order, shapes and kinds of number.

    Ones in a shape count for nothing (Caffe's biases are 1×1×1×N), and a matrix may be the convolution of as many
    numbers (an inner product over a map). Counters of batches, which old files lack, are filled in.

    Args:
        given: Our name → tensor.
        own: The state dict that is wanted; only shapes and kinds of number are read.
        what: The file, for the message.

    Raises:
        CheckpointError: Tensors are missing, too many, of other shapes, or not finite.
    """
    given = {name: tensor for name, tensor in given.items() if not tensor.is_meta}  # a placeholder is no tensor
    for name, tensor in own.items():
        if name not in given and name.endswith(".num_batches_tracked"):
            given[name] = torch.zeros(tensor.shape, dtype=tensor.dtype)
    missing = [name for name in own if name not in given]
    strange = [name for name in given if name not in own]
    if missing or strange:
        faults = [f"{kind} {_listed(names)}" for kind, names in (("lacks", missing), ("has", strange)) if names]
        raise CheckpointError(f"{what}: {' and '.join(faults)}{', for which there is no place' if strange else ''}")
    fitting: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in own.items():
        fitting[name] = _shaped(name, given[name], tensor, what)
        memory = fitting[name].untyped_storage().data_ptr()
        if memory in seen:  # a file may hold one tensor under two names; ours holds each by itself
            fitting[name] = fitting[name].clone()
        seen.add(memory)
    return fitting


def _shaped(name: str, tensor: Tensor, own: Tensor, what: str) -> Tensor:
    if tensor.shape != own.shape and not _same_numbers(tensor.shape, own.shape):
        raise CheckpointError(f"{what}: {name} is of shape {_shape(tensor)} there and of {_shape(own)} in this net")
    if tensor.is_floating_point() and not bool(torch.isfinite(tensor.sum())) and not bool(tensor.isfinite().all()):
        raise CheckpointError(f"{what}: {name} holds values that are no numbers")
    return tensor.to(own.dtype).reshape(own.shape)


def _same_numbers(given: Iterable[int], own: Iterable[int]) -> bool:
    given, own = [size for size in given if size != 1], [size for size in own if size != 1]
    if given == own:
        return True
    return len(given) == 2 and len(own) > 2 and given[0] == own[0] and given[1] == math.prod(own[1:])


def _shape(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "()"


def _listed(names: list[str], most: int = 4) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
