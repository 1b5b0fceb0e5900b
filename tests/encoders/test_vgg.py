import pytest
import torch
import torch.nn.functional as F

from zoo.encoders import vgg
from zoo.errors import OptionError
from zoo.ops import crop
from zoo.registry import find

NETS = {
    "vgg11": vgg.VGG11,
    "vgg13": vgg.VGG13,
    "vgg16": vgg.VGG16,
    "vgg19": vgg.VGG19,
    "vgg11_bn": vgg.VGG11BN,
    "vgg13_bn": vgg.VGG13BN,
    "vgg16_bn": vgg.VGG16BN,
    "vgg19_bn": vgg.VGG19BN,
}
POOLS = [f"pool{block}" for block in range(1, 6)]


def test_published_fc6_is_unpadded():
    with torch.device("meta"):
        encoder = vgg.VGG16(classifier=True, first_padding=100)
        maps = encoder(torch.empty(1, 3, 224, 224), ["pool5", "fc6", "fc7"]).maps
    assert [tuple(maps[tap].shape) for tap in ("pool5", "fc6", "fc7")] == [
        (1, 512, 14, 14),
        (1, 4096, 8, 8),
        (1, 4096, 8, 8),
    ]


@pytest.fixture
def narrow(monkeypatch):
    """One channel everywhere: the geometry is what matters."""
    monkeypatch.setattr(vgg, "_CHANNELS", (1, 1, 1, 1, 1))
    monkeypatch.setattr(vgg, "_CLASSIFIER_CHANNELS", 1)


@pytest.mark.parametrize("first_padding", [1, 100])
@pytest.mark.parametrize("depth", ["vgg11", "vgg13", "vgg16", "vgg19"])
def test_strides_and_offsets_are_where_the_cells_look(depth, first_padding, narrow, monkeypatch):
    """With averages for maxima the net is linear: the gradient of a cell is a bump, symmetric about its centre."""
    monkeypatch.setattr(F, "max_pool2d", F.avg_pool2d)
    encoder = NETS[depth](classifier=True, first_padding=first_padding, in_channels=1, dropout=0.0).double()
    for parameter in encoder.parameters():
        torch.nn.init.ones_(parameter) if parameter.dim() > 1 else torch.nn.init.zeros_(parameter)
    x = torch.ones(1, 1, 800, 4, dtype=torch.float64, requires_grad=True)  # rows do not know of columns
    maps = encoder(x, [spec.name for spec in encoder.features]).maps
    line = torch.arange(800.0, dtype=torch.float64)
    assert [spec.name for spec in encoder.features][-2:] == ["fc6", "fc7"]
    for spec in encoder.features:
        cells = maps[spec.name].shape[-2]
        centers = []
        for cell in (cells // 2, cells // 2 + 1):
            column = maps[spec.name].shape[-1] // 2
            (gradient,) = torch.autograd.grad(maps[spec.name][0, 0, cell, column], x, retain_graph=True)
            bump = gradient[0, 0].sum(1) / gradient.sum()
            assert bump[0] == bump[-1] == 0, "the cell sees the border"
            centers.append((bump * line).sum().item())
        assert centers[1] - centers[0] == pytest.approx(spec.stride), spec
        assert centers[0] == pytest.approx(spec.offset + spec.stride * (cells // 2)), spec


def test_receptive_field_of_fc7(narrow, monkeypatch):
    """404 pixels, as the paper says."""
    monkeypatch.setattr(F, "max_pool2d", F.avg_pool2d)
    encoder = vgg.VGG16(classifier=True, first_padding=100, in_channels=1, dropout=0.0).double()
    for parameter in encoder.parameters():
        torch.nn.init.ones_(parameter) if parameter.dim() > 1 else torch.nn.init.zeros_(parameter)
    x = torch.ones(1, 1, 800, 4, dtype=torch.float64, requires_grad=True)
    y = encoder(x, ["fc7"]).maps["fc7"]
    (gradient,) = torch.autograd.grad(y[0, 0, 12, 0], x)
    assert int((gradient[0, 0].sum(1) > 0).sum()) == 404


@pytest.mark.parametrize("name", NETS)
def test_manifest_tells_the_truth(name):
    cls = NETS[name]
    (spec,) = [spec for spec in find("encoder", name) if spec.name == name]
    with torch.device("meta"):
        trunk, whole = cls(), cls(classifier=True)
    assert spec.meta["parameters"] == sum(parameter.numel() for parameter in trunk.parameters())
    assert spec.offers["taps"] == [tap.name for tap in whole.features]
    assert spec.offers["strides"] == sorted({tap.stride for tap in trunk.features})
    assert spec.offers["pools"] == list(whole.pools) == POOLS
    assert whole.features == cls.offers(classifier=True)
    assert trunk.features == cls.offers()


@pytest.mark.parametrize("ceil_mode", [True, False])
@pytest.mark.parametrize("size", [(1, 1), (1, 70), (2, 3), (33, 47), (64, 31)])
def test_any_size_and_the_taps_have_their_channels(size, ceil_mode, narrow):
    encoder = vgg.VGG13(classifier=True, ceil_mode=ceil_mode).eval()
    maps = encoder(torch.rand(2, 3, *size), [spec.name for spec in encoder.features]).maps
    assert list(maps) == [spec.name for spec in encoder.features]
    for spec in encoder.features:
        assert maps[spec.name].shape[:2] == (2, spec.channels)
        if ceil_mode:
            assert maps[spec.name].shape[-2:] == tuple(-(-length // spec.stride) for length in size)


@pytest.mark.parametrize("ceil_mode", [True, False])
def test_switches_unpool_to_where_the_maxima_were(ceil_mode, narrow):
    torch.manual_seed(0)
    encoder = vgg.VGG16(ceil_mode=ceil_mode)
    taps = ["conv1_2", "pool1", "conv3_3", "pool3"]
    maps, pools = encoder(torch.rand(2, 3, 37, 50), taps, with_pools=True)
    assert list(pools) == POOLS
    for tap, pool in (("conv1_2", "pool1"), ("conv3_3", "pool3")):
        before, after = maps[tap], maps[pool]
        switches = pools[pool]
        assert switches.size == before.shape[-2:]
        assert switches.indices.dtype == torch.int64
        picked = before.flatten(2).gather(2, switches.indices.flatten(2)).reshape(after.shape)
        assert torch.equal(picked, after)
    assert encoder(torch.rand(1, 3, 9, 9), ["pool5"]).pools == {}


def test_builds_no_deeper_than_the_taps():
    with torch.device("meta"):
        encoder = vgg.VGG16BN(taps=("pool3", "conv2_2"), classifier=True)
    assert encoder.features[-1].name == "pool3"
    assert encoder.pools == ("pool1", "pool2", "pool3")
    assert not any(name.startswith(("conv4", "bn4", "fc")) for name, _ in encoder.named_parameters())


def test_dropout_drops_elements_not_channels(monkeypatch):
    monkeypatch.setattr(vgg, "_CHANNELS", (2, 2, 2, 2, 2))
    monkeypatch.setattr(vgg, "_CLASSIFIER_CHANNELS", 8)
    torch.manual_seed(0)
    encoder = vgg.VGG11(classifier=True)
    for parameter in encoder.parameters():
        torch.nn.init.constant_(parameter, 0.1)
    y = encoder(torch.ones(1, 3, 320, 320), ["fc6"]).maps["fc6"]
    dropped = (y == 0).float()
    assert 0.4 < dropped.mean() < 0.6
    assert dropped.mean((2, 3)).min() > 0, "a whole channel was kept"
    assert dropped.mean((2, 3)).max() < 1, "a whole channel was dropped"
    assert not (encoder.eval()(torch.ones(1, 3, 320, 320), ["fc6"]).maps["fc6"] == 0).any()


def test_a_padding_that_would_make_pictures_vanish_is_refused(narrow):
    with pytest.raises(OptionError, match="first_padding"):
        vgg.VGG16(first_padding=0)


def test_crops_of_a_picture_see_the_same(narrow):
    """A tap's stride is exact: moving the picture by 32 pixels moves pool5 by one cell."""
    torch.manual_seed(1)
    encoder = vgg.VGG16().eval()
    x = torch.rand(1, 3, 480, 480)
    whole = encoder(x, ["pool5"]).maps["pool5"]
    moved = encoder(crop(x, (416, 416), 32, 64), ["pool5"]).maps["pool5"]
    torch.testing.assert_close(moved[..., 4:9, 4:9], whole[..., 5:10, 6:11], rtol=1e-5, atol=1e-7)
