"""Against loops written out by hand."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from color_world import color_model, scene

import zoo
from zoo.inference.probabilities import probabilities
from zoo.inference.test_time import TestTime
from zoo.ops import normalize


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    net = zoo.create_model("fcn32s@resnet18", num_classes=4)
    with torch.no_grad():  # else a fresh score layer answers with nothing but zeros
        for parameter in net.decoder.parameters():
            parameter.normal_(0, 0.05)
    return net.eval()


def plain(model, x):
    with torch.no_grad():
        return F.softmax(model(x)["out"], dim=1)


@pytest.fixture
def picture():
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 3, 50, 70), dtype=np.uint8))


def test_plain(model, picture):
    expected = plain(model, normalize(picture, model.config.input))
    found = probabilities(model, picture)
    assert torch.allclose(found, expected, atol=1e-6)
    assert found.std(0).max() > 1e-3  # the net does say something
    assert torch.allclose(probabilities(model, picture / 255), expected, atol=1e-5)


def test_scales_and_mirror(model, picture):
    x = normalize(picture, model.config.input)
    expected = 0
    for size in [(25, 35), (50, 70), (88, 122)]:  # 0.5, 1, 1.75; Python rounds 87.5 to 88 and 122.5 to 122
        scaled = F.interpolate(x, size=size, mode="bilinear", align_corners=False)
        both = (plain(model, scaled) + plain(model, scaled.flip(3)).flip(3)) / 2
        expected = expected + F.interpolate(both, size=(50, 70), mode="bilinear", align_corners=False) / 3
    found = probabilities(model, picture, TestTime((0.5, 1, 1.75), mirror=True))
    assert torch.allclose(found, expected, atol=1e-5)
    assert torch.allclose(found.sum(1), torch.ones(2, 50, 70), atol=1e-5)


@pytest.mark.parametrize("window", [(32, 48), (32, 96), (64, 71)])
def test_windows(model, picture, window):
    """Every window that PSPNet's loop would cut, in the framed picture; a pixel gets the mean of its windows."""
    rows, columns = window
    x = normalize(picture, model.config.input)
    top, left = max(rows - 50, 0) // 2, max(columns - 70, 0) // 2
    framed = torch.zeros(2, 3, max(rows, 50), max(columns, 70))
    framed[:, :, top : top + 50, left : left + 70] = x
    height, width = framed.shape[2:]
    total, count = torch.zeros(2, 4, height, width), torch.zeros(height, width)
    down, across = int(np.ceil(rows * 2 / 3)), int(np.ceil(columns * 2 / 3))
    for i in range(int(np.ceil((height - rows) / down)) + 1):
        for j in range(int(np.ceil((width - columns) / across)) + 1):
            end, right = min(i * down + rows, height), min(j * across + columns, width)
            place = (..., slice(end - rows, end), slice(right - columns, right))
            total[place] += plain(model, framed[place])
            count[place[1:]] += 1
    assert count.min() >= 1
    expected = (total / count)[:, :, top : top + 50, left : left + 70]
    assert torch.allclose(probabilities(model, picture, TestTime(window=window)), expected, atol=1e-5)


def test_windows_that_do_not_overlap_and_a_model_that_sees_one_pixel():
    """Whatever the windows, a model that looks at single pixels answers the same."""
    model = color_model()
    picture = torch.from_numpy(scene((9, 14), 0)[0]).permute(2, 0, 1)[None]
    expected = probabilities(model, picture)
    for asked in (TestTime(window=(4, 5), overlap=0), TestTime(window=(3, 3), overlap=2), TestTime(mirror=True)):
        assert torch.allclose(probabilities(model, picture, asked), expected, atol=1e-6)


def test_the_mode_of_the_model_stays(model, picture):
    model.train()
    probabilities(model, picture)
    assert model.training
    model.eval()


def test_half_precision_answers_in_float32(model, picture):
    found = probabilities(color_model().bfloat16(), picture, TestTime((1, 1.5)))
    assert found.dtype == torch.float32
    assert torch.allclose(found.sum(1), torch.ones(2, 50, 70), atol=1e-5)


def test_nan_comes_through():
    model = color_model()
    torch.nn.init.constant_(model.head.score.bias, float("nan"))
    assert probabilities(model, torch.zeros(1, 3, 4, 4)).isnan().all()
