"""CaffeNet and GoogLeNet as encoders: layers, options, and the weight files of Caffe's model zoo."""

import pytest
import torch
from fcn_world import on_meta, picture, plain_lrn, plain_pool, random_scores
from safetensors.torch import save_file
from torch import nn
from zoo.plugins.fcn import caffe
from zoo.plugins.fcn.caffenet import CaffeNet
from zoo.plugins.fcn.googlenet import GoogLeNet

import zoo
from zoo.errors import CheckpointError, OptionError
from zoo.interfaces import Encoder


def test_dropout_is_where_it_was_published():
    torch.manual_seed(0)
    model = zoo.create_model("fcn32s_googlenet", num_classes=2)
    random_scores(model)
    x = picture(64, 64)
    drop = model.encoder(x, ("inception_5b", "drop")).maps
    kept = drop["drop"] != 0
    assert torch.allclose(drop["drop"][kept], drop["inception_5b"][kept] / 0.6)
    share = kept.sum() / (drop["inception_5b"] != 0).sum()
    assert 0.55 < share < 0.65
    assert on_meta("fcn32s_alexnet").encoder.dropout.p == 0.5


def test_a_batch_of_one_trains_every_parameter():
    torch.manual_seed(0)
    model = random_scores(zoo.create_model("fcn32s_googlenet", num_classes=3)).train()
    model(picture(40, 40))["out"].square().mean().backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert parameter.grad.abs().max() > 0, name
        else:
            assert parameter.grad is None, name


@torch.no_grad()
def test_shallow_taps_build_no_more_than_they_need():
    encoder = GoogLeNet(taps=("inception_3b",))
    assert encoder.features[-1].name == "inception_3b"
    assert not hasattr(encoder, "inception_4a")
    maps = encoder(torch.rand(2, 3, 64, 64), ("conv1", "inception_3b")).maps
    assert {name: tuple(value.shape) for name, value in maps.items()} == {
        "conv1": (2, 64, 32, 32),
        "inception_3b": (2, 480, 8, 8),
    }
    encoder = CaffeNet(taps=("norm2",), in_channels=1)
    assert [name for name, _ in encoder.named_children()] == ["conv1", "conv2", "relu", "dropout"]
    assert encoder(torch.rand(2, 1, 64, 64), ("norm2",)).maps["norm2"].shape == (2, 256, 4, 4)


@pytest.mark.parametrize(
    ("name", "skips"),
    [
        ("fcn16s@caffenet", {"conv5": 16}),
        ("fcn8s@caffenet", {"conv5": 16, "conv2": 8}),
        ("fcn8s@googlenet_bvlc", {"inception_4e": 16, "inception_3b": 8}),
    ],
)
def test_finer_nets_choose_the_deepest_map_of_a_stride(name, skips):
    """GoogLeNet has a pool3 and a pool4 too, at other strides than VGG's."""
    model = on_meta(name, classifier=False)
    assert {skip.tap.name: skip.tap.stride for skip in model.decoder.skips} == skips
    assert model(torch.empty(1, 3, 45, 70, device="meta"))["out"].shape == (1, 21, 45, 70)


def test_pool_and_normalisation_against_torch():
    for size in range(2, 12):
        x = torch.rand(2, 7, size, size + 3)
        assert torch.equal(caffe.pool(x), plain_pool(x))
    x = 200 * torch.randn(2, 9, 5, 4, dtype=torch.float64)
    assert torch.allclose(caffe.normalize(x), plain_lrn(x), rtol=1e-12)
    half = caffe.normalize(torch.full((1, 5, 1, 1), 3000.0, dtype=torch.float16))  # its square is infinite there
    assert half.dtype == torch.float16
    assert torch.allclose(half.float(), plain_lrn(torch.full((1, 5, 1, 1), 3000.0)), rtol=1e-3)


def test_caffe_nets_want_caffe_input():
    for name in ("fcn32s_alexnet", "fcn32s_googlenet"):
        spec = on_meta(name).config.input
        assert (spec.order, spec.scale, spec.std) == ("BGR", 255.0, (1.0, 1.0, 1.0))
        assert spec.mean == (104.00699, 116.66877, 122.67892)


def test_a_negative_padding_is_refused():
    with pytest.raises(OptionError, match="-1"):
        zoo.create_model("fcn32s_googlenet", first_padding=-1)


# Weights of the Caffe nets


def test_weights_by_the_names_of_caffe(tmp_path):
    source = GoogLeNet(taps=("inception_3a",))
    state = {}
    for key, tensor in source.state_dict().items():
        layer, leaf = key.rsplit(".", 1)
        state[layer.replace(".", "/") + "." + leaf] = tensor
    assert "inception_3a/5x5_reduce.weight" in state
    state["inception_9z/1x1.weight"] = torch.zeros(1)
    save_file(state, tmp_path / "net.safetensors")
    loaded = GoogLeNet(taps=("inception_3a",), encoder_weights=str(tmp_path / "net.safetensors"))
    for key, tensor in source.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], tensor)
    grey = GoogLeNet(taps=("conv1",), in_channels=1, encoder_weights=str(tmp_path / "net.safetensors"))
    assert torch.allclose(grey.conv1["7x7_s2"].weight, source.conv1["7x7_s2"].weight.sum(1, keepdim=True))
    with pytest.raises(CheckpointError, match=r"inception_3b\.1x1\.weight.*missing"):
        GoogLeNet(taps=("inception_3b",), encoder_weights=str(tmp_path / "net.safetensors"))
    with pytest.raises(OptionError, match=r"nothing\.pth"):
        GoogLeNet(encoder_weights="nothing.pth")


def test_matrices_become_convolutions(tmp_path):
    class Small(Encoder):
        def __init__(self):
            super().__init__()
            self.fc6 = nn.Conv2d(3, 4, 2)

    matrix = torch.rand(4, 12)
    save_file({"fc6.weight": matrix, "fc6.bias": torch.rand(1, 1, 1, 4)}, tmp_path / "net.safetensors")
    encoder = Small()
    caffe.load(encoder, str(tmp_path / "net.safetensors"), "conv1.weight", 3)
    picture = torch.rand(1, 3, 2, 2)
    answer = encoder.fc6(picture) - encoder.fc6.bias[:, None, None]
    assert torch.allclose(answer.flatten(), matrix @ picture.flatten())
