"""Weights in the order in which the processor's matrix units read them, sorted once instead of at every call.

This is what torch's own compiler does. Its operators are not documented, so whether they are there is asked first.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.speed.fused import FusedConv, can_fuse
from zoo.speed.sharing import parameter, replace
from zoo.speed.winograd import WinogradConv

_OPERATORS = ("_linear_pointwise", "_reorder_linear_weight")


def pack(model: nn.Module) -> int:
    """Pack the weights of convolutions and products, where that is a gain: in bfloat16 on a CPU that computes in it.

    Args:
        model: Changed; its weights are kept packed only.

    Returns:
        How many layers were packed.
    """
    count = 0
    for module in list(model.modules()):
        if isinstance(module, PackedLinear) and can_pack(module.weight):
            module.pack()
            count += 1
        elif type(module) is nn.Conv2d and can_pack(module.weight) and can_fuse(module):
            replace(model, module, FusedConv(module, packed=True))
            count += 1
    return count


def can_pack(weight: Tensor) -> bool:
    """Whether weights of this type are packed here."""
    return (
        weight.device.type == "cpu"
        and weight.dtype == torch.bfloat16
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and torch.ops.mkldnn._is_mkldnn_bf16_supported()
        and all(hasattr(torch.ops.mkldnn, name) for name in _OPERATORS)
    )


class PackedLinear(nn.Module):
    """A linear layer whose weights can be packed.

    Args:
        weight: (outputs, inputs).
        bias: (outputs,) or None.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.outputs, self.inputs = weight.shape
        self.weight = parameter(weight)
        self.bias = None if bias is None else parameter(bias)
        self.packed: Any = None

    def pack(self) -> None:
        """Keep the weights packed, and only so."""
        self.packed = torch.ops.mkldnn._reorder_linear_weight(self.weight.detach(), None)
        self.weight = parameter(self.weight.new_empty(0))

    def forward(self, x: Tensor) -> Tensor:
        """Map (rows, inputs) to (rows, outputs)."""
        if self.packed is None:
            return F.linear(x, self.weight, self.bias)
        found: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.packed, self.bias, "none", [], "")
        return found


def unpadded(layer: nn.Module, x: Tensor) -> Tensor:
    """Run a convolution without its padding."""
    if isinstance(layer, FusedConv):
        return layer.convolve(x, (0, 0))
    if isinstance(layer, WinogradConv):
        return layer.convolve(x, 0)
    assert isinstance(layer, nn.Conv2d)
    return F.conv2d(x, layer.weight, layer.bias, layer.stride, 0, layer.dilation, layer.groups)
