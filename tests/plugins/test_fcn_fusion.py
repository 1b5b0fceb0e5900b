"""Colour and depth: fused at the first layer, and at the scores."""

import inspect
import sys

import pytest
import torch
import torch.nn.functional as F
from fcn_world import assert_close, random_scores
from zoo.plugins.fcn.early_fusion import VGG16BGRD
from zoo.plugins.fcn.late_fusion import fuse

import zoo
from zoo.config import IMAGENET_MEAN, IMAGENET_STD, InputSpec
from zoo.encoders.vgg import VGG16
from zoo.errors import IncompatibleError, OptionError
from zoo.registry import registry

# Early fusion


def _torchvision_features(path, seed=0):
    """A file with torchvision's VGG-16 features, random, and of these the first layer's weight and bias."""
    from torchvision.models.vgg import cfgs, make_layers

    torch.manual_seed(seed)
    features = make_layers(cfgs["D"])
    torch.save({f"features.{key}": tensor for key, tensor in features.state_dict().items()}, path)
    return features


def test_the_fourth_plane_is_the_mean_of_the_three(tmp_path):
    features = _torchvision_features(tmp_path / "vgg16.pth")
    model = zoo.create_model(
        "fcn32s_rgbd_vgg16", num_classes=2, classifier=False, encoder_weights=str(tmp_path / "vgg16.pth")
    )
    layer = model.encoder.conv1_1_bgrd
    assert layer.weight.shape == (64, 4, 3, 3)
    assert torch.equal(layer.weight[:, :3], features[0].weight)
    assert torch.allclose(layer.weight[:, 3], features[0].weight.mean(1), atol=1e-7)
    assert torch.equal(layer.bias, features[0].bias)
    assert torch.equal(model.encoder.conv5_3.weight, features[28].weight)
    # With the average of the colours for depth, the first layer sees a third more of that average.
    x = torch.rand(1, 3, 8, 8)
    x = x.mean(1, keepdim=True).expand(1, 3, 8, 8)
    bias = layer.bias[:, None, None]
    padded = F.pad(x[:, :1], (99, 99, 99, 99)).expand(1, 1, -1, -1)
    plain = F.conv2d(padded.expand(1, 3, -1, -1), features[0].weight, padding=1)
    assert torch.allclose(layer(torch.cat([x, x[:, :1]], 1)) - bias, plain * 4 / 3, atol=1e-4)


@pytest.mark.parametrize(("channels", "planes"), [(1, "sum"), (3, "same"), (7, "mean")])
def test_early_fusion_of_other_numbers_of_channels(tmp_path, channels, planes):
    features = _torchvision_features(tmp_path / "vgg16.pth")
    encoder = VGG16BGRD(taps=("conv1_2",), in_channels=channels, encoder_weights=str(tmp_path / "vgg16.pth"))
    weight, old = encoder.conv1_1_bgrd.weight, features[0].weight
    if planes == "sum":
        assert torch.allclose(weight, old.sum(1, keepdim=True))
    else:
        assert torch.equal(weight[:, :3], old)
        assert torch.allclose(weight[:, 3:], old.mean(1, keepdim=True).expand(-1, channels - 3, 3, 3), atol=1e-7)


def test_early_fusion_has_every_option_of_the_vgg():
    """An architecture asks for what an encoder can do; one that lacks an option silently gives another net."""
    fused, plain = (inspect.signature(encoder).parameters for encoder in (VGG16BGRD, VGG16))
    assert fused.keys() == plain.keys()
    assert [name for name in plain if fused[name].default != plain[name].default] == ["in_channels"]


@torch.no_grad()
def test_early_fusion_runs_as_a_vgg(narrow_vgg):
    torch.manual_seed(0)
    fused = random_scores(zoo.create_model("fcn32s_rgbd_vgg16", num_classes=3)).eval()
    plain = zoo.create_model("fcn32s_vgg16", num_classes=3, in_channels=4).eval()
    plain.load_state_dict({key.replace("_bgrd", ""): tensor for key, tensor in fused.state_dict().items()})
    x = torch.randn(2, 4, 37, 50)
    assert torch.equal(fused(x)["out"], plain(x)["out"])
    assert fused(x)["out"].abs().max() > 0


def test_early_fusion_normalises_colour_as_colour(narrow_vgg):
    config = zoo.create_model("fcn32s_rgbd_vgg16").config
    assert (config.in_channels, config.num_classes) == (4, 40)
    assert config.input.order == "ANY"
    assert config.input.mean == (*IMAGENET_MEAN, pytest.approx(sum(IMAGENET_MEAN) / 3))
    assert config.input.std == (*IMAGENET_STD, pytest.approx(sum(IMAGENET_STD) / 3))
    assert zoo.create_model("fcn32s_rgbd_vgg16", in_channels=3).config.input == InputSpec()


# Late fusion


def _pair(other_channels=3):
    """Two FCN-32s as if trained, one for colour, one for another modality."""
    nets = []
    for seed, channels in enumerate((3, other_channels)):
        torch.manual_seed(seed)
        nets.append(random_scores(zoo.create_model("fcn32s_vgg16", num_classes=5, in_channels=channels)).eval())
    return nets


@torch.no_grad()
@pytest.mark.parametrize("other_channels", [1, 3, 4])
def test_late_fusion_averages_scores_before_one_upsampling(narrow_vgg, other_channels):
    color, hha = _pair(other_channels)
    fused = fuse(color, hha).eval()
    x = torch.randn(2, 3 + other_channels, 41, 30)
    scores = []
    for net, part in ((color, x[:, :3]), (hha, x[:, 3:])):
        scores.append(net.decoder(net.encoder(part, net.taps)))
    mean = (scores[0] + scores[1]) / 2
    upsampled = F.conv_transpose2d(mean, color.head.upscore.weight, stride=32)[..., 19 : 19 + 41, 19 : 19 + 30]
    assert_close(fused(x)["out"], upsampled)
    assert_close(fused(x)["out"], (color(x[:, :3])["out"] + hha(x[:, 3:])["out"]) / 2)  # upsampling is linear
    names = {name for name, _ in fused.decoder.named_children()} | {name for name, _ in fused.head.named_children()}
    assert names == {"score_frcolor", "score_frhha", "upscore"}
    assert fused.decoder.taps == ("fc7color", "fc7hha")
    assert fused.config.input.mean[:3] == color.config.input.mean
    assert fused.config.input.channels == fused.config.in_channels == 3 + other_channels


def test_only_two_nets_of_a_kind_are_fused(narrow_vgg):
    color, _ = _pair()
    with pytest.raises(IncompatibleError, match="fcn16s_vgg16"):
        fuse(color, zoo.create_model("fcn16s_vgg16", num_classes=5))
    with pytest.raises(IncompatibleError, match="fcn32s_vgg16"):
        fuse(color, zoo.create_model("fcn32s_vgg16", num_classes=6))
    with pytest.raises(IncompatibleError, match="4 channels"):
        fuse(zoo.create_model("fcn32s_vgg16", num_classes=5, in_channels=4), color)


@torch.no_grad()
@pytest.mark.parametrize(("channels", "split"), [(None, (3, 3)), (2, (1, 1)), (3, (2, 1)), (4, (3, 1)), (7, (3, 4))])
def test_late_fusion_splits_the_channels(narrow_vgg, channels, split):
    model = zoo.create_model("fcn32s_rgb_hha_vgg16", in_channels=channels, num_classes=2).eval()
    trunks = model.encoder
    assert (trunks.color.conv1_1.in_channels, trunks.hha.conv1_1.in_channels) == split
    assert model(torch.rand(1, sum(split), 20, 33))["out"].shape == (1, 2, 20, 33)


def test_one_channel_cannot_be_fused(narrow_vgg):
    with pytest.raises(IncompatibleError, match=r"in_channels=1.*at least 2"):
        zoo.create_model("fcn32s_rgb_hha_vgg16", in_channels=1)


@torch.no_grad()
def test_late_fusion_of_other_encoders():
    model = zoo.create_model("fcn32s_late_fusion@googlenet_bvlc", num_classes=2).eval()
    assert model.config.in_channels == 6
    assert (model.config.input.scale, model.config.input.order) == (255.0, "ANY")
    assert model(torch.rand(1, 6, 20, 20))["out"].shape == (1, 2, 20, 20)
    by_stride = zoo.create_model("fcn32s_rgbd_vgg16", encoder="resnet18", num_classes=2)
    assert by_stride.config.in_channels == 4


# Channels


def test_channels_come_from_the_user_then_the_model_then_three(narrow_vgg):
    assert zoo.create_model("fcn32s_vgg16").config.in_channels == 3
    assert zoo.create_model("fcn32s_siftflow_vgg16").config.in_channels == 3
    assert zoo.create_model("fcn32s_rgbd_vgg16").config.in_channels == 4
    assert zoo.create_model("fcn32s_rgb_hha_vgg16").config.in_channels == 6
    assert zoo.create_model("fcn32s_late_fusion").config.in_channels == 6
    assert zoo.create_model("fcn32s_rgb_hha_vgg16", in_channels=4).config.in_channels == 4
    with pytest.raises(OptionError, match="in_channels=0"):
        zoo.create_model("fcn32s_rgbd_vgg16", in_channels=0)


def test_torch_hub_knows_the_channels(root, monkeypatch):
    monkeypatch.syspath_prepend(str(root / "tools"))
    make_hubconf = __import__("make_hubconf")
    try:
        text = make_hubconf.function(registry().get("model", "fcn32s_rgb_hha_vgg16"))
        assert "in_channels=6" in text
        assert "torch.rand(1, 6, 100, 150)" in text
        assert "in_channels=3" in make_hubconf.function(registry().get("model", "fcn32s_alexnet"))
    finally:
        sys.modules.pop("make_hubconf", None)


def test_late_fusion_is_one_graph_for_the_compiler(narrow_vgg):
    model = zoo.create_model("fcn32s_rgb_hha_vgg16", num_classes=2).eval()
    x = torch.randn(1, 6, 20, 30)
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    with torch.no_grad():
        assert torch.equal(compiled(x)["out"], model(x)["out"])
