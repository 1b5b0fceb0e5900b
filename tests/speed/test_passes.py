"""Every pass against what it replaces: torch's own layers, in float64 where rounding is the question."""

import copy
import math

import pytest
import torch
from random_networks import random_state, relative_difference
from torch import nn

import zoo
from zoo.encoders.vgg import VGG, VGG16, VGG16BN
from zoo.heads import UpscoreHead
from zoo.interfaces import FeatureSpec
from zoo.ops import BatchNorm2d, BilinearUpsample
from zoo.speed.folding import fold_norms
from zoo.speed.framed import FramedVGG, frame_trunks, stretches
from zoo.speed.fused import FusedConv
from zoo.speed.memory import kept_memory
from zoo.speed.observe import handed_to_norms
from zoo.speed.packing import can_pack, pack
from zoo.speed.precision import ExactScores, to_bfloat16
from zoo.speed.product import ProductConv, multiply_wide
from zoo.speed.sharing import sharing_copy
from zoo.speed.shifted import ShiftedConv
from zoo.speed.upsample import ProductHead, ProductUpsample, separate_upsampling
from zoo.speed.winograd import WAYS, WinogradConv


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)
    with torch.no_grad():
        yield


def filled(module: nn.Module) -> nn.Module:
    module.load_state_dict(random_state(module))
    return module.eval()


class TwoReaders(nn.Module):
    """One norm may be folded; the map before the other is read twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4)
        self.second, self.other = nn.ConvTranspose2d(4, 6, 2, groups=2), BatchNorm2d(6)
        self.third, self.kept = nn.Conv2d(6, 6, 1), nn.BatchNorm2d(6)

    def forward(self, x):
        x = self.other(self.second(self.norm(self.first(x)).relu_()))
        read = self.third(x)
        return self.kept(read) + read


def test_norms_are_folded_where_nobody_else_reads() -> None:
    net = filled(TwoReaders())
    folded = copy.deepcopy(net)
    x = torch.randn(2, 3, 9, 11)
    assert [(found.convolution, found.norm) for found in handed_to_norms(net, x)] == [
        (net.first, net.norm),
        (net.second, net.other),
    ]
    assert fold_norms(folded, x) == 2
    assert isinstance(folded.kept, nn.BatchNorm2d)
    assert isinstance(folded.norm, nn.Identity)
    assert relative_difference(folded(x), net(x)) < 1e-6


def test_a_norm_that_is_used_twice_stays() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

        def forward(self, x):
            return self.norm(self.conv(self.norm(self.conv(x))))

    net = filled(Twice())
    assert fold_norms(net, torch.randn(1, 3, 4, 4)) == 0


@pytest.mark.parametrize(("kernel_size", "stride"), [(4, 2), (16, 8), (63, 32)])
def test_bilinear_transposed_convolutions(kernel_size: int, stride: int) -> None:
    layer = BilinearUpsample(3, kernel_size, stride)
    net = nn.Sequential(layer)
    assert separate_upsampling(net) == 1
    assert isinstance(net[0], ProductUpsample)
    x = torch.randn(2, 3, 5, 1)
    assert relative_difference(net(x), layer(x)) < 1e-6


def test_a_learned_kernel_stays_a_convolution() -> None:
    net = nn.Sequential(BilinearUpsample(3, 4, 2))
    net[0].weight[0, 1, 0, 0] = 0.01
    assert separate_upsampling(net) == 0


@pytest.mark.parametrize("size", [(33, 40), (5, 70)])
def test_an_upscore_head_keeps_its_crop_and_its_repeated_edge(size: tuple[int, int]) -> None:
    head = UpscoreHead(FeatureSpec("scores", 3, 8, -30.0), "upscore8")
    net = nn.Sequential(head)
    separate_upsampling(net)
    assert isinstance(net[0], ProductHead)
    x = torch.randn(1, 3, 7, 9)
    assert relative_difference(net[0](x, size), head(x, size)) < 1e-6


@pytest.mark.parametrize("padding", [0, 3])
def test_a_wide_convolution_as_one_product(padding: int) -> None:
    layer = nn.Conv2d(256, 8, 7, padding=padding).eval()
    net = nn.Sequential(layer)
    assert multiply_wide(net) == 1
    assert isinstance(net[0], ProductConv)
    x = torch.randn(2, 256, 9, 8)
    assert relative_difference(net(x), layer(x)) < 1e-6


@pytest.mark.parametrize(("rate", "size"), [(1, (28, 29)), (2, (33, 40)), (4, (61, 35)), (1, (13, 16))])
@pytest.mark.parametrize("bias", [True, False])
def test_winograd_is_as_exact_as_the_direct_convolution(rate: int, size: tuple[int, int], bias: bool) -> None:
    layer = nn.Conv2d(130, 192, 3, padding=rate, dilation=rate, bias=bias)
    assert next(way.tile for way in WAYS if way.pays([*size], rate, rate)) == (4 if math.prod(size) > 400 else 2)
    x = torch.randn(2, 130, *size).contiguous(memory_format=torch.channels_last)
    exact = nn.functional.conv2d(
        x.double(), layer.weight.double(), None if layer.bias is None else layer.bias.double(), 1, rate, rate
    )
    assert relative_difference(WinogradConv(layer)(x).double(), exact) < 1e-5
    unpadded = nn.functional.conv2d(x, layer.weight, layer.bias, 1, 0, rate)
    assert relative_difference(WinogradConv(layer).convolve(x, 0), unpadded) < 1e-5


@pytest.mark.parametrize(("held", "depth"), [(400_000, 64), (400_000, 256), (100_000, 64), (10_000_000, 64)])
@pytest.mark.parametrize("rate", [1, 3])
def test_winograd_in_portions_of_rows_and_channels(
    held: int, depth: int, rate: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zoo.speed.winograd._HELD", held)
    monkeypatch.setattr("zoo.speed.winograd.WAYS", [way._replace(depth=depth) for way in WAYS])
    layer = nn.Conv2d(200, 192, 3, padding=rate, dilation=rate)
    x = torch.randn(1, 200, 45, 52)
    assert relative_difference(WinogradConv(layer)(x), layer(x)) < 1e-5
    unpadded = nn.functional.conv2d(x, layer.weight, layer.bias, 1, 0, rate)
    assert relative_difference(WinogradConv(layer).convolve(x, 0), unpadded) < 1e-5


@pytest.mark.parametrize(("rate", "size"), [(1, (9, 13)), (2, (30, 6)), (12, (40, 30))])
def test_where_winograd_does_not_pay_it_is_shifted_products(
    rate: int, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zoo.speed.winograd._patches", None)  # not called
    layer = nn.Conv2d(128, 128, 3, padding=rate, dilation=rate)
    x = torch.randn(2, 128, *size)
    assert relative_difference(WinogradConv(layer)(x), layer(x)) < 1e-5
    if min(size) > 2 * rate:
        unpadded = nn.functional.conv2d(x, layer.weight, layer.bias, 1, 0, rate)
        assert relative_difference(WinogradConv(layer).convolve(x, 0), unpadded) < 1e-5


@pytest.mark.parametrize(("rate", "size"), [(3, (9, 11)), (12, (20, 40)), (36, (20, 30))])
def test_shifted_products(rate: int, size: tuple[int, int]) -> None:
    layer = nn.Conv2d(6, 5, 3, padding=rate, dilation=rate)
    x = torch.randn(2, 6, *size)
    assert relative_difference(ShiftedConv(layer)(x), layer(x)) < 1e-5


@pytest.mark.parametrize("kind", [VGG16, VGG16BN])
def test_a_framed_trunk_whatever_the_size_leaves_when_halved(kind: type[VGG]) -> None:
    trunk = filled(kind(width=1 / 16, first_padding=100, classifier=True, classifier_channels=32))
    net = nn.Sequential(trunk)
    assert frame_trunks(net) == 1
    framed = net[0]
    assert isinstance(framed, FramedVGG)
    taps = ("pool2", "pool3", "pool4", "pool5", "fc7")
    for height, width in [(16 + rest, 33 - rest) for rest in range(16)] + [(1, 1), (2, 90)]:
        x = torch.randn(1, 3, height, width)
        found, wanted = framed(x, taps).maps, trunk(x, taps).maps
        assert found.keys() == wanted.keys()
        for tap in taps:
            assert relative_difference(found[tap], wanted[tap]) < 1e-5, (tap, height, width)


def test_a_framed_trunk_gives_switches_and_early_maps_too() -> None:
    trunk = filled(VGG16(width=1 / 16, first_padding=100))
    x = torch.randn(2, 3, 20, 30)
    found, wanted = (net(x, ("conv1_2", "pool5"), True) for net in (FramedVGG(trunk), trunk))
    assert found.pools.keys() == wanted.pools.keys()
    assert torch.equal(found.maps["conv1_2"], wanted.maps["conv1_2"])


def test_no_border_is_constant_where_the_padding_is_narrow() -> None:
    assert stretches(64, 1, (2, 2, 3, 3)) is None
    assert frame_trunks(nn.Sequential(VGG16(width=1 / 16))) == 0


def test_bfloat16_leaves_norms_and_scores() -> None:
    net = zoo.create_model("unet_l4", num_classes=3, channels=[8, 8, 8, 8]).eval()
    to_bfloat16(net)
    kinds = {type(module): {value.dtype for value in module.parameters(recurse=False)} for module in net.modules()}
    assert kinds[nn.Conv2d] == {torch.bfloat16}
    assert all(kinds.get(kind, {torch.float32}) == {torch.float32} for kind in (ExactScores, BatchNorm2d))


def test_packed_convolutions() -> None:
    layer = nn.Conv2d(8, 16, 3, padding=1).to(torch.bfloat16)
    if not can_pack(layer.weight):
        pytest.skip("this processor does not compute in bfloat16")
    net = nn.Sequential(layer)
    assert pack(net) == 1
    assert isinstance(net[0], FusedConv)
    x = torch.randn(2, 8, 9, 10, dtype=torch.bfloat16)
    assert relative_difference(net(x).float(), layer.float()(x.float())) < 2e-2


def test_a_copy_shares_its_memory_until_it_is_changed() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    copied = sharing_copy(net)
    assert copied[0].weight is not net[0].weight
    assert copied[0].weight.data_ptr() == net[0].weight.data_ptr()
    assert net[0].weight.requires_grad
    copied[0].weight = nn.Parameter(torch.zeros(4, 3, 1, 1))
    assert net[0].weight.abs().sum() > 0


def test_kept_memory_can_be_nested() -> None:
    with kept_memory(), kept_memory():
        assert torch.zeros(1 << 20).sum() == 0
