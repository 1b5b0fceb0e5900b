import pytest
import torch
import torch.nn.functional as F
from random_networks import (
    TinyPlan,
    compiles,
    exports,
    filled,
    parameters,
    random_state,
    relative_difference,
    sleeping_train,
)
from semseg_world import Reference
from torchvision.models import resnet50, resnet101
from zoo.plugins.pspnet.pspnet import PSPDecoder, pspnet
from zoo.plugins.pspnet.semseg_names import from_semseg

import zoo
from zoo.errors import IncompatibleError, OptionError
from zoo.interfaces import Features, FeatureSpec
from zoo.registry import registry

DEPTHS = {"pspnet_resnet50": resnet50, "pspnet_resnet101": resnet101}


@pytest.mark.parametrize("name", DEPTHS)
def test_agrees_with_the_release(name):
    with torch.device("meta"):
        skeleton = Reference(DEPTHS[name])
    state = random_state(skeleton)
    theirs = filled(lambda: Reference(DEPTHS[name]), state)
    ours = filled(lambda: zoo.create_model(name, aux=True), from_semseg(state))
    x = torch.randn(1, 3, 65, 49, generator=torch.Generator().manual_seed(1))  # 8k + 1, as the release demands
    with torch.inference_mode():
        wanted = theirs(x)
        got = sleeping_train(ours)(x)
    assert relative_difference(got["out"], wanted[0]) < 1e-5
    assert relative_difference(got["aux"], wanted[1]) < 1e-5


@pytest.mark.parametrize("name", DEPTHS)
def test_parameters(name):
    with torch.device("meta"):
        reference = parameters(Reference(DEPTHS[name])), parameters(Reference(DEPTHS[name]).aux)
        assert parameters(zoo.create_model(name, aux=True)) == reference[0]
        assert parameters(zoo.create_model(name)) == reference[0] - reference[1]
    assert registry().get("model", name).meta["parameters"] == reference[0] - reference[1]


def test_whole_stages_are_dilated():
    with torch.device("meta"):
        model = zoo.create_model("pspnet_resnet50")
        half = zoo.create_model("pspnet_resnet50", whole_stages=False)
        coarse = zoo.create_model("pspnet_resnet50", output_stride=16)

    def dilations(model):
        return [[block.conv2.dilation[0] for block in model.encoder.model[f"layer{stage}"]] for stage in (3, 4)]

    assert dilations(model) == [[2] * 6, [4] * 3]
    assert dilations(half) == [[1] + [2] * 5, [2, 4, 4]]
    assert dilations(coarse) == [[1] * 6, [2] * 3]


def test_pyramid_pooling_is_the_mean_over_each_cell():
    """On a map whose sides 6 divides, every grid divides it evenly."""
    tap = FeatureSpec("x", 8, 8, 0.0)
    decoder = PSPDecoder(tap, width=4).eval()
    decoder.load_state_dict(random_state(decoder))
    x = torch.randn(2, 8, 12, 6)
    parts = [x]
    for n, grid in zip((1, 2, 3, 6), decoder.ppm, strict=True):
        means = x.reshape(2, 8, n, 12 // n, n, 6 // n).mean(dim=(3, 5))
        conv, norm = grid[1], grid[2]
        assert conv.weight.shape == (2, 8, 1, 1)
        mixed = torch.einsum("oc,nchw->nohw", conv.weight[..., 0, 0], means)
        mixed = norm(mixed).relu()
        parts.append(F.interpolate(mixed, (12, 6), mode="bilinear", align_corners=True))
    with torch.inference_mode():
        got = decoder(Features({"x": x}, {}))
        wanted = decoder.bottleneck(torch.cat(parts, 1))
    assert relative_difference(got, wanted) < 1e-5


@pytest.mark.parametrize("size", [(1, 1), (33, 47), (64, 97)])
def test_any_size(size):
    model = zoo.create_model("pspnet@resnet18", num_classes=3).eval()
    with torch.inference_mode():
        assert model(torch.rand(1, 3, *size))["out"].shape == (1, 3, *size)


def test_one_picture_trains():
    """Also the norm behind the 1×1 grid, which sees one value per channel."""
    model = zoo.create_model("pspnet@resnet18", num_classes=3, aux=True)
    out = model(torch.rand(1, 3, 33, 41))
    (out["out"].square().mean() + out["aux"].square().mean()).backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in model.parameters())


@pytest.mark.parametrize("encoder", ["resnet18", "mobilenetv3_small_050", "regnetx_002", "convnext_atto"])
@pytest.mark.parametrize("output_stride", [8, 16])
def test_encoders(encoder, output_stride):
    with torch.device("meta"):
        model = zoo.create_model("pspnet", encoder=encoder, num_classes=3, output_stride=output_stride).eval()
        assert model.decoder.out.stride == output_stride
        assert model(torch.empty(1, 3, 97, 129))["out"].shape == (1, 3, 97, 129)


def test_encoders_of_stride_16_by_nature():
    with torch.device("meta"):
        assert zoo.create_model("pspnet@test_vit").decoder.out.stride == 16


def test_what_does_not_fit_is_refused():
    with pytest.raises(IncompatibleError, match="output stride of 8 or 16"):
        zoo.create_model("pspnet@vgg16")
    with pytest.raises(IncompatibleError, match="'test_vit' cannot have an output stride of 8; it can have 16"):
        zoo.create_model("pspnet@test_vit", output_stride=8)
    with pytest.raises(OptionError, match=r"bins=\[0, 1\]"):
        zoo.create_model("pspnet@resnet18", bins=[0, 1])


def test_compiles_whole_and_exports_with_dynamic_sizes():
    model = pspnet(TinyPlan(), 2, bins=(1, 2), width=16, aux=True)
    compiles(model)
    exports(model, (33, 100), (48, 64))
