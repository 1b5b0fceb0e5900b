"""Convolutions that rectify and add in passing, against doing one after the other."""

import copy

import pytest
import torch
import torch.nn.functional as F
from random_networks import random_state, relative_difference
from torch import nn

import zoo
from zoo.speed.enlarged import enlarge_within, postponing
from zoo.speed.fused import FusedConv, Rectifier, can_fuse, fuse, note_relus


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)
    with torch.no_grad():
        yield


@pytest.fixture(autouse=True)
def _onednn() -> None:
    if not can_fuse(nn.Conv2d(3, 3, 1)):
        pytest.skip("torch without oneDNN's operators")


def filled(module: nn.Module) -> nn.Module:
    module.load_state_dict(random_state(module))
    return module.eval()


class Readers(nn.Module):
    """One ReLU for all, in place or not; what is read by others, too, or before, or through an addition."""

    def __init__(self, inplace: bool) -> None:
        super().__init__()
        self.relu = nn.ReLU(inplace)
        self.stem = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.branch = nn.Conv2d(4, 4, 3, padding=2, dilation=2)
        self.residual = nn.Conv2d(4, 4, 1)
        self.early = nn.Conv2d(4, 4, 1)
        self.late = nn.Conv2d(4, 4, 1)
        self.twice = nn.Conv2d(4, 4, 1)
        self.functional = nn.Conv2d(4, 4, 1)

    def forward(self, x):
        x = self.relu(self.stem(x))
        x = self.relu(self.residual(self.relu(self.branch(x))) + x)
        early = self.early(x)
        before = early * 2
        x = self.relu(early) + before
        late = self.late(x)
        x = self.relu(late) + late  # in place: both are rectified
        x = self.twice(self.relu(self.twice(x)))
        x += 1
        return F.relu(self.functional(self.relu(x)))


@pytest.mark.parametrize("inplace", [True, False])
def test_who_alone_is_read_by_a_relu_is_fused_with_it(inplace: bool) -> None:
    net = filled(Readers(inplace))
    fast = copy.deepcopy(net)
    assert note_relus(fast, torch.zeros(1, 3, 8, 8)) == (3 if inplace else 2)
    assert isinstance(fast.relu, Rectifier)
    assert fuse(fast) == (3 if inplace else 2)
    rectifying = {name for name, module in fast.named_children() if getattr(module, "rectifies", False)}
    assert rectifying == {"stem", "branch"} | ({"late"} if inplace else set())
    for size in ((8, 8), (5, 9)):
        x = torch.randn(2, 3, *size)
        assert relative_difference(fast(x), net(x)) < 1e-6


def test_a_mark_holds_for_one_reader() -> None:
    conv = nn.Conv2d(3, 4, 1)
    conv.rectifies = True
    fused, relu = FusedConv(conv, packed=False), Rectifier(inplace=True)
    seen = relu(fused(torch.randn(1, 3, 4, 4)))
    seen -= 1
    assert relu(seen).min() == 0


@pytest.mark.parametrize("rectifies", [True, False])
def test_adding_up(rectifies: bool) -> None:
    conv = nn.Conv2d(3, 4, 3, padding=1)
    x, other = torch.randn(2, 3, 6, 7), torch.randn(2, 4, 6, 7).contiguous(memory_format=torch.channels_last)
    wanted = conv(x) + other
    found = FusedConv(conv, packed=False).add_to(other, x, rectifies)
    assert found is other
    assert relative_difference(found, wanted.relu() if rectifies else wanted) < 1e-6


def test_an_enlarging_convolution_rectifies_its_last_share() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.low, self.skip = nn.Conv2d(3, 5, 1, stride=2), nn.Conv2d(3, 2, 1)
            self.conv, self.relu = nn.Conv2d(7, 4, 3, padding=1), nn.ReLU()

        def forward(self, x):
            return self.relu(self.conv(torch.cat([F.interpolate(self.low(x), scale_factor=2), self.skip(x)], 1)))

    net = filled(Block())
    fast = copy.deepcopy(net)
    note_relus(fast, torch.zeros(1, 3, 8, 8))
    assert enlarge_within(fast, torch.zeros(1, 3, 8, 8)) == 1
    fuse(fast)
    assert fast.conv.rectifies
    x = torch.randn(2, 3, 12, 10)
    with postponing(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert relative_difference(fast(x), net(x)) < 0.05
    with postponing():
        assert fast.conv(torch.cat([F.interpolate(fast.low(x), scale_factor=2), fast.skip(x)], 1)).min() == 0
        assert relative_difference(fast(x), net(x)) < 1e-6
    assert relative_difference(fast(x), net(x)) < 1e-6


def test_under_autocast_as_torch_s_own_convolutions() -> None:
    model = zoo.create_model("unet_l4", num_classes=3, channels=(8, 16, 32, 64)).eval()
    fast = zoo.optimize(model)
    x = torch.randn(1, 3, 48, 64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        wanted, found = model(x)["out"], fast(x)["out"]
    assert relative_difference(found, wanted) < 0.05
