"""Intervals of small nets, cell by cell, against what a changed input changes and against gradients."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from zoo.summary.intervals import EMPTY, UndefinedError, picture, reshape
from zoo.summary.tracing import Tracing

HEIGHT, WIDTH, CHANNELS = 23, 18, 4


class Do(nn.Module):
    """A function as a layer."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class Join(nn.Module):
    """Several ways side by side, concatenated."""

    def __init__(self, *ways):
        super().__init__()
        self.ways = nn.ModuleList(ways)

    def forward(self, x):
        return torch.cat([way(x) for way in self.ways], 1)


class Gate(nn.Module):
    """Squeeze and excitation."""

    def forward(self, x):
        return x * torch.sigmoid(x.mean((2, 3), keepdim=True) / 1e4)


class Attention(nn.Module):
    """Self-attention within windows of `side`, or over the whole map."""

    def __init__(self, side=None, fused=True):
        super().__init__()
        self.side, self.fused = side, fused
        self.qkv = nn.Linear(CHANNELS, 3 * CHANNELS)

    def forward(self, x):
        n, c, h, w = x.shape
        p, q = (self.side, self.side) if self.side else (h, w)
        y = x.permute(0, 2, 3, 1).reshape(n, h // p, p, w // q, q, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, p * q, c)
        query, key, value = self.qkv(y).chunk(3, -1)
        if self.fused:
            y = F.scaled_dot_product_attention(query * 1e-6, key, value)
        else:
            y = (query * 1e-6 @ key.transpose(-2, -1)).softmax(-1) @ value
        y = y.reshape(n, h // p, w // q, p, q, c).permute(0, 1, 3, 2, 4, 5).reshape(n, h, w, c)
        return y.permute(0, 3, 1, 2)


def shifted(x):
    return torch.roll(x, (3, -2), (2, 3))


def added_in_place(x):
    y = F.avg_pool2d(x, 3, 1, 1)
    y += x[:, :1]
    return y.relu_()


def conv(*args, **options):
    return nn.Conv2d(CHANNELS, CHANNELS, *args, **options)


def up(**options):
    return nn.Upsample(**options)


SIZE = (HEIGHT, WIDTH)
NETS = {
    "conv": nn.Sequential(conv(3, padding=1), conv(5)),
    "strided": nn.Sequential(conv(3, stride=2, padding=1), conv(3, stride=3)),
    "dilated": nn.Sequential(conv(3, dilation=3, padding=2), conv((1, 3), padding=(0, 1))),
    "rectangular": conv((5, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 4)),
    "grouped": nn.Sequential(Join(conv(3, padding=1), nn.Identity()), nn.Conv2d(8, 8, 3, groups=4)),
    "depthwise": nn.Sequential(Join(conv(1), conv(5, padding=2)), nn.Conv2d(8, 16, 3, groups=8)),
    "transposed": nn.Sequential(conv(3, stride=2), nn.ConvTranspose2d(CHANNELS, 3, 4, 2, 1)),
    "transposed with gaps": nn.ConvTranspose2d(CHANNELS, 2, 2, 3, output_padding=1),
    "transposed, dilated": nn.ConvTranspose2d(CHANNELS, 2, 3, 2, 2, dilation=2),
    "max pooling": nn.Sequential(conv(3), nn.MaxPool2d(3, 2, 1, ceil_mode=True), nn.MaxPool2d(2, ceil_mode=True)),
    "mean pooling": nn.Sequential(nn.AvgPool2d(3, 2, 1), nn.AvgPool2d(2)),
    "global pooling": nn.Sequential(conv(3), nn.AdaptiveAvgPool2d(1)),
    "adaptive pooling": nn.Sequential(nn.AdaptiveAvgPool2d((3, 5)), up(size=(7, 9), mode="bilinear")),
    "adaptive max pooling": nn.AdaptiveMaxPool2d(4),
    "bilinear": nn.Sequential(conv(3, stride=2), up(scale_factor=2, mode="bilinear")),
    "bilinear to a size": nn.Sequential(conv(3, stride=3), up(size=SIZE, mode="bilinear")),
    "bilinear down": up(size=(7, 11), mode="bilinear"),
    "corners aligned": nn.Sequential(conv(3, stride=3), up(size=(13, 16), mode="bilinear", align_corners=True)),
    "nearest": nn.Sequential(conv(3, stride=2), up(size=(17, 30))),
    "bicubic": nn.Sequential(conv(3, stride=3), up(size=(15, 13), mode="bicubic")),
    "skip": nn.Sequential(
        Join(nn.Sequential(nn.MaxPool2d(2, ceil_mode=True), up(size=SIZE)), conv(1)), nn.Conv2d(8, 2, 3)
    ),
    "chosen channels": nn.Sequential(Join(conv(7, padding=3), conv(1)), Do(lambda x: x[:, 3:6])),
    "one channel": nn.Sequential(Join(conv(7, padding=3), conv(1)), Do(lambda x: x.unbind(1)[6][:, None])),
    "shuffle": nn.Sequential(conv(3), nn.PixelShuffle(2), nn.Conv2d(1, 1, 2)),
    "unshuffle": nn.Sequential(Do(lambda x: x[..., 1:, :]), nn.PixelUnshuffle(2)),
    "mirrored": nn.Sequential(nn.ReflectionPad2d(4), conv(5)),
    "border repeated": nn.Sequential(nn.ReplicationPad2d((1, 3, 2, 0)), conv(3)),
    "cut": Do(lambda x: F.pad(x, (-2, 3, 1, -4))),
    "shifted": nn.Sequential(conv(3, padding=1), Do(shifted), conv(3, padding=1)),
    "turned": nn.Sequential(Do(lambda x: x.flip(2).transpose(2, 3)), conv((2, 4))),
    "in place": Do(added_in_place),
    "norms": nn.Sequential(
        nn.BatchNorm2d(CHANNELS), conv(3), nn.ReLU(inplace=True), nn.Dropout(), nn.SiLU(), nn.Hardswish()
    ),
    "norm over channels": nn.Sequential(
        conv(3), Do(lambda x: x.permute(0, 2, 3, 1)), nn.LayerNorm(CHANNELS), Do(lambda x: x.permute(0, 3, 1, 2)[:, :2])
    ),
    "norm over places": nn.GroupNorm(2, CHANNELS),
    "gate": nn.Sequential(conv(3), Gate()),
    "attention": nn.Sequential(nn.MaxPool2d(4), Attention()),
    "attention, spelt out": nn.Sequential(nn.MaxPool2d(4), Attention(fused=False)),
    "window attention": nn.Sequential(Do(lambda x: x[..., :20, :15]), Attention(5), Do(shifted), Attention(5)),
}


def positive(net):
    """In double precision, all weights positive: nothing cancels out."""
    torch.manual_seed(0)
    net = copy.deepcopy(net).double().eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.uniform_(0.5, 1)
    return net


def traced(net, size=SIZE, channels=CHANNELS):
    """(rows, columns) of every cell of the output on the meta device: (2, *shape) first and last."""
    x = torch.empty(1, channels, *size, device="meta")
    with torch.inference_mode(), Tracing() as tracing:
        tracing.start(x, picture(*size))
        y = copy.deepcopy(net).float().to("meta").eval()(x)
    field = tracing.field(y)
    assert field is not None
    parts = [part.expand(y.shape) for part in field.parts]
    return [torch.stack([-parts[0], parts[1]]), torch.stack([-parts[2], parts[3]])]


def influence(net, axis):
    """First and last row (or column) that changes each cell, found by changing one after the other."""
    x = torch.rand(1, CHANNELS, *SIZE, dtype=torch.float64) + 0.5
    with torch.no_grad():
        before = net(x.clone())
        first, last = torch.full(before.shape, -EMPTY), torch.full(before.shape, EMPTY)
        for place in range(SIZE[axis]):
            other = x.clone()
            other.select(2 + axis, place).mul_(torch.rand(CHANNELS, SIZE[1 - axis], dtype=torch.float64) * 50 + 50)
            changed = (net(other) - before).abs() > 1e-11 * before.abs()
            first[changed] = first[changed].clamp(max=place)
            last[changed] = last[changed].clamp(min=place)
    return torch.stack([first, last])


@pytest.mark.parametrize("name", NETS)
def test_every_cell_depends_on_what_changes_it(name):
    net = positive(NETS[name])
    found = traced(net)
    for axis in (0, 1):
        expected = influence(net, axis)
        seeing = expected[0] <= expected[1]  # others lie in the padding
        assert seeing.any()
        for end in (0, 1):
            assert torch.equal(found[axis][end][seeing].long(), expected[end][seeing].long())


@pytest.mark.parametrize("name", ["strided", "dilated", "transposed", "bilinear", "skip", "corners aligned", "gate"])
def test_gradients_are_where_the_intervals_are(name):
    net = positive(NETS[name])
    x = torch.rand(1, CHANNELS, *SIZE, dtype=torch.float64) + 0.5
    x.requires_grad_()
    y = net(x)
    found = traced(net)
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        cell = tuple(int(torch.randint(size, (1,), generator=generator)) for size in y.shape)
        (gradient,) = torch.autograd.grad(y[cell], x, retain_graph=True)
        for axis in (0, 1):
            places = gradient.abs().sum((0, 1, 3 - axis)).nonzero().flatten()
            if "pool" in name or name == "skip":  # gradients of a maximum reach one cell only
                assert found[axis][0][cell] <= places.min()
                assert places.max() <= found[axis][1][cell]
            else:
                assert [int(found[axis][end][cell]) for end in (0, 1)] == [int(places.min()), int(places.max())]


def test_unpooling_puts_values_within_their_windows():
    class Net(nn.Module):
        def forward(self, x):
            y, indices = F.max_pool2d(x, 2, 2, ceil_mode=True, return_indices=True)
            flat = x.new_zeros((*x.shape[:2], HEIGHT * WIDTH))
            return flat.scatter(2, indices.flatten(2), y.flatten(2)).view(x.shape)

    rows, columns = traced(Net())
    for place in range(HEIGHT):
        assert (rows[0, :, :, place] == place // 2 * 2).all()
        assert (rows[1, :, :, place] == min(place // 2 * 2 + 1, HEIGHT - 1)).all()
    assert (columns[1, ..., 5] == 5).all()


class Written(nn.Module):
    """Writes into a tensor through a part of it."""

    def forward(self, x):
        y = torch.zeros_like(x)
        y[:, :, 2:] = x[:, :, :-2]
        return y


class Aliased(nn.Module):
    """Changes a map behind the back of its own view."""

    def forward(self, x):
        y = F.avg_pool2d(x, 1)
        part = y[:, :1]
        y += F.avg_pool2d(x, 5, 1, 2)
        return part


UNKNOWN = {
    "sort": Do(lambda x: x.sort(2).values),
    "fft": Do(lambda x: torch.fft.fft(x).real),
    "picked by the picture": Do(lambda x: x.gather(2, x.argsort(2))),
    "picked by a parameter": Do(lambda x: x[:, :, torch.zeros(5, dtype=torch.long, device=x.device)]),
    "scattered by the picture": Do(lambda x: torch.zeros_like(x).scatter(2, x.argsort(2), x)),
    "written through a view": Written(),
    "aliased": Aliased(),
    "after the unknown": nn.Sequential(Do(lambda x: x.sort(2).values), conv(3).double()),
    "3d": Do(lambda x: F.avg_pool3d(x[:, None], 3)[:, 0]),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_is_not_understood_is_not_defined(name):
    with pytest.raises(UndefinedError):
        traced(UNKNOWN[name].float())


def test_a_constant_has_seen_nothing():
    x = torch.empty(1, 1, 4, 4, device="meta")
    with torch.inference_mode(), Tracing() as tracing:
        tracing.start(x, picture(4, 4))
        assert tracing.field(torch.zeros_like(x) + 1) is None
        assert tracing.field(x.clone().zero_()) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ((1, 4, 6, 9), (1, 4, 54)),
        ((1, 4, 6, 9), (4, 2, 3, 9)),
        ((1, 4, 6, 9), (1, 1, 2, 2, 3, 2, 3, 3, 1)),
        ((1, 4, 6, 9), (216,)),
        ((1, 4, 6, 9), (1, 24, 9)),
        ((1, 4, 6, 9), (8, 27)),
        ((1, 4, 6, 9), (1, 1, 4, 6, 9, 1)),
    ],
)
def test_reshaping_is_torchs(old, new):
    field = picture(6, 9)
    there = reshape(field, old, new)
    for part, other in zip(field.parts, there.parts, strict=True):
        assert torch.equal(other.expand(new), part.expand(old).reshape(new))
    back = reshape(there, new, old)
    for part, other in zip(field.parts, back.parts, strict=True):
        assert torch.equal(other.expand(old), part.expand(old))
