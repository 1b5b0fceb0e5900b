"""FCN-AlexNet and FCN-GoogLeNet against plain PyTorch and Caffe's geometry; published counts of all variants."""

from fractions import Fraction

import pytest
import torch
import torch.nn.functional as F
from fcn_world import SIZES, assert_close, on_meta, picture, plain_lrn, plain_pool, random_scores
from zoo.plugins.fcn.caffenet import CaffeNet
from zoo.plugins.fcn.googlenet import GoogLeNet

import zoo
from zoo.interfaces import Features, FeatureSpec
from zoo.registry import registry

VGG16_TRUNK = 134_260_544


# Parameter counts


@pytest.mark.parametrize(
    ("name", "learned", "fixed"),
    [
        ("fcn32s_alexnet", 56_954_261, 21**2 * 63**2),
        ("fcn32s_googlenet", 5_995_077, 21**2 * 63**2),
        ("fcn32s_rgbd_vgg16", VGG16_TRUNK + 64 * 3 * 3 + 4097 * 40, 40**2 * 64**2),
        ("fcn32s_rgb_hha_vgg16", 2 * VGG16_TRUNK + 2 * 4097 * 40, 40**2 * 64**2),
        ("fcn32s_siftflow_vgg16", VGG16_TRUNK + 4097 * 36, (33**2 + 3**2) * 64**2),
        ("fcn16s_siftflow_vgg16", VGG16_TRUNK + (4097 + 513) * 36, (33**2 + 3**2) * (4**2 + 32**2)),
        ("fcn8s_siftflow_vgg16", VGG16_TRUNK + (4097 + 513 + 257) * 36, (33**2 + 3**2) * (4**2 + 4**2 + 16**2)),
    ],
)
def test_parameters_are_the_published_ones(name, learned, fixed):
    counts = {True: 0, False: 0}
    for parameter in on_meta(name).parameters():
        counts[parameter.requires_grad] += parameter.numel()
    assert counts == {True: learned, False: fixed}
    assert registry().get("model", name).meta["parameters"] == learned + fixed


def test_the_count_with_the_dense_kernel_of_alexnet():
    assert sum(parameter.numel() for parameter in on_meta("fcn32s_alexnet").parameters()) == 58_704_590


@pytest.mark.parametrize("name", ["caffenet", "googlenet_bvlc", "vgg16_bgrd"])
def test_the_manifest_tells_the_truth_about_the_encoders(name):
    spec = registry().get("encoder", name)
    encoder_class = spec.load()
    offered = encoder_class.offers(classifier=True)
    assert [tap.name for tap in offered] == spec.offers["taps"]
    assert sorted({tap.stride for tap in offered}) == spec.offers["strides"]
    with torch.device("meta"):
        assert encoder_class(classifier=True).features == offered
        trunk = encoder_class(in_channels=3)
    assert trunk.features == encoder_class.offers()
    count = sum(parameter.numel() for parameter in trunk.parameters())
    assert count == spec.meta.get("parameters", count)


# Geometry

ALEXNET = [(11, 4, 100), (3, 2, 0), (5, 1, 2), (3, 2, 0), (3, 1, 1), (3, 1, 1), (3, 1, 1), (3, 2, 0), (6, 1, 0)]
GOOGLENET = [(7, 2, 3), (3, 2, 0), (3, 1, 1), (3, 2, 0), *[(5, 1, 2)] * 2, (3, 2, 0), *[(5, 1, 2)] * 5, (3, 2, 0)]


def _caffe_crop(layers, kernel):
    """Caffe's rule for the crop of an upsampled map onto the image: maps a·x + b of all layers, composed."""
    a, b = Fraction(1), Fraction(0)
    for k, stride, padding in layers:
        a, b = a / stride, (b + padding - Fraction(k - 1, 2)) / stride
    factor = 1 / a
    a, b = a * factor, b * factor + Fraction(kernel - 1, 2)
    assert a == 1
    return b


@pytest.mark.parametrize(
    ("name", "options", "layers", "crop"),
    [
        ("fcn32s_alexnet", {}, ALEXNET, 18),
        ("fcn32s_googlenet", {}, GOOGLENET, 1),
        ("fcn32s_googlenet", {"first_padding": 100}, [(7, 2, 100), *GOOGLENET[1:]], 98),
        ("fcn32s@googlenet_bvlc", {}, [(7, 2, 100), *GOOGLENET[1:]], 98),
    ],
)
def test_crop_offsets_and_odd_kernels(name, options, layers, crop):
    head = on_meta(name, **options).head
    assert head.upscore.kernel_size == (63, 63)
    assert head.margin == crop == _caffe_crop(layers, 63)


def test_alexnet_sizes_of_a_picture_of_500():
    model = on_meta("fcn32s_alexnet")
    taps = ("conv1", "pool1", "pool2", "pool5", "fc6", "fc7")
    maps = model.encoder(torch.empty(1, 3, 500, 500, device="meta"), taps).maps
    assert [maps[tap].shape[-1] for tap in taps] == [173, 86, 43, 21, 16, 16]
    assert model.head.upscore(model.decoder(Features(maps, {}))).shape == (1, 21, 543, 543)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("fcn32s_alexnet", {}),
        ("fcn32s_alexnet", {"first_padding": 5}),
        ("fcn32s_googlenet", {}),
        ("fcn32s_googlenet", {"first_padding": 100}),
    ],
)
def test_the_scores_cover_a_picture_of_any_size(name, options):
    model = on_meta(name, num_classes=1, **options).eval()
    for size in [*range(1, 100), *range(100, 1300, 13)]:
        features = model.encoder(torch.empty(1, 3, size, 40, device="meta"), model.taps)
        upsampled = model.head.upscore(model.decoder(features))
        assert upsampled.shape[-2] - model.head.margin >= size


def test_tap_geometry_is_a_feature_spec():
    assert CaffeNet.offers(classifier=True, first_padding=100)[-1] == FeatureSpec("fc7", 4096, 32, 13.0)
    assert GoogLeNet.offers()[-1] == FeatureSpec("inception_5b", 1024, 32, 30.0)


# CaffeNet and GoogLeNet, written a second time


def _plain_fcn_alexnet(state, x):
    def conv(x, name, **how):
        return F.conv2d(x, state[f"encoder.{name}.weight"], state[f"encoder.{name}.bias"], **how).relu()

    height, width = x.shape[-2:]
    x = plain_lrn(plain_pool(conv(x, "conv1", stride=4, padding=100)))
    x = plain_lrn(plain_pool(conv(x, "conv2", padding=2, groups=2)))
    x = conv(x, "conv3", padding=1)
    x = conv(x, "conv4", padding=1, groups=2)
    x = plain_pool(conv(x, "conv5", padding=1, groups=2))
    x = conv(conv(x, "fc6"), "fc7")
    x = F.conv2d(x, state["decoder.score_fr.weight"], state["decoder.score_fr.bias"])
    x = F.conv_transpose2d(x, state["head.upscore.weight"], stride=32)
    return x[..., 18 : 18 + height, 18 : 18 + width]


TABLE = """
3a  64  96 128 16  32  32
3b 128 128 192 32  96  64 max
4a 192  96 208 16  48  64
4b 160 112 224 24  64  64
4c 128 128 256 24  64  64
4d 112 144 288 32  64  64
4e 256 160 320 32 128 128 max
5a 256 160 320 32 128 128
5b 384 192 384 48 128 128
"""


def _plain_fcn_googlenet(state, x, padding, offset):
    def conv(x, name, *shape, **how):
        weight = state[f"encoder.{name}.weight"]
        assert weight.shape[: len(shape)] == shape
        return F.conv2d(x, weight, state[f"encoder.{name}.bias"], **how).relu()

    height, width = x.shape[-2:]
    x = plain_lrn(plain_pool(conv(x, "conv1.7x7_s2", 64, 3, 7, 7, stride=2, padding=padding)))
    x = conv(conv(x, "conv2.3x3_reduce", 64, 64, 1, 1), "conv2.3x3", 192, 64, 3, 3, padding=1)
    x = plain_pool(plain_lrn(x))
    for row in TABLE.split("\n")[1:-1]:
        name, *cells = row.split()
        one, reduce3, three, reduce5, five, project = map(int, cells[:6])
        layer, channels = f"inception_{name}", x.shape[1]
        branch3 = conv(conv(x, f"{layer}.3x3_reduce", reduce3), f"{layer}.3x3", three, reduce3, 3, 3, padding=1)
        branch5 = conv(conv(x, f"{layer}.5x5_reduce", reduce5), f"{layer}.5x5", five, reduce5, 5, 5, padding=2)
        pooled = conv(F.max_pool2d(x, 3, 1, 1), f"{layer}.pool_proj", project, channels, 1, 1)
        x = torch.cat([conv(x, f"{layer}.1x1", one, channels, 1, 1), branch3, branch5, pooled], 1)
        x = plain_pool(x) if "max" in cells else x
    x = F.conv2d(x, state["decoder.score_fr.weight"], state["decoder.score_fr.bias"])
    x = F.conv_transpose2d(x, state["head.upscore.weight"], stride=32)
    return x[..., offset : offset + height, offset : offset + width]


@pytest.fixture(scope="module")
def alexnet():
    torch.manual_seed(0)
    return random_scores(zoo.create_model("fcn32s_alexnet", num_classes=4)).eval()


@pytest.fixture(scope="module")
def googlenet():
    torch.manual_seed(0)
    return random_scores(zoo.create_model("fcn32s_googlenet", num_classes=4)).eval()


@torch.no_grad()
def test_fcn_alexnet_is_the_plain_one(alexnet):
    for size in ((70, 95), (1, 40)):
        x = picture(*size)
        assert_close(alexnet(x)["out"], _plain_fcn_alexnet(alexnet.state_dict(), x))


@torch.no_grad()
def test_fcn_googlenet_is_the_plain_one(googlenet):
    for size in ((70, 95), (33, 128)):
        x = picture(*size)
        assert_close(googlenet(x)["out"], _plain_fcn_googlenet(googlenet.state_dict(), x, 3, 1))


@torch.no_grad()
def test_fcn_googlenet_with_the_padding_of_the_other_nets(googlenet):
    padded = zoo.create_model("fcn32s_googlenet", num_classes=4, first_padding=100).eval()
    padded.load_state_dict(googlenet.state_dict())
    x = picture(40, 65)
    assert_close(padded(x)["out"], _plain_fcn_googlenet(padded.state_dict(), x, 100, 98))


@torch.no_grad()
def test_any_size(alexnet, googlenet):
    for model in (alexnet, googlenet):
        for size in SIZES:
            out = model(picture(*size))["out"]
            assert out.shape == (1, 4, *size)
            assert out.isfinite().all()
