"""Receptive fields of whole nets, against closed forms and against what a pixel out of bounds reaches."""

import pytest
import torch
from torch import nn

import zoo
from zoo.hub.skeleton import skeleton
from zoo.interfaces import Decoder, Encoder, Features, FeatureSpec, Head
from zoo.model import SegmentationModel
from zoo.ops import resize
from zoo.summary.intervals import picture
from zoo.summary.receptive import GROWS, WHOLE, receptive_fields
from zoo.summary.tracing import Tracing


def field_of(layers):
    """Receptive field after (kernel, stride, dilation)s: r + (k - 1) · d · j, j being the stride so far."""
    field, jump = 1, 1
    for kernel, stride, dilation in layers:
        field += (kernel - 1) * dilation * jump
        jump *= stride
    return field


def conv(count, kernel=3, dilation=1):
    return [(kernel, 1, dilation)] * count


POOL = [(2, 2, 1)]
VGG16 = [*conv(2), *POOL, *conv(2), *POOL, *conv(3), *POOL, *conv(3), *POOL, *conv(3), *POOL]


def resnet(depths, dilations=(1, 1, 1, 1), strides=(1, 2, 2, 2)):
    """Bottlenecks whose 3×3 convolution has the stride; where it is taken away, the first one is dilated by half."""
    layers = [(7, 2, 1), (3, 2, 1)]
    before = 1
    for depth, dilation, stride in zip(depths, dilations, strides, strict=True):
        layers += [(3, stride, before), *conv(depth - 1, dilation=dilation)]
        before = dilation
    return layers


def on_meta(name, **options):
    with skeleton():
        return zoo.create_model(name, **options).eval()


def test_closed_forms_are_the_published_numbers():
    assert field_of(VGG16) == 212
    assert field_of([*VGG16, (7, 1, 1)]) == 404
    assert field_of(resnet((3, 4, 6, 3))) == 427
    assert field_of(resnet((3, 4, 23, 3))) == 971


@pytest.mark.parametrize(
    ("name", "tap", "expected"),
    [
        ("fcn32s_vgg16", "pool5", field_of(VGG16)),
        ("fcn32s_vgg16", "fc7", field_of([*VGG16, (7, 1, 1)])),
        ("fcn32s@resnet50", "layer4", field_of(resnet((3, 4, 6, 3)))),
        ("fcn32s@resnet101", "layer4", field_of(resnet((3, 4, 23, 3)))),
        ("fcn_resnet50", "layer4", field_of(resnet((3, 4, 6, 3), (1, 1, 2, 4), (1, 2, 1, 1)))),
        (
            "fcn32s_alexnet",
            "fc7",
            field_of([(11, 4, 1), (3, 2, 1), (5, 1, 1), (3, 2, 1), *conv(3), (3, 2, 1), (6, 1, 1)]),
        ),
    ],
)
def test_of_taps(name, tap, expected):
    assert receptive_fields(on_meta(name))[f"encoder.{tap}"] == expected


@pytest.mark.parametrize(
    ("name", "cells"),
    [("fcn32s_vgg16", 2), ("fcn16s_vgg16", 3), ("fcn8s_vgg16", 3)],
)
def test_of_upsampled_scores(name, cells):
    """A pixel interpolates between two cells of the grid below, those between up to three of the next, and so on."""
    assert receptive_fields(on_meta(name))["out"] == 404 + 32 * (cells - 1)


@pytest.mark.parametrize("name", ["fcn32s_vgg16", "fcn8s_vgg16", "unet", "unet_l4", "deeplab_largefov_vgg16"])
@pytest.mark.usefixtures("narrow_vgg")
def test_a_pixel_changes_nothing_beyond(name):
    """An infinite row reaches exactly the cells whose interval holds it."""
    options = {"unet": {"widths": [2, 2, 2, 2, 2]}, "unet_l4": {"channels": [2, 2, 2, 2]}}.get(name, {})
    size = 608
    with torch.random.fork_rng():
        model = zoo.create_model(name, num_classes=2, **options).eval()
        for parameter in model.parameters():
            nn.init.uniform_(parameter, 0.01, 0.02)
    expected = receptive_fields(on_meta(name, num_classes=2, **options))["out"]
    x = torch.empty(1, 3, size, size, device="meta")
    with torch.inference_mode(), Tracing() as tracing:
        tracing.start(x, picture(size, size))
        out = on_meta(name, num_classes=2, **options)(x)["out"]
    parts = tracing.field(out).parts
    lengths = (parts[0] + parts[1]).expand(1, 2, size, 1)[0, 0, :, 0] + 1
    widest = int(lengths.argmax())
    assert int(lengths[widest]) == expected
    first, last = (
        -int(parts[0].expand(1, 2, size, 1)[0, 0, widest, 0]),
        int(parts[1].expand(1, 2, size, 1)[0, 0, widest, 0]),
    )
    assert 0 < first < last < size - 1
    for row, reached in [(first - 1, False), (first, True), (last, True), (last + 1, False)]:
        image = torch.rand(1, 3, size, 8)
        image[:, :, row] = torch.inf
        with torch.inference_mode():
            cell = model(image)["out"][0, 0, widest, 0]
        if name in ("unet_l4", "deeplab_largefov_vgg16") and not reached:
            continue  # their resizing multiplies some neighbours by zero, which is no finite number of infinity
        assert bool(cell.isfinite()) != reached, row


@pytest.mark.parametrize(
    "name", ["fcn8s_vgg16", "fcn32s_alexnet", "fcn32s_googlenet", "unet", "deeplab_largefov_vgg16"]
)
def test_taps_lie_where_they_say(name):
    """The middle of what cell i sees is offset + i · stride."""
    model, size = on_meta(name), 2048
    x = torch.empty(1, 3, size, size, device="meta")
    with torch.inference_mode(), Tracing() as tracing:
        tracing.start(x, picture(size, size))
        maps = model.encoder(x, [tap.name for tap in model.encoder.features]).maps
    for tap in model.encoder.features:
        first, last = (part.flatten() for part in tracing.field(maps[tap.name]).parts[:2])
        middle = (last - first) / 2
        expected = tap.offset + torch.arange(len(middle)) * tap.stride
        inside = (expected - size / 2).abs() < size / 4  # far from borders, which cut off or mirror
        assert inside.sum() > 10
        assert torch.equal(middle[inside], expected[inside].to(middle))


class OneTap(Encoder):
    features = (FeatureSpec("map", 3, 1, 0.0),)

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x, taps, with_pools=False):
        return Features({"map": self.net(x)}, {})


class Same(Decoder):
    taps = ("map",)
    out = FeatureSpec("map", 3, 1, 0.0)

    def forward(self, features):
        return features.maps["map"]


class Resized(Head):
    def forward(self, x, size):
        return resize(x, size)


class Sorted(nn.Module):
    def forward(self, x):
        return x.sort(-1).values


class Fixed(nn.Module):
    def forward(self, x):
        assert x.shape[-1] == 224, "224 only"
        return nn.functional.avg_pool2d(x, 3, 1, 1)


class Refusing(nn.Module):
    def forward(self, x):
        raise ValueError("no")


def model_of(net, in_channels=3):
    with torch.device("meta"):
        model = SegmentationModel(OneTap(net), Same(), Resized()).eval()
    model.config = zoo.assembly.resolve("fcn32s_vgg16", in_channels=in_channels)
    return model


@pytest.mark.parametrize(
    ("net", "expected"),
    [
        (nn.Identity(), 1),
        (nn.AvgPool2d((3, 7), 1, (1, 3)), (3, 7)),
        (nn.AvgPool2d(65, 1, 32), 65),
        (nn.AvgPool2d(1001, 1, 500), 1001),
        (nn.AvgPool2d(1501, 1, 750), 1501),
        (nn.AdaptiveAvgPool2d(1), WHOLE),
        (nn.AdaptiveAvgPool2d(6), GROWS),
        (nn.GroupNorm(1, 3, affine=False), WHOLE),
        (Sorted(), "not defined: sort"),
        (nn.Sequential(nn.AvgPool2d(3, 1), Sorted(), nn.AvgPool2d(3)), "not defined: sort"),
    ],
    ids=lambda value: str(value).split("(")[0],
)
def test_of_other_nets(net, expected):
    assert receptive_fields(model_of(net))["out"] == expected


def test_of_a_net_for_one_size():
    assert receptive_fields(model_of(Fixed()), (224, 224))["out"] == 3
    assert receptive_fields(model_of(Fixed()))["out"].startswith("not defined")
    assert receptive_fields(model_of(nn.Sequential(Fixed(), nn.AvgPool2d(201, 1))), (224, 224))["out"].startswith("not")
    assert receptive_fields(model_of(Refusing()), (224, 224))["out"] == "not defined: ValueError"
