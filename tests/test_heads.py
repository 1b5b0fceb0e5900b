from fractions import Fraction
from itertools import product

import pytest
import torch
import torch.nn.functional as F

from zoo.errors import IncompatibleError
from zoo.heads import ScoreHead, UpscoreHead, upsampling
from zoo.interfaces import FeatureSpec


def _caffe_map(layers):
    """Caffe's coordinate map, layer = a · image + b, of layers (kernel, stride, padding); a stride 1/f upsamples."""
    a, b = Fraction(1), Fraction(0)
    for kernel, stride, padding in layers:
        half = Fraction(kernel - 1, 2)
        if stride < 1:
            a2, b2 = 1 / stride, half - padding
        else:
            a2, b2 = Fraction(1, stride), (padding - half) / stride
        a, b = a2 * a, a2 * b + b2
    return a, b


def _spec(layers):
    """The same geometry as a tap: its stride, and the image coordinate of its cell 0."""
    a, b = _caffe_map(layers)
    return FeatureSpec("map", 4, int(1 / a), float(-b / a))


def _caffe_crop(source, onto):
    """Where `onto` begins in the cells of `source`, both of one stride; negative: `onto` begins earlier."""
    (a, b), (onto_a, onto_b) = _caffe_map(source), _caffe_map(onto)
    assert a == onto_a
    return b - onto_b


ALEXNET = [(11, 4, 100), (3, 2, 0), (5, 1, 2), (3, 2, 0), (3, 1, 1), (3, 1, 1), (3, 1, 1), (3, 2, 0), (6, 1, 0)]
VGG_BLOCKS = [
    [(3, 1, 100 if block == 0 else 1), *[(3, 1, 1)] * (count - 1), (2, 2, 0)]
    for block, count in enumerate((2, 2, 3, 3, 3))
]
VGG = [layer for block in VGG_BLOCKS for layer in block]
POOL3, POOL4 = ([layer for block in VGG_BLOCKS[:count] for layer in block] for count in (3, 4))
FC7 = [*VGG, (7, 1, 0), (1, 1, 0)]
UPSCORE2 = [*FC7, (4, Fraction(1, 2), 0)]  # pool4 and pool3 begin earlier, so the sums lie where the upsampled maps do
UPSCORE_POOL4 = [*UPSCORE2, (4, Fraction(1, 2), 0)]


@pytest.mark.parametrize(
    ("source", "onto", "kernel", "crop"),
    [
        pytest.param(FC7, [], 64, 19, id="32s"),
        pytest.param(FC7, POOL4, 4, -5, id="16s and 8s, pool4"),
        pytest.param(UPSCORE2, [], 32, 27, id="16s"),
        pytest.param(UPSCORE2, POOL3, 4, -9, id="8s, pool3"),
        pytest.param(UPSCORE_POOL4, [], 16, 31, id="8s"),
        pytest.param(ALEXNET, [], 63, 18, id="AlexNet"),
    ],
)
def test_crops_of_the_published_nets(source, onto, kernel, crop):
    target = _spec(onto)
    factor = _spec(source).stride // target.stride
    assert _caffe_crop([*source, (kernel, Fraction(1, factor), 0)], onto) == crop
    assert upsampling(_spec(source), target.stride, target.offset) == (kernel, crop)


def test_upsampling_agrees_with_caffe_on_any_geometry():
    """Wherever a kernel size exists, its crop is the one that Caffe computes."""
    found = 0
    for first, second, padding in product((1, 2, 3, 5, 7), (2, 3, 4), (0, 1, 2, 50)):
        fine = [(first, 2, padding)]
        coarse = [*fine, (second, 2, 1), (3, 1, 1), (2, 2, 0)]
        target = _spec(fine)
        kernel, crop = upsampling(_spec(coarse), target.stride, target.offset)
        assert kernel in (7, 8)
        assert _caffe_crop([*coarse, (kernel, Fraction(1, 4), 0)], fine) == crop
        found += 1
    assert found == 60


def test_grids_that_never_meet_are_refused():
    with pytest.raises(IncompatibleError, match="never coincide"):
        upsampling(FeatureSpec("deep", 4, 32, 15.25), 16, 7.5)
    with pytest.raises(IncompatibleError, match="'deep'"):
        upsampling(FeatureSpec("deep", 4, 32, 15.5), 12, 7.5)


@pytest.mark.parametrize("stride", [2, 4, 8, 16, 32])
def test_upscore_head_interpolates(stride):
    """On cells that tile the picture, in the interior it is what `interpolate` gives."""
    torch.manual_seed(0)
    size = (5 * stride - 3, 4 * stride)
    scores = torch.randn(1, 3, 5, 4)
    head = UpscoreHead(FeatureSpec("deep", 3, stride, (stride - 1) / 2), "upscore")
    y = head(scores, size)
    assert y.shape == (1, 3, *size)
    half = stride // 2
    wanted = F.interpolate(scores, scale_factor=stride, mode="bilinear", align_corners=False)
    bottom = min(size[0], 5 * stride - half)
    torch.testing.assert_close(y[..., half:bottom, half:-half], wanted[..., half:bottom, half:-half])


def test_upscore_head_names_its_layer_and_refuses_what_cannot_cover():
    head = UpscoreHead(FeatureSpec("deep", 2, 8, 3.5), "upscore8")
    assert [name for name, _ in head.named_parameters()] == ["upscore8.weight"]
    assert not head.upscore8.weight.requires_grad
    with pytest.raises(IncompatibleError, match="cover"):
        UpscoreHead(FeatureSpec("deep", 2, 8, 11.5), "upscore8")


def test_upscore_head_always_gives_the_size_asked_for():
    """A map that rounded its size down ends before the picture does."""
    head = UpscoreHead(FeatureSpec("deep", 2, 8, 3.5), "upscore8")
    scores = torch.randn(1, 2, 3, 2)
    y = head(scores, (31, 23))
    assert y.shape == (1, 2, 31, 23)
    assert torch.equal(y[..., :24, :16], head(scores, (24, 16)))


def test_score_head_is_linear_and_any_size():
    torch.manual_seed(0)
    head = ScoreHead(6, 3, dropout=0.5).eval()
    x = torch.randn(2, 6, 5, 7)
    y = head(x, (5, 7))
    wanted = torch.einsum("kc,nchw->nkhw", head.score.weight[..., 0, 0], x) + head.score.bias.view(-1, 1, 1)
    torch.testing.assert_close(y, wanted)
    assert head(x, (41, 3)).shape == (2, 3, 41, 3)
