"""Convolutions that enlarge what they read, against enlarging first, in float64."""

import copy

import pytest
import torch
import torch.nn.functional as F
from random_networks import random_state, relative_difference
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import zoo
from zoo.interfaces import Decoder, Encoder, Features, FeatureSpec, Head
from zoo.model import SegmentationModel
from zoo.speed.enlarged import EnlargingConv, Postponed, enlarge_within, postponing


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)
    with torch.no_grad():
        yield


def filled(module: nn.Module) -> nn.Module:
    module.load_state_dict(random_state(module))
    return module.eval()


class Block(nn.Module):
    """As a U-Net's: enlarge, put beside one or two other maps, convolve."""

    def __init__(self, low: int = 5, *skips: int, first: bool = True) -> None:
        super().__init__()
        self.first = first
        self.halve = nn.Conv2d(3, low, 1, stride=2)
        self.skips = nn.ModuleList(nn.Conv2d(3, skip, 1) for skip in skips)
        self.conv = nn.Conv2d(low + sum(skips), 4, 3, padding=1)

    def forward(self, x):
        enlarged = F.interpolate(self.halve(x), size=x.shape[2:], mode="nearest")
        maps = [enlarged, *(skip(x) for skip in self.skips)]
        if len(maps) > 1:
            enlarged = torch.cat(maps if self.first else maps[::-1], dim=1)
        return self.conv(enlarged)


@pytest.mark.parametrize("net", [Block(), Block(5, 3), Block(5, 3, 2), Block(5, 3, 2, first=False)], ids=repr)
def test_equal_to_enlarging_first(net) -> None:
    net = filled(net.double())
    fast = copy.deepcopy(net)
    assert enlarge_within(fast, torch.zeros(1, 3, 8, 8, dtype=torch.float64)) == 1
    assert isinstance(fast.conv, EnlargingConv)
    for size in ((8, 8), (10, 6), (2, 2), (7, 9)):  # the last cannot be halved: enlarged as before
        x = torch.randn(2, 3, *size, dtype=torch.float64)
        with postponing():
            assert relative_difference(fast(x), net(x)) < 1e-14
        assert torch.equal(fast(x), net(x))


def test_the_shares_multiply_less() -> None:
    net = Block(8, 4)
    fast = copy.deepcopy(net)
    enlarge_within(fast, torch.zeros(1, 3, 8, 8))
    with FlopCounterMode(display=False) as before:
        net(torch.randn(1, 3, 32, 32))
    with postponing(), FlopCounterMode(display=False) as after:
        fast(torch.randn(1, 3, 32, 32))
    saved = 2 * 32 * 32 * 4 * 8 * (9 - 4)  # of nine weights four are left, for the 8 channels that are enlarged
    assert before.get_total_flops() - after.get_total_flops() == saved


def test_who_looks_sees_what_it_would_have_seen() -> None:
    x = torch.randn(1, 3, 4, 6)
    whole = F.interpolate(x, scale_factor=2, mode="nearest")
    with postponing():
        seen = F.interpolate(x, scale_factor=2, mode="nearest")
        assert isinstance(seen, Postponed)
        assert (seen.shape, seen.dtype) == (whole.shape, whole.dtype)
        assert torch.equal(seen + 1, whole + 1)
        assert torch.equal(seen.permute(0, 2, 3, 1)[..., 1:], whole.permute(0, 2, 3, 1)[..., 1:])
        assert torch.equal(F.interpolate(seen, scale_factor=2, mode="nearest")[..., ::2, ::2], whole)
        assert torch.equal(torch.cat([seen, seen], dim=3), torch.cat([whole, whole], dim=3))
        assert torch.equal(torch.cat([seen, whole], dim=1)[:, 3:], whole)
        seen = nn.Upsample(scale_factor=2)(x)
        beside = torch.cat([seen, x.new_zeros(1, 1, 8, 12)], dim=1)
        part = seen[:, :2]
        assert torch.equal(seen.relu_(), whole.relu())  # written to
        assert torch.equal(seen + 0, whole.relu())
        assert torch.equal(part, whole[:, :2].relu())
        assert torch.equal(beside[:, :3], whole)


@pytest.mark.parametrize(
    "options",
    [
        {"size": (8, 13)},
        {"size": 12},
        {"scale_factor": 3},
        {"scale_factor": (2, 1)},
        {"scale_factor": 2, "mode": "bilinear"},
    ],
    ids=repr,
)
def test_other_enlargements_are_done_at_once(options) -> None:
    x = torch.randn(1, 3, 4, 6)
    with postponing():
        found = F.interpolate(x, **options)
    assert type(found) is torch.Tensor
    assert torch.equal(found, F.interpolate(x, **options))


def test_maps_that_do_not_fit_are_refused_as_ever() -> None:
    with postponing():
        seen = F.interpolate(torch.randn(1, 3, 4, 6), scale_factor=2)
        for other in (torch.zeros(1, 3, 8, 13), torch.zeros(2, 3, 8, 12), torch.zeros(3, 8, 12)):
            with pytest.raises(RuntimeError):
                torch.cat([seen, other], dim=1)
        assert torch.cat([seen, torch.zeros(1, 3, 8, 12, dtype=torch.float64)], dim=1).dtype == torch.float64


def test_a_map_that_is_written_to_before_it_is_read_is_enlarged_at_once() -> None:
    class Writes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3, padding=1)

        def forward(self, x):
            x = x + 0
            enlarged = F.interpolate(x, scale_factor=2)
            x.zero_()
            return self.conv(enlarged)

    assert enlarge_within(Writes(), torch.zeros(1, 3, 8, 8)) == 0


def test_other_convolutions_stay() -> None:
    class Reads(nn.Module):
        def __init__(self, conv: nn.Conv2d) -> None:
            super().__init__()
            self.conv = conv

        def forward(self, x):
            return self.conv(F.interpolate(x, scale_factor=2)) + self.conv(F.interpolate(x, size=16))

    assert enlarge_within(Reads(nn.Conv2d(3, 4, 3, padding=1)), torch.zeros(1, 3, 8, 8)) == 1
    for conv in (
        nn.Conv2d(3, 4, 1),
        nn.Conv2d(3, 4, 3),
        nn.Conv2d(3, 4, 3, padding=2, dilation=2),
        nn.Conv2d(3, 3, 3, padding=1, groups=3),
        nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"),
    ):
        assert enlarge_within(Reads(conv), torch.zeros(1, 3, 8, 8)) == 0


class EnlargingHead(Head):
    """Scores, enlarged by repeating cells: what comes out is a tensor like any other."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.score = nn.Conv2d(channels, num_classes, 1)

    def forward(self, x, size):
        return F.interpolate(self.score(x), size=size, mode="nearest")


class Halving(Encoder):
    features = (FeatureSpec("shallow", 6, 2, 0.0), FeatureSpec("deep", 8, 4, 0.0))

    def __init__(self) -> None:
        super().__init__()
        self.shallow, self.deep = nn.Conv2d(3, 6, 3, 2, 1), nn.Conv2d(6, 8, 3, 2, 1)

    def forward(self, x, taps, with_pools=False):
        shallow = self.shallow(x).relu_()
        return Features({"shallow": shallow, "deep": self.deep(shallow)}, {})


class Enlarging(Decoder):
    taps = ("deep", "shallow")

    def __init__(self, features: dict[str, FeatureSpec]) -> None:
        super().__init__()
        deep, shallow = (features[name] for name in self.taps)
        self.conv = nn.Conv2d(deep.channels + shallow.channels, 4, 3, padding=1)
        self.out = FeatureSpec("out", 4, shallow.stride, shallow.offset)

    def forward(self, features):
        shallow = features.maps["shallow"]
        deep = F.interpolate(features.maps["deep"], shallow.shape[-2:], mode="nearest")
        return self.conv(torch.cat([deep, shallow], 1))


def halving_net(num_classes: int = 3, in_channels: int = 3) -> SegmentationModel:
    encoder = Halving()
    decoder = Enlarging({spec.name: spec for spec in encoder.features})
    return SegmentationModel(encoder, decoder, EnlargingHead(decoder.out.channels, num_classes))


@pytest.mark.usefixtures("fresh_registry")
def test_a_decoder_of_somebody_else_gains_by_it() -> None:
    zoo.register("model", "halving_net")(halving_net)
    model = filled(zoo.create_model("halving_net"))
    fast = zoo.optimize(model)
    assert any(isinstance(module, EnlargingConv) for module in fast.modules())
    assert not any(isinstance(module, EnlargingConv) for module in model.modules())
    for size in ((32, 48), (33, 47)):
        x = torch.randn(1, 3, *size)
        found = fast(x)["out"]
        assert type(found) is torch.Tensor
        assert relative_difference(found, model(x)["out"]) < 1e-6
    with torch.inference_mode():
        x = torch.randn(1, 3, 32, 32)
        assert relative_difference(fast(x)["out"], model(x)["out"]) < 1e-6
