"""GoogLeNet as Caffe's model zoo has it (bvlc_googlenet), without the auxiliary heads and the final pooling.

torchvision's ``googlenet`` is another network: it has batch norm, and 3×3 where this one has 5×5.
"""

from collections.abc import Collection

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from zoo.plugins.fcn import caffe

from zoo.interfaces import Encoder, Features, FeatureSpec

Widths = tuple[int, int, int, int, int, int]

_MODULES: dict[str, Widths] = {
    "inception_3a": (64, 96, 128, 16, 32, 32),
    "inception_3b": (128, 128, 192, 32, 96, 64),
    "inception_4a": (192, 96, 208, 16, 48, 64),
    "inception_4b": (160, 112, 224, 24, 64, 64),
    "inception_4c": (128, 128, 256, 24, 64, 64),
    "inception_4d": (112, 144, 288, 32, 64, 64),
    "inception_4e": (256, 160, 320, 32, 128, 128),
    "inception_5a": (256, 160, 320, 32, 128, 128),
    "inception_5b": (384, 192, 384, 48, 128, 128),
}
_ORDER = (
    *("conv1", "pool1", "conv2", "pool2", "inception_3a", "inception_3b", "pool3"),
    *("inception_4a", "inception_4b", "inception_4c", "inception_4d", "inception_4e", "pool4"),
    *("inception_5a", "inception_5b", "drop"),
)
_NARROWEST = 37
"""What a padded picture must measure for pool4 to have a cell."""


def _plan(first_padding: int, classifier: bool) -> list[FeatureSpec]:
    """Where the maps of all layers lie, in order."""
    plan = [caffe.after(FeatureSpec("data", 3, 1, 0.0), "conv1", 64, 7, stride=2, padding=first_padding)]
    for name in _ORDER[1:] if classifier else _ORDER[1:-1]:
        here = plan[-1]
        if name.startswith("pool"):
            plan.append(caffe.after(here, name, here.channels, 3, stride=2))
        elif name == "conv2":
            plan.append(here._replace(name=name, channels=192))
        elif name == "drop":
            plan.append(here._replace(name=name))
        else:
            one, _, three, _, five, projection = _MODULES[name]
            plan.append(here._replace(name=name, channels=one + three + five + projection))
    return plan


class Inception(nn.Module):
    """Four branches side by side: 1×1, 3×3, 5×5, and a maximum over 3×3; ReLU after every convolution.

    Args:
        in_channels: C.
        widths: Channels of 1×1, 3×3 reduce, 3×3, 5×5 reduce, 5×5 and of the projection after pooling.
    """

    def __init__(self, in_channels: int, widths: Widths) -> None:
        super().__init__()
        one, reduce_three, three, reduce_five, five, projection = widths
        self.add_module("1x1", _conv(in_channels, one))
        self.add_module("3x3_reduce", _conv(in_channels, reduce_three))
        self.add_module("3x3", _conv(reduce_three, three, 3, padding=1))
        self.add_module("5x5_reduce", _conv(in_channels, reduce_five))
        self.add_module("5x5", _conv(reduce_five, five, 5, padding=2))
        self.pool_proj = _conv(in_channels, projection)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, h, w) to (N, channels of the four branches, h, w)."""
        three = getattr(self, "3x3")(self.relu(getattr(self, "3x3_reduce")(x)))
        five = getattr(self, "5x5")(self.relu(getattr(self, "5x5_reduce")(x)))
        pooled = self.pool_proj(F.max_pool2d(x, 3, 1, padding=1))
        return self.relu(torch.cat([getattr(self, "1x1")(x), three, five, pooled], dim=1))


class GoogLeNet(Encoder):
    """The trunk of FCN-GoogLeNet.

    Layers have their published names with ``.`` for ``/``: ``conv1.7x7_s2``, ``inception_3a.5x5_reduce`` … Taps:
    ``conv1`` (stride 2); ``pool1``, normalised, and ``conv2`` (4); ``pool2``, ``inception_3a``, ``inception_3b`` (8);
    ``pool3``, ``inception_4a`` … ``inception_4e`` (16); ``pool4``, ``inception_5a``, ``inception_5b`` (32); and with
    `classifier` ``drop``, which is ``inception_5b`` after dropout.

    Args:
        taps: Build only as deep as these need; None builds everything.
        in_channels: Channels of the input.
        classifier: Add the dropout that precedes the classifier.
        first_padding: Padding of the first convolution: its own 3, or 100 as in the published FCN-VGG nets.
        dropout: Probability of that dropout; elements, not channels, are dropped.
        encoder_weights: None, or the path of a file with the Caffe net's weights.
    """

    input = caffe.INPUT

    def __init__(
        self,
        *,
        taps: Collection[str] | None = None,
        in_channels: int = 3,
        classifier: bool = False,
        first_padding: int = 3,
        dropout: float = 0.4,
        encoder_weights: str | None = None,
    ) -> None:
        super().__init__()
        plan = _plan(first_padding, classifier)
        if taps is not None:
            plan = plan[: max(index for index, tap in enumerate(plan) if tap.name in taps) + 1]
        self.smallest = max(_NARROWEST - 2 * first_padding, 1)
        channels = in_channels
        for tap in plan:
            if tap.name == "conv1":
                self.conv1 = nn.ModuleDict({"7x7_s2": _conv(in_channels, 64, 7, stride=2, padding=first_padding)})
            elif tap.name == "conv2":
                self.conv2 = nn.ModuleDict({"3x3_reduce": _conv(64, 64), "3x3": _conv(64, 192, 3, padding=1)})
            elif tap.name in _MODULES:
                self.add_module(tap.name, Inception(channels, _MODULES[tap.name]))
            channels = tap.channels
        self.relu = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(dropout)
        self.features = tuple(plan)
        if encoder_weights is not None:
            caffe.load(self, encoder_weights, "conv1.7x7_s2.weight", in_channels)

    @classmethod
    def offers(  # type: ignore[override]
        cls, *, classifier: bool = False, first_padding: int = 3
    ) -> tuple[FeatureSpec, ...]:
        """The taps of a net with these options."""
        return tuple(_plan(first_padding, classifier))

    def forward(self, x: Tensor, taps: Collection[str], with_pools: bool = False) -> Features:
        """Map (N, C, H, W) to the named taps, each (N, channels, h, w)."""
        maps: dict[str, Tensor] = {}
        x = caffe.at_least(x, self.smallest)
        for tap in self.features:
            x = self._layer(tap.name, x)
            if tap.name in taps:
                maps[tap.name] = x
        return Features(maps, {})

    def _layer(self, name: str, x: Tensor) -> Tensor:
        if name == "conv1":
            return self.relu(self.conv1["7x7_s2"](x))
        if name == "pool1":
            return caffe.normalize(caffe.pool(x))
        if name == "conv2":
            return self.relu(self.conv2["3x3"](self.relu(self.conv2["3x3_reduce"](x))))
        if name == "pool2":
            return caffe.pool(caffe.normalize(x))
        if name.startswith("pool"):
            return caffe.pool(x)
        y: Tensor = self.dropout(x) if name == "drop" else getattr(self, name)(x)
        return y


def _conv(in_channels: int, out_channels: int, kernel_size: int = 1, *, stride: int = 1, padding: int = 0) -> nn.Conv2d:
    conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding)
    nn.init.kaiming_normal_(conv.weight, mode="fan_in", nonlinearity="relu")
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv
