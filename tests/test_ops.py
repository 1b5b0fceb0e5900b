import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.transforms.v2 import functional as tv

from zoo.config import IMAGENET_MEAN, IMAGENET_STD, InputSpec
from zoo.ops import (
    BatchNorm2d,
    BilinearUpsample,
    _window_means,
    bilinear_kernel,
    ceil_div,
    conv_norm_act,
    crop,
    normalize,
    pad_to,
    resize,
)


@pytest.mark.parametrize("factor", [2, 4, 8, 16, 32])
def test_bilinear_upsample_is_interpolation_in_the_interior(factor):
    torch.manual_seed(0)
    x = torch.randn(2, 3, 6, 9)
    y = BilinearUpsample(3, 2 * factor, factor)(x)
    assert y.shape == (2, 3, 5 * factor + 2 * factor, 8 * factor + 2 * factor)
    half = factor // 2
    inside = y[..., half : half + 6 * factor, half : half + 9 * factor]
    wanted = F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
    # Beyond the outermost cell centres interpolation repeats the border, and a transposed convolution fades out.
    torch.testing.assert_close(inside[..., half:-half, half:-half], wanted[..., half:-half, half:-half])


@pytest.mark.parametrize("size", [1, 3, 4, 16, 32, 63, 64])
def test_bilinear_kernel_is_the_tent_of_its_definition(size):
    factor = (size + 1) // 2
    center = factor - 1 if size % 2 == 1 else factor - 0.5
    tent = [1 - abs(i - center) / factor for i in range(size)]
    wanted = torch.tensor([[a * b for b in tent] for a in tent])
    torch.testing.assert_close(bilinear_kernel(size), wanted, rtol=0, atol=1e-7)
    assert torch.equal(bilinear_kernel(size), bilinear_kernel(size).flip(0, 1))


def test_bilinear_kernels_keep_the_classes_apart():
    weight = BilinearUpsample(5, 4, 2).weight
    assert weight.shape == (5, 5, 4, 4)
    off_diagonal = ~torch.eye(5, dtype=torch.bool)
    assert not weight[off_diagonal].any()
    for index in range(5):
        assert torch.equal(weight[index, index], bilinear_kernel(4))


def test_bilinear_kernels_learn_only_on_request():
    assert not BilinearUpsample(2, 4, 2).weight.requires_grad
    assert BilinearUpsample(2, 4, 2, learnable=True).weight.requires_grad
    assert BilinearUpsample(2, 4, 2).bias is None


def test_resize_gives_the_size_asked_for_and_keeps_constants():
    x = torch.full((1, 2, 3, 5), 0.25)
    for size in [(1, 1), (3, 5), (17, 31)]:
        torch.testing.assert_close(resize(x, size), torch.full((1, 2, *size), 0.25))


def test_crop_cuts_where_it_is_told():
    x = torch.arange(48).reshape(1, 1, 6, 8)
    assert crop(x, (2, 3), 1, 4).tolist() == [[[[12, 13, 14], [20, 21, 22]]]]
    assert torch.equal(crop(x, (6, 8)), x)


@pytest.mark.parametrize(("kernel_size", "dilation"), [(1, 1), (3, 1), (3, 6), (5, 2), (7, 1)])
def test_conv_norm_act_keeps_the_size(kernel_size, dilation):
    block = conv_norm_act(4, 6, kernel_size, dilation=dilation)
    assert block(torch.randn(2, 4, 11, 7)).shape == (2, 6, 11, 7)


def test_conv_norm_act_has_a_bias_only_without_norm():
    with_norm, without = conv_norm_act(2, 2), conv_norm_act(2, 2, norm=False)
    assert with_norm[0].bias is None
    assert without[0].bias is not None
    assert [type(layer) for layer in with_norm] == [nn.Conv2d, BatchNorm2d, nn.ReLU]
    assert [type(layer) for layer in without] == [nn.Conv2d, nn.ReLU]
    assert conv_norm_act(4, 8, stride=2, groups=2)(torch.randn(1, 4, 9, 9)).shape == (1, 8, 5, 5)


def test_normalize_agrees_with_torchvision():
    image = torch.randint(0, 256, (2, 3, 5, 4), dtype=torch.uint8)
    wanted = tv.normalize(tv.to_dtype(image, torch.float32, scale=True), IMAGENET_MEAN, IMAGENET_STD)
    torch.testing.assert_close(normalize(image, InputSpec()), wanted)
    torch.testing.assert_close(normalize(image.float() / 255, InputSpec()), wanted)


def test_normalize_knows_the_caffe_convention():
    """BGR, 0 … 255, mean subtracted, not divided."""
    spec = InputSpec("BGR", 255.0, (104.00699, 116.66877, 122.67892), (1.0, 1.0, 1.0))
    red, green, blue = 10, 100, 250
    image = torch.tensor([red, green, blue], dtype=torch.uint8).view(3, 1, 1)
    wanted = torch.tensor([blue - 104.00699, green - 116.66877, red - 122.67892])
    torch.testing.assert_close(normalize(image, spec).flatten(), wanted)
    torch.testing.assert_close(normalize(image.float() / 255, spec).flatten(), wanted, rtol=0, atol=1e-4)


@pytest.mark.parametrize("channels", [1, 4])
def test_normalize_takes_any_number_of_channels(channels):
    spec = InputSpec().with_channels(channels)
    assert normalize(torch.rand(channels, 3, 3), spec).shape == (channels, 3, 3)
    with pytest.raises(ValueError, match="3 channels"):
        normalize(torch.rand(3, 3, 3), spec)


def test_normalize_leaves_its_input_alone():
    image = torch.rand(3, 2, 2)
    before = image.clone()
    normalize(image, InputSpec())
    assert torch.equal(image, before)


@pytest.mark.parametrize(
    ("size", "multiple", "minimum", "wanted"),
    [
        ((1, 1), 32, 64, (64, 64)),
        ((33, 64), 32, 32, (64, 64)),
        ((97, 131), 32, 1, (128, 160)),
        ((5, 7), 1, 1, (5, 7)),
        ((5, 7), 1, 6, (6, 7)),
    ],
)
def test_pad_to_adds_zeros_at_the_bottom_and_the_right(size, multiple, minimum, wanted):
    x = torch.rand(1, 2, *size) + 1
    y = pad_to(x, multiple, minimum)
    assert y.shape[-2:] == wanted
    assert torch.equal(y[..., : size[0], : size[1]], x)
    assert y.sum().item() == pytest.approx(x.sum().item())


@pytest.mark.parametrize("count", [1, 2, 3, 6, 7])
def test_window_means_are_adaptive_pooling(count):
    for length in range(1, 30):
        x = torch.randn(2, 3, length, length + 5, dtype=torch.double)
        rows, columns = (_window_means(count, side, x) for side in (length, length + 5))
        torch.testing.assert_close(rows @ x @ columns.mT, F.adaptive_avg_pool2d(x, count), rtol=1e-12, atol=1e-12)


def test_ceil_div():
    assert all(ceil_div(a, b) == math.ceil(a / b) for a in range(1, 60) for b in range(1, 20))
