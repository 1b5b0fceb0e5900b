"""What the nets of this plugin share: pairs of convolutions, their initialisation, and mirroring at the border."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from zoo.ops import BatchNorm2d


def conv_block(in_channels: int, out_channels: int, *, padding: int = 1, norm: bool, count: int = 2) -> nn.Sequential:
    """`count` times 3×3 convolution with bias, BatchNorm where wanted, ReLU; without padding each takes 2 cells off."""
    return nn.Sequential(*_layers(in_channels, out_channels, padding, norm, count))


def _layers(in_channels: int, out_channels: int, padding: int, norm: bool, count: int) -> Iterator[nn.Module]:
    for _ in range(count):
        yield nn.Conv2d(in_channels, out_channels, 3, padding=padding)
        if norm:
            yield BatchNorm2d(out_channels)
        yield nn.ReLU(inplace=True)
        in_channels = out_channels


def initialise(module: nn.Module) -> None:
    """Draw every convolution in `module` from a Gaussian of standard deviation √(2 / N), biases 0.

    N is the number of inputs that one output sees (Ronneberger et al., section 3; He et al., 2015). In a transposed
    convolution whose stride is its kernel size that is one cell of every channel.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            fan_in = layer.in_channels
            if isinstance(layer, nn.Conv2d):
                fan_in *= layer.kernel_size[0] * layer.kernel_size[1]
            nn.init.normal_(layer.weight, std=(2 / fan_in) ** 0.5)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def mirror(x: Tensor, before: int, height: int, width: int) -> Tensor:
    """Continue (N, C, H, W) to (N, C, height, width) by mirroring at its borders, `before` cells above and to the left.

    The border cell itself is not repeated; where the picture is smaller than what is to be added, the reflections are
    reflected again. A single row or column is repeated.
    """
    for dim, length in ((-2, height), (-1, width)):
        size = x.shape[dim]
        period = max(2 * size - 2, 1)
        position = torch.arange(-before, length - before, device=x.device)
        position = torch.remainder(position, torch.full_like(position, period))  # ONNX knows it of two tensors only
        x = x.index_select(dim, torch.minimum(position, period - position) if size > 1 else position)
    return x
