"""CaffeNet (bvlc_reference_caffenet): AlexNet in one piece, with two groups, pooling before normalisation.

torchvision's ``alexnet`` is another network, of other widths, without groups or normalisation.
"""

from collections.abc import Collection
from typing import NamedTuple

from torch import Tensor, nn
from zoo.plugins.fcn import caffe

from zoo.interfaces import Encoder, Features, FeatureSpec

_NARROWEST = 39
"""What a padded picture must measure for pool5 to have a cell."""


class _Step(NamedTuple):
    """One layer: where its map lies and how it is made."""

    spec: FeatureSpec
    kind: str  # "conv", "pool", "norm" or "fc"
    in_channels: int = 0
    kernel_size: int = 1
    stride: int = 1
    padding: int = 0
    groups: int = 1


def _plan(in_channels: int, first_padding: int, classifier: bool) -> list[_Step]:
    """The layers in order."""
    steps: list[_Step] = []
    here = FeatureSpec("data", in_channels, 1, 0.0)

    def add(
        name: str, kind: str, channels: int, size: int = 1, stride: int = 1, padding: int = 0, groups: int = 1
    ) -> None:
        nonlocal here
        spec = caffe.after(here, name, channels, size, stride=stride, padding=padding)
        steps.append(_Step(spec, kind, here.channels, size, stride, padding, groups))
        here = spec

    add("conv1", "conv", 96, 11, stride=4, padding=first_padding)
    add("pool1", "pool", 96, 3, stride=2)
    add("norm1", "norm", 96)
    add("conv2", "conv", 256, 5, padding=2, groups=2)
    add("pool2", "pool", 256, 3, stride=2)
    add("norm2", "norm", 256)
    add("conv3", "conv", 384, 3, padding=1)
    add("conv4", "conv", 384, 3, padding=1, groups=2)
    add("conv5", "conv", 256, 3, padding=1, groups=2)
    add("pool5", "pool", 256, 3, stride=2)
    if classifier:
        # As in our VGG: fc6 needs no padding where the picture got as much as in the published net.
        add("fc6", "fc", 4096, 6, padding=0 if first_padding >= 100 else 3)
        add("fc7", "fc", 4096)
    return steps


class CaffeNet(Encoder):
    """The trunk of FCN-AlexNet, optionally with its classifier as convolutions.

    Taps are all layers, under their published names: ``conv1`` (stride 4); ``pool1``, ``norm1``, ``conv2`` (8);
    ``pool2``, ``norm2``, ``conv3``, ``conv4``, ``conv5`` (16); ``pool5`` (32), and with `classifier` ``fc6``, ``fc7``.

    Args:
        taps: Build only as deep as these need; None builds everything.
        in_channels: Channels of the input.
        classifier: Add fc6 (6×6) and fc7 (1×1).
        first_padding: Padding of conv1: by default what puts its cell 0 on pixel 0; 100 in the published FCN,
            0 in the classifier.
        dropout: Probability after fc6 and fc7; elements, not channels, are dropped.
        encoder_weights: None, or the path of a file with the Caffe net's weights.
    """

    input = caffe.INPUT

    def __init__(
        self,
        *,
        taps: Collection[str] | None = None,
        in_channels: int = 3,
        classifier: bool = False,
        first_padding: int = 5,
        dropout: float = 0.5,
        encoder_weights: str | None = None,
    ) -> None:
        super().__init__()
        steps = _plan(in_channels, first_padding, classifier)
        if taps is not None:
            deepest = max(index for index, step in enumerate(steps) if step.spec.name in taps)
            steps = steps[: deepest + 1]
        self.smallest = max(_NARROWEST - 2 * first_padding, 1)
        self.layers = [(step.spec.name, step.kind) for step in steps]
        for step in steps:
            if step.kind in ("conv", "fc"):
                shape = (step.in_channels, step.spec.channels, step.kernel_size, step.stride, step.padding)
                conv = nn.Conv2d(*shape, groups=step.groups)
                nn.init.kaiming_normal_(conv.weight, mode="fan_in", nonlinearity="relu")
                nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
                self.add_module(step.spec.name, conv)
        self.relu = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(dropout)
        self.features = tuple(step.spec for step in steps)
        if encoder_weights is not None:
            caffe.load(self, encoder_weights, "conv1.weight", in_channels)

    @classmethod
    def offers(  # type: ignore[override]
        cls, *, classifier: bool = False, first_padding: int = 5
    ) -> tuple[FeatureSpec, ...]:
        """The taps of a net with these options."""
        return tuple(step.spec for step in _plan(3, first_padding, classifier))

    def forward(self, x: Tensor, taps: Collection[str], with_pools: bool = False) -> Features:
        """Map (N, C, H, W) to the named taps, each (N, channels, h, w)."""
        maps: dict[str, Tensor] = {}
        x = caffe.at_least(x, self.smallest)
        for name, kind in self.layers:
            if kind == "pool":
                x = caffe.pool(x)
            elif kind == "norm":
                x = caffe.normalize(x)
            else:
                x = self.relu(getattr(self, name)(x))
                if kind == "fc":
                    x = self.dropout(x)
            if name in taps:
                maps[name] = x
        return Features(maps, {})
