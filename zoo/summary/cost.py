"""Multiply-accumulates of a model, by part.

Counted are convolutions, transposed convolutions, matrix products and attention, densely: zeros in a kernel cost what
other numbers cost. Biases, normalisation, activations, pooling, interpolation and sums are not counted; in the nets at
hand they are a percent or less. One multiply-accumulate is two floating-point operations.
"""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

NOT_COUNTED = "biases, normalisation, activations, pooling, interpolation, sums"


class Counting(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up multiply-accumulates of what is computed inside.

    Attributes:
        part: The part of the model that is at work.
        macs: Part → multiply-accumulates.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.part = ""
        self.macs: dict[str, int] = {}

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        packet = func.overloadpacket
        if packet is torch.ops.aten.scaled_dot_product_attention:
            result = func(*args, **kwargs)
            query, key = args[0], args[1]
            self._add(prod(query.shape[:-1]) * key.shape[-2] * (query.shape[-1] + result.shape[-1]))
            return result
        formula = flop_registry.get(packet)
        if formula is None and torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd"):
            with self:
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        result = func(*args, **kwargs)
        if formula is not None:
            out = result if isinstance(result, Tensor) else None
            self._add(formula(*args, **kwargs, out_val=out) // 2)
        return result

    def _add(self, macs: int) -> None:
        self.macs[self.part] = self.macs.get(self.part, 0) + int(macs)
