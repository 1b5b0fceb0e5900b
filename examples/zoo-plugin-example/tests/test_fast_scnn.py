import pytest
import torch
from torch import nn

import zoo
import zoo.testing
from zoo.registry import registry


class TestFastSCNN(zoo.testing.ArchitectureTests):
    name = "example/fast_scnn"
    options = {"aux": True}


class TestTrunk(zoo.testing.EncoderTests):
    name = "example/fast_scnn_trunk"


def test_it_has_the_size_that_the_paper_gives():
    """1.11 million; the paper counts the weights of convolutions, not the scales and shifts of norms."""
    model = zoo.create_model("example/fast_scnn_cityscapes")
    norms = sum(
        parameter.numel()
        for module in model.modules()
        if isinstance(module, nn.BatchNorm2d)
        for parameter in module.parameters()
    )
    everything = sum(parameter.numel() for parameter in model.parameters())
    assert round((everything - norms) / 1e6, 2) == 1.11
    assert everything == registry().get("model", "example/fast_scnn_cityscapes").meta["parameters"]


def test_the_shapes_are_those_of_the_paper():
    """Its table 1, for 1024 × 2048: 128 × 256 × 64 out of learning to downsample, 32 × 64 × 128 out of bottlenecks."""
    with torch.device("meta"):
        model = zoo.create_model("example/fast_scnn")
        maps = model.encoder(torch.empty(1, 3, 1024, 2048), ["ds2", "global3"]).maps
    assert {name: tuple(map.shape[1:]) for name, map in maps.items()} == {
        "ds2": (64, 128, 256),
        "global3": (128, 32, 64),
    }


@pytest.mark.parametrize(
    "name", ["fcn8s@example/fast_scnn_trunk", "unet@example/fast_scnn_trunk", "fast_scnn@resnet18"]
)
def test_it_mixes_with_what_is_built_in(name):
    model = zoo.create_model(name, num_classes=4).eval()
    with torch.inference_mode():
        assert model(torch.rand(1, 3, 45, 71))["out"].shape == (1, 4, 45, 71)


def test_what_it_lacks_is_said_before_anything_is_built():
    with pytest.raises(zoo.errors.IncompatibleError, match="an output stride of 8"):
        zoo.create_model("deeplabv3@example/fast_scnn_trunk")


def test_the_head_can_be_chosen():
    model = zoo.create_model("example/fast_scnn", head="score", num_classes=3)
    assert type(model.head).__name__ == "ScoreHead"
    with pytest.raises(zoo.errors.UnknownNameError, match="Did you mean 'separable'"):
        zoo.create_model("example/fast_scnn", head="seperable")
