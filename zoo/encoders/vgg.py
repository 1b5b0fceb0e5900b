"""The VGG family (Simonyan and Zisserman, 2015), as the segmentation nets of the field use it.

Layers have their published names, ``conv1_1`` … ``conv5_3``, ``fc6``, ``fc7``; with batch norm, ``bn1_1`` …
follow their convolutions, and `classifier_norm` adds ``bnfc6`` and ``bnfc7``.
"""

from collections.abc import Collection
from typing import ClassVar, NamedTuple

from torch import Tensor, nn

from zoo.encoders import _vgg_weights
from zoo.errors import OptionError
from zoo.interfaces import Encoder, Features, FeatureSpec, Pool
from zoo.ops import BatchNorm2d, pad_to

_CHANNELS = (64, 128, 256, 512, 512)
_DEPTHS = {"vgg11": (1, 1, 2, 2, 2), "vgg13": (2, 2, 2, 2, 2), "vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
_CLASSIFIER_CHANNELS = 4096


class _Step(NamedTuple):
    """One layer of the plan: what to build, and where its map lies."""

    spec: FeatureSpec
    kind: str  # "conv", "pool" or "fc"
    in_channels: int
    kernel_size: int
    padding: int


def _plan(
    name: str,
    in_channels: int,
    first_padding: int,
    classifier: bool,
    fc6_padding: int | None,
    width: float = 1.0,
    classifier_channels: int | None = None,
    classifier_kernel: int = 7,
) -> list[_Step]:
    """The layers of a net in order. Offsets follow from kernel, stride and padding of all layers before."""
    classifier_channels = _CLASSIFIER_CHANNELS if classifier_channels is None else classifier_channels
    if not 0 < width <= 4 or classifier_channels < 1:
        raise OptionError(
            f"width={width}, classifier_channels={classifier_channels}: expected above 0 to 4, and at least 1"
        )
    if classifier_kernel < 1 or classifier_kernel % 2 == 0:
        raise OptionError(f"classifier_kernel={classifier_kernel}: expected an odd number of at least 1")
    steps: list[_Step] = []
    channels, stride, offset = in_channels, 1, 0.0

    def add(layer: str, kind: str, out_channels: int, kernel_size: int, padding: int, step: int = 1) -> None:
        nonlocal channels, stride, offset
        offset += stride * ((kernel_size - 1) / 2 - padding)
        stride *= step
        steps.append(_Step(FeatureSpec(layer, out_channels, stride, offset), kind, channels, kernel_size, padding))
        channels = out_channels

    for block, (depth, full) in enumerate(zip(_DEPTHS[name], _CHANNELS, strict=True), 1):
        out = max(1, round(full * width))
        for index in range(1, depth + 1):
            add(f"conv{block}_{index}", "conv", out, 3, first_padding if block == index == 1 else 1)
        add(f"pool{block}", "pool", out, 2, 0, step=2)
    if classifier:
        # The published FCN nets leave fc6 unpadded because the image was padded by 100; without that it must
        # be padded itself, or the answer would not cover the image.
        if fc6_padding is None:
            fc6_padding = 0 if first_padding >= 100 else classifier_kernel // 2
        add("fc6", "fc", classifier_channels, classifier_kernel, fc6_padding)
        add("fc7", "fc", classifier_channels, 1, 0)
    return steps


class VGG(Encoder):
    """VGG-11/13/16/19 trunk, optionally with its classifier as convolutions.

    Taps: ``pool1`` … ``pool5``, the last convolution of each block (``conv1_2``, …, after its ReLU), and
    ``fc6``, ``fc7`` (4096 channels, after ReLU and dropout) with `classifier`. Every pooling offers its switches.

    Args:
        taps: Build only as deep as these need; None builds everything.
        in_channels: Channels of the input.
        width: Factor of the channels of every convolution; published weights are for 1.
        classifier: Add fc6 and fc7 (1×1).
        classifier_channels: Channels of fc6 and fc7; None: 4096.
        classifier_kernel: Height and width of fc6's kernel; published weights are for 7.
        fc6_padding: Padding of fc6; by default half its kernel, or 0 where `first_padding` makes up for it. Without
            any, a map smaller than the kernel is first filled up with zeros.
        classifier_norm: BatchNorm after fc6 and fc7 (``bnfc6``, ``bnfc7``), as in DeconvNet.
        norm_eps: ε of all batch norms.
        norm_shift: Initial β of all batch norms.
        first_padding: Padding of conv1_1: 1, or the 100 of the published FCN nets.
        ceil_mode: Poolings round sizes up, as Caffe does. Off, they round down as torchvision's do, but never to 0.
        dropout: Probability after fc6 and fc7; elements, not channels, are dropped.
        encoder_weights: None, ``"imagenet"`` (torchvision's, downloaded), or the path of a file of them.
    """

    depth: ClassVar[str]
    batch_norm: ClassVar[bool] = False

    def __init__(
        self,
        *,
        taps: Collection[str] | None = None,
        in_channels: int = 3,
        width: float = 1.0,
        classifier: bool = False,
        classifier_channels: int | None = None,
        classifier_kernel: int = 7,
        fc6_padding: int | None = None,
        classifier_norm: bool = False,
        norm_eps: float = 1e-5,
        norm_shift: float = 0.0,
        first_padding: int = 1,
        ceil_mode: bool = True,
        dropout: float = 0.5,
        encoder_weights: str | None = None,
    ) -> None:
        super().__init__()
        if first_padding < 1:
            raise OptionError(f"first_padding={first_padding}: expected at least 1, or small pictures would vanish")
        steps = _plan(
            self.depth,
            in_channels,
            first_padding,
            classifier,
            fc6_padding,
            width,
            classifier_channels,
            classifier_kernel,
        )
        if taps is not None:
            deepest = max(index for index, step in enumerate(steps) if step.spec.name in taps)
            steps = steps[: deepest + 1]
        self.in_channels = in_channels
        self.ceil_mode = ceil_mode
        self.layers = [(step.spec.name, step.kind) for step in steps]
        self.norms: dict[str, str] = {}
        for step in steps:
            name = step.spec.name
            if step.kind == "pool":
                continue
            conv = nn.Conv2d(step.in_channels, step.spec.channels, step.kernel_size, padding=step.padding)
            nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
            self.add_module(name, conv)
            if self.batch_norm if step.kind == "conv" else classifier_norm:
                norm = BatchNorm2d(step.spec.channels, eps=norm_eps)
                nn.init.constant_(norm.bias, norm_shift)
                self.norms[name] = _norm_name(name)
                self.add_module(self.norms[name], norm)
        self.relu = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(dropout)
        self.features = tuple(step.spec for step in steps if step.spec.name in _tap_names(self.depth))
        self.pools = tuple(name for name, kind in self.layers if kind == "pool")
        if encoder_weights is not None:
            _vgg_weights.load(self, encoder_weights)

    @classmethod
    def offers(  # type: ignore[override]
        cls,
        *,
        width: float = 1.0,
        classifier: bool = False,
        classifier_channels: int | None = None,
        classifier_kernel: int = 7,
        fc6_padding: int | None = None,
        first_padding: int = 1,
    ) -> tuple[FeatureSpec, ...]:
        """The taps that a net of these options has."""
        wanted = _tap_names(cls.depth)
        steps = _plan(
            cls.depth, 3, first_padding, classifier, fc6_padding, width, classifier_channels, classifier_kernel
        )
        return tuple(step.spec for step in steps if step.spec.name in wanted)

    def forward(self, x: Tensor, taps: Collection[str], with_pools: bool = False) -> Features:
        """Map (N, C, H, W) to the named taps, each (N, channels, h, w)."""
        maps: dict[str, Tensor] = {}
        pools: dict[str, Pool] = {}
        for name, kind in self.layers:
            x = self.halve(name, x, pools if with_pools else None) if kind == "pool" else self.convolve(name, x)
            if name in taps:
                maps[name] = x
        return Features(maps, pools)

    def convolve(self, name: str, x: Tensor) -> Tensor:
        """Run the convolution `name` with what belongs to it: norm, ReLU, dropout after fc6 and fc7."""
        conv, is_classifier = getattr(self, name), name.startswith("fc")
        if is_classifier and conv.padding[0] == 0:
            x = pad_to(x, 1, conv.kernel_size[0])
        x = conv(x)
        if name in self.norms:
            x = getattr(self, self.norms[name])(x)
        x = self.relu(x)
        activated: Tensor = self.dropout(x) if is_classifier else x
        return activated

    def halve(self, name: str, x: Tensor, pools: dict[str, Pool] | None = None) -> Tensor:
        """Run the pooling `name`; its switches go into `pools`, if given."""
        # A map of one row or column cannot be halved by rounding down; rounding up leaves it as it is.
        ceil_mode = self.ceil_mode or min(x.shape[-2:]) < 2
        if pools is None:
            return nn.functional.max_pool2d(x, 2, 2, ceil_mode=ceil_mode)
        y, indices = nn.functional.max_pool2d(x, 2, 2, ceil_mode=ceil_mode, return_indices=True)
        pools[name] = Pool(indices, (x.shape[-2], x.shape[-1]))
        return y


def _norm_name(layer: str) -> str:
    return layer.replace("conv", "bn") if layer.startswith("conv") else f"bn{layer}"


def _tap_names(depth: str) -> set[str]:
    last = {f"conv{block}_{count}" for block, count in enumerate(_DEPTHS[depth], 1)}
    return last | {f"pool{block}" for block in range(1, 6)} | {"fc6", "fc7"}


class VGG11(VGG):
    """VGG-11 (configuration A)."""

    depth = "vgg11"


class VGG13(VGG):
    """VGG-13 (configuration B)."""

    depth = "vgg13"


class VGG16(VGG):
    """VGG-16 (configuration D), the trunk of FCN, DeconvNet and DeepLab."""

    depth = "vgg16"


class VGG19(VGG):
    """VGG-19 (configuration E)."""

    depth = "vgg19"


class VGG11BN(VGG11):
    """VGG-11 with batch norm after every convolution of the trunk."""

    batch_norm = True


class VGG13BN(VGG13):
    """VGG-13 with batch norm after every convolution of the trunk."""

    batch_norm = True


class VGG16BN(VGG16):
    """VGG-16 with batch norm after every convolution of the trunk."""

    batch_norm = True


class VGG19BN(VGG19):
    """VGG-19 with batch norm after every convolution of the trunk."""

    batch_norm = True
