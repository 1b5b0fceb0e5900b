"""The deconvolution network: unpooling with switches and transposed convolutions."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zoo.errors import IncompatibleError
from zoo.interfaces import Decoder, Features, FeatureSpec, Pool
from zoo.ops import BatchNorm2d, fit


class Deconvolution(nn.ConvTranspose2d):
    """A transposed convolution of stride 1, computed as the convolution with the mirrored kernel that it is.

    Libraries are faster at it: in training on a CPU in bfloat16, twice as fast.
    """

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Map (N, in_channels, h, w) to (N, out_channels, h, w), kernel and padding being those of the same size."""
        kernel = self.weight.flip(2, 3).transpose(0, 1)
        return nn.functional.conv2d(input, kernel, self.bias, padding=self.kernel_size[0] - 1 - int(self.padding[0]))


class DeconvDecoder(Decoder):
    """fc6_deconv back to the size of the coarsest pooling; then per pooling, coarse to fine, unpool and deconvolve.

    Layers have the published names, `-` written as `_`: ``fc6_deconv``, ``fc6_deconv_bn``, ``deconv5_1``, ``debn5_1``.
    Unpooling restores the sizes that the switches were recorded at, so any size of input fits.

    Args:
        code: The tap that is deconvolved, ``fc7``.
        pools: The taps of the poolings that are undone, fine to coarse.
        depths: Transposed convolutions after each unpooling, fine to coarse. The last after each brings the channels of
            the next finer pooling.
        norm: BatchNorm after every layer, with ε 1e-9 and an initial β of 0.001.
    """

    with_pools = True

    def __init__(
        self, code: FeatureSpec, pools: Sequence[FeatureSpec], *, depths: Sequence[int], norm: bool = True
    ) -> None:
        super().__init__()
        if len(depths) != len(pools):
            raise IncompatibleError(f"{len(depths)} depths were given for {len(pools)} poolings: give one for each")
        coarsest, finest = pools[-1], pools[0]
        kernel_size, rest = divmod(2 * (code.offset - coarsest.offset), code.stride)
        if rest or kernel_size < 0 or code.stride != coarsest.stride:
            raise IncompatibleError(
                f"{code.name!r} (stride {code.stride}, offset {code.offset}) is not what an unpadded convolution makes "
                f"of {coarsest.name!r} (stride {coarsest.stride}, offset {coarsest.offset})"
            )
        self.norm = norm
        self.code = code.name
        self.taps = (code.name,)
        self.relu = nn.ReLU(inplace=True)
        first = nn.ConvTranspose2d(code.channels, coarsest.channels, int(kernel_size) + 1)
        self._add("fc6_deconv", "fc6_deconv_bn", first)
        self.steps: list[tuple[str, list[tuple[str, str]]]] = []
        channels = coarsest.channels
        finer = (finest, *pools[:-1])
        for block in range(len(pools), 0, -1):
            layers: list[tuple[str, str]] = []
            for index in range(1, depths[block - 1] + 1):
                width = finer[block - 1].channels if index == depths[block - 1] else channels
                layers.append((f"deconv{block}_{index}", f"debn{block}_{index}"))
                self._add(*layers[-1], Deconvolution(channels, width, 3, padding=1))
                channels = width
            self.steps.append((pools[block - 1].name, layers))
        stride = finest.stride // 2
        self.out = FeatureSpec(layers[-1][0], channels, stride, finest.offset - stride / 2)

    def _add(self, name: str, norm_name: str, layer: nn.ConvTranspose2d) -> None:
        nn.init.normal_(layer.weight, std=0.01)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
        self.add_module(name, layer)
        if self.norm:
            norm = BatchNorm2d(layer.out_channels, eps=1e-9)
            nn.init.constant_(norm.bias, 0.001)
            self.add_module(norm_name, norm)

    def _layer(self, name: str, norm_name: str, x: Tensor) -> Tensor:
        x = getattr(self, name)(x)
        if self.norm:
            x = getattr(self, norm_name)(x)
        activated: Tensor = self.relu(x)
        return activated

    def forward(self, features: Features) -> Tensor:
        """Map the code to (N, out.channels, h, w), at the size before the finest pooling."""
        x = self._layer("fc6_deconv", "fc6_deconv_bn", features.maps[self.code])
        coarsest = features.pools[self.steps[0][0]]
        # Where fc6 had to fill up a map smaller than its kernel, the excess is cut off again.
        x = fit(x, coarsest.indices.shape[-2:])
        for name, layers in self.steps:
            x = unpool(x, features.pools[name])
            for layer in layers:
                x = self._layer(*layer, x)
        return x


def unpool(x: Tensor, pool: Pool) -> Tensor:
    """Put each value of (N, C, h, w) at its switch in a map of zeros, (N, C, H, W); pooling windows must not overlap.

    What `torch.nn.MaxUnpool2d` does, written as a scatter, which torch has a deterministic form of on every device.
    """
    height, width = pool.size
    empty = x.new_zeros((x.shape[0], x.shape[1], height * width))
    full = empty.scatter(2, pool.indices.flatten(2), x.flatten(2)).view(*x.shape[:2], height, width)
    # A scatter forgets the layout, and what follows is three times slower in the wrong one.
    channels_last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    return full.contiguous(memory_format=torch.channels_last) if channels_last else full
