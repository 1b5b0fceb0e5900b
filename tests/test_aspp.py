"""The blocks of the DeepLab family in zoo.ops."""

import pytest
import torch
import torch.nn.functional as F
from random_networks import random_state
from torch import nn

from zoo.ops import ASPP, BatchNorm2d, resize, separable_conv_norm_act


def _convolve(x, weight, rate):
    """Dilated convolution from its definition: a sum over taps of shifted maps, zeros outside."""
    height, width = x.shape[-2:]
    reach = weight.shape[-1] // 2
    padded = F.pad(x, [rate * reach] * 4)
    total = 0
    for row in range(weight.shape[-2]):
        for column in range(weight.shape[-1]):
            shifted = padded[..., row * rate : row * rate + height, column * rate : column * rate + width]
            total = total + torch.einsum("oc,nchw->nohw", weight[..., row, column], shifted)
    return total


def _normalise(x, norm):
    mean, variance, weight, bias = (
        tensor.view(1, -1, 1, 1) for tensor in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    return ((x - mean) / (variance + norm.eps).sqrt() * weight + bias).clamp(min=0)


@pytest.mark.parametrize("image_pooling", [True, False])
@pytest.mark.parametrize("rates", [(12, 24, 36), (1, 2, 4), (2,)])
def test_aspp_is_its_definition(rates, image_pooling):
    aspp = ASPP(6, 5, rates=rates, width=4, image_pooling=image_pooling, dropout=0.5).double().eval()
    aspp.load_state_dict(random_state(aspp))
    x = torch.randn(2, 6, 13, 9, dtype=torch.float64)
    branches = []
    for index, rate in enumerate((1, *rates)):
        conv, norm = aspp.convs[index][:2]
        assert conv.kernel_size == ((3, 3) if index else (1, 1))
        branches.append(_normalise(_convolve(x, conv.weight, rate), norm))
    if image_pooling:
        conv, norm = aspp.convs[-1][1], aspp.convs[-1][2]
        mean = x.sum(dim=(2, 3), keepdim=True) / (13 * 9)
        branches.append(_normalise(_convolve(mean, conv.weight, 1), norm).expand(-1, -1, 13, 9))
    assert len(branches) == len(aspp.convs)
    wanted = _normalise(_convolve(torch.cat(branches, 1), aspp.project[0].weight, 1), aspp.project[1])
    torch.testing.assert_close(aspp(x), wanted)


def test_aspp_drops_out_while_training():
    aspp = ASPP(4, 4, width=4, dropout=1.0)
    assert not aspp(torch.randn(2, 4, 5, 5)).any()
    assert aspp.eval()(torch.randn(2, 4, 5, 5)).any()


def test_separable_aspp_has_depthwise_branches():
    aspp = ASPP(6, 5, rates=(2, 3), width=4, separable=True)
    assert aspp(torch.randn(2, 6, 7, 7)).shape == (2, 5, 7, 7)
    depthwise, pointwise = aspp.convs[1][0][0], aspp.convs[1][1][0]
    assert (depthwise.groups, depthwise.dilation, depthwise.kernel_size) == (6, (2, 2), (3, 3))
    assert (pointwise.groups, pointwise.kernel_size) == (1, (1, 1))
    block = separable_conv_norm_act(4, 6, dilation=5).eval()
    assert sum(parameter.numel() for parameter in block.parameters()) == 4 * 9 + 2 * 4 + 4 * 6 + 2 * 6


@pytest.mark.parametrize("shape", [(2, 3, 5, 4), (2, 3, 1, 1), (1, 3, 1, 2)])
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_is_torchs(shape, training):
    theirs, ours = nn.BatchNorm2d(3), BatchNorm2d(3)
    state = random_state(theirs)
    for norm in (theirs, ours):
        norm.load_state_dict(state)
        norm.train(training)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    x = torch.randn(shape)
    assert torch.equal(ours(x), theirs(x))
    for name, tensor in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], tensor), name


def test_batch_norm_takes_one_value_per_channel():
    norm = BatchNorm2d(3)
    norm.load_state_dict(random_state(norm))
    before = {name: tensor.clone() for name, tensor in norm.state_dict().items()}
    x = torch.randn(1, 3, 1, 1, requires_grad=True)
    y = norm(x)
    assert norm.training
    torch.testing.assert_close(y, norm.eval()(x))
    for name, tensor in norm.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    y.sum().backward()
    assert norm.weight.grad.abs().min() > 0
    assert norm.bias.grad.tolist() == [1.0, 1.0, 1.0]
    assert x.grad.abs().min() > 0


def test_batch_norm_without_statistics_has_nothing_to_fall_back_on():
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        BatchNorm2d(3, track_running_stats=False)(torch.randn(1, 3, 1, 1))


@pytest.mark.parametrize("shape", [(1, 3, 1, 1), (2, 3, 4, 5)])
def test_batch_norm_compiles_whole(shape):
    norm = BatchNorm2d(3)
    compiled = torch.compile(norm, fullgraph=True, backend="eager")
    x = torch.randn(shape)
    wanted = BatchNorm2d(3)(x)
    torch.testing.assert_close(compiled(x), wanted)


def test_resize_with_corners_aligned_keeps_the_corners():
    x = torch.randn(1, 1, 3, 4)
    y = resize(x, (17, 25), align_corners=True)
    torch.testing.assert_close(y[..., ::8, ::8], x)
