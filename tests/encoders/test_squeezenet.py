"""SqueezeNet 1.0, held against torchvision's."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import load_file, save_file

import zoo
from zoo.encoders.squeezenet import SqueezeNet
from zoo.errors import CheckpointError, OptionError, ZooError
from zoo.hub.convert import convert
from zoo.registry import registry


@pytest.fixture
def theirs() -> torch.nn.Module:
    torch.manual_seed(0)
    return torchvision.models.squeezenet1_0().eval()


@pytest.fixture
def converted(theirs, tmp_path: Path) -> Path:
    torch.save(theirs.state_dict(), tmp_path / "theirs.pth")
    return convert(
        tmp_path / "theirs.pth", source="torchvision", model="squeezenet1_0", out=tmp_path / "ours.safetensors"
    )


def test_has_as_many_parameters_as_torchvision_without_its_classifier(theirs):
    published = sum(p.numel() for p in theirs.features.parameters())
    assert sum(p.numel() for p in SqueezeNet(stages=4).parameters()) == published == 735_424
    listed = registry().get("encoder", "squeezenet1_0").meta["parameters"]
    assert sum(p.numel() for p in SqueezeNet().parameters()) == listed


def test_computes_what_torchvision_computes_away_from_the_border(theirs, converted):
    """Theirs is not padded: its cell (i, j) of a picture 15 pixels less is ours (i + 2, j + 2) of the whole one."""
    ours = SqueezeNet(stages=4, encoder_weights=str(converted)).eval()
    x = torch.randn(1, 3, 260, 300)
    with torch.inference_mode():
        wanted = theirs.features(x[..., 15:, 15:])
        found = ours(x, ["fire9"]).maps["fire9"][..., 2 : 2 + wanted.shape[-2], 2 : 2 + wanted.shape[-1]]
    inner = (..., slice(6, -6), slice(6, -6))
    assert wanted[inner].numel() > 0
    torch.testing.assert_close(found[inner], wanted[inner], rtol=1e-5, atol=1e-5)
    assert (found - wanted).abs().max() > 1e-3  # the border does differ


@pytest.mark.parametrize("output_stride", [8, 16, 32])
@pytest.mark.parametrize("size", [(1, 1), (33, 50)])
def test_maps_are_what_is_declared(output_stride, size):
    encoder = SqueezeNet(output_stride=output_stride).eval()
    with torch.inference_mode():
        maps = encoder(torch.rand(1, 3, *size), [tap.name for tap in encoder.features]).maps
    for tap in encoder.features:
        assert maps[tap.name].shape[1:] == (tap.channels, -(-size[0] // tap.stride), -(-size[1] // tap.stride))


def test_builds_no_deeper_than_asked():
    shallow = SqueezeNet(taps=["fire4", "fire8"])
    assert [tap.name for tap in shallow.features] == ["conv1", "fire4", "fire8"]
    assert not hasattr(shallow, "fire9")


def test_norms_start_where_files_have_none(converted):
    encoder = SqueezeNet(norm=True, encoder_weights=str(converted))
    state = load_file(converted)
    assert torch.equal(encoder.fire9.expand3x3.weight, state["fire9.expand3x3.weight"])
    assert torch.equal(encoder.fire9.norm.weight, torch.ones(512))


def test_arrays_of_the_caffe_net(converted, tmp_path):
    """NumPy's archive under the names of the model that Apple published gives the same encoder, with Caffe's input."""
    parts = {"squeeze": "conv1x1_1", "expand1x1": "conv1x1_2", "expand3x3": "conv3x3_2"}
    arrays = {}
    for name, tensor in load_file(converted).items():
        layer, part, leaf = name.split(".")
        arrays[f"conv1.{leaf}" if layer == "conv1" else f"{layer}/{parts[part]}.{leaf}"] = tensor.numpy()
    np.savez(tmp_path / "net.npz", **arrays, **{"conv_final.weight": np.zeros((1000, 512, 1, 1), np.float32)})
    out = convert(tmp_path / "net.npz", source="caffe", model="squeezenet1_0", out=tmp_path / "net.safetensors")
    encoder = SqueezeNet(encoder_weights=str(out))
    assert encoder.input is not None
    assert (encoder.input.order, encoder.input.scale) == ("BGR", 255.0)
    assert encoder.input.std == (58.0, 58.0, 58.0)
    # The net is the published one up to that factor, whose pictures were not divided by anything.
    before = SqueezeNet(encoder_weights=str(converted))
    x = torch.randn(1, 3, 65, 81) * 60
    with torch.inference_mode():
        wanted, found = before(x, ["fire9"]).maps["fire9"], encoder(x / 58, ["fire9"]).maps["fire9"]
    torch.testing.assert_close(found * 58, wanted, rtol=1e-4, atol=1e-3)


def test_an_archive_with_objects_is_refused(tmp_path):
    np.savez(tmp_path / "net.npz", net=np.array([{"a": 1}], dtype=object))
    with pytest.raises(CheckpointError, match="more than arrays"):
        convert(tmp_path / "net.npz", source="caffe", model="squeezenet1_0", out=tmp_path / "net.safetensors")


def test_a_file_of_another_net_is_refused(tmp_path):
    save_file({"fire2.squeeze.weight": torch.zeros(16, 96, 1, 1)}, tmp_path / "x.safetensors")
    with pytest.raises(ZooError, match="no SqueezeNet"):
        convert(tmp_path / "x.safetensors", source="torchvision", model="squeezenet1_0", out=tmp_path / "y.safetensors")
    with pytest.raises(OptionError, match="zoo hub convert"):
        SqueezeNet(encoder_weights=str(tmp_path / "x.safetensors"))


@pytest.mark.parametrize("options", [{"stages": 3}, {"output_stride": 4}])
def test_options_that_make_no_sense(options):
    with pytest.raises(OptionError, match="expected"):
        SqueezeNet(**options)


@pytest.mark.parametrize("architecture", ["fcn8s", "unet", "unet_l4_aspp", "deeplabv3", "deeplabv3plus", "pspnet"])
def test_built_in_decoders_stand_on_it(architecture):
    model = zoo.create_model(f"{architecture}@squeezenet1_0", num_classes=4).eval()
    with torch.inference_mode():
        assert model(torch.rand(1, 3, 40, 56))["out"].shape == (1, 4, 40, 56)
