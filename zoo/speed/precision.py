"""bfloat16: a quarter of the work on processors with matrix units, and three digits."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import OptionError
from zoo.ops import ScoreConv
from zoo.speed.sharing import parameter, replace

DTYPES = ("float32", "bfloat16", "auto")

_NORMS = (nn.modules.batchnorm._BatchNorm,)


def choose_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """What ``"float32"``, ``"bfloat16"`` or ``"auto"`` means on a device.

    ``"auto"`` is bfloat16 where the hardware multiplies in it (AMX, AVX512-BF16, CUDA from compute capability 8), and
    float32 elsewhere.

    Raises:
        OptionError: None of them.
    """
    if dtype not in DTYPES:
        raise OptionError(f"dtype={dtype!r}: expected one of {', '.join(DTYPES)}")
    if dtype == "float32" or (dtype == "auto" and not _fast_bfloat16(device)):
        return torch.float32
    return torch.bfloat16


def _fast_bfloat16(device: torch.device) -> bool:
    if device.type == "cpu":
        return torch.backends.mkldnn.is_available() and bool(  # type: ignore[no-untyped-call]
            torch.ops.mkldnn._is_mkldnn_bf16_supported()
        )
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)


def to_bfloat16(model: nn.Module) -> None:
    """Turn a model's weights to bfloat16, all but those of batch norms and class scores.

    A norm's statistics are its own business. Class scores are compared with one another, and in bfloat16 too many
    would be equal: they are computed, summed and enlarged in float32.

    Args:
        model: Changed.
    """
    for score in [module for module in model.modules() if type(module) is ScoreConv]:
        replace(model, score, ExactScores(score))
    for module in model.modules():
        if isinstance(module, (*_NORMS, ExactScores)):
            continue
        for name, value in module._parameters.items():
            if value is not None and value.is_floating_point():
                module._parameters[name] = parameter(value.to(torch.bfloat16))
        for name, buffer in module._buffers.items():
            if buffer is not None and buffer.is_floating_point():
                module._buffers[name] = buffer.to(torch.bfloat16)


class ExactScores(nn.Module):
    """`zoo.ops.ScoreConv` in float32, whatever it is given.

    Args:
        layer: Whose weights it takes.
    """

    def __init__(self, layer: ScoreConv) -> None:
        super().__init__()
        assert layer.bias is not None
        self.weight, self.bias = parameter(layer.weight), parameter(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, h, w) of any type to (N, K, h, w) float32."""
        return F.conv2d(x.float(), self.weight, self.bias)
