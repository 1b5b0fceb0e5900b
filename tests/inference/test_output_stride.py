"""Against torchvision's nets, built at the other stride, with the same weights."""

import pytest
import torch
from torchvision.models import resnet50
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.segmentation.deeplabv3 import DeepLabHead, DeepLabV3
from torchvision.models.segmentation.fcn import FCN, FCNHead

import zoo
from zoo.errors import IncompatibleError
from zoo.inference.output_stride import at_output_stride, output_stride
from zoo.inference.probabilities import probabilities
from zoo.inference.test_time import TestTime


def theirs(kind, dilate, rates=(12, 24, 36)):
    body = IntermediateLayerGetter(resnet50(replace_stride_with_dilation=dilate), {"layer4": "out"})
    if kind == "fcn":
        return FCN(body, FCNHead(2048, 4)).eval()
    return DeepLabV3(body, DeepLabHead(2048, 4, rates)).eval()


def with_weights_of(ours, net):
    """Tensors in order: the two are the same net, layer by layer."""
    mine, other = ours.state_dict(), net.state_dict()
    assert [value.shape for value in mine.values()] == [value.shape for value in other.values()]
    ours.load_state_dict(dict(zip(mine, other.values(), strict=True)))
    return ours.eval()


@pytest.mark.parametrize(("kind", "architecture"), [("fcn", "fcn_torchvision"), ("deeplab", "deeplabv3")])
def test_trained_at_16_and_asked_at_8(kind, architecture):
    torch.manual_seed(0)
    net = theirs(kind, [False, True, True])
    name = {"fcn": "fcn_resnet50", "deeplab": "deeplabv3_resnet50"}[kind]
    ours = with_weights_of(zoo.create_model(name, num_classes=4, output_stride=16), net)
    x = torch.randn(1, 3, 65, 80)
    with torch.no_grad():
        before, expected = ours(x)["out"], net(x)["out"]
        other = at_output_stride(ours, 8)
        found = other(x)["out"]
        back = at_output_stride(other, 16)(x)["out"]
    assert (output_stride(ours), output_stride(other)) == (16, 8)
    assert torch.allclose(found, expected, atol=1e-4 * float(expected.abs().max()))
    assert not torch.allclose(before, expected, atol=1e-2 * float(expected.abs().max()))
    assert torch.equal(back, before)
    assert not other.training


def test_rates_that_were_given_grow_with_the_map():
    model = zoo.create_model("deeplabv3@resnet18", num_classes=3, output_stride=16, rates=[6, 12, 18])
    finer = at_output_stride(model, 8)
    assert [conv[0].dilation for conv in finer.decoder.aspp.convs[1:4]] == [(12, 12), (24, 24), (36, 36)]
    assert finer.config.options["rates"] == [12, 24, 36]
    assert finer.training


def test_the_weights_are_shared():
    model = zoo.create_model("deeplabv3plus@resnet18", num_classes=3, aux=True)
    next(model.parameters()).requires_grad_(False)
    finer = at_output_stride(model, 8)
    first, same = dict(model.named_parameters()), dict(finer.named_parameters())
    assert first.keys() == same.keys()
    for name, parameter in first.items():
        assert parameter.data_ptr() == same[name].data_ptr()
        assert parameter.requires_grad == same[name].requires_grad


def test_at_its_own_stride_it_is_itself():
    model = zoo.create_model("deeplabv3plus@resnet18", num_classes=3)
    assert at_output_stride(model, 16) is model


@pytest.mark.parametrize(
    ("name", "stride"), [("fcn8s@resnet18", 8), ("unet@resnet18", 8), ("fcn32s@vgg11", 8), ("pspnet@resnet18", 4)]
)
def test_what_cannot_be(name, stride):
    model = zoo.create_model(name, num_classes=3)
    with pytest.raises(IncompatibleError, match=f"cannot be asked at output stride {stride}, it has"):
        at_output_stride(model, stride)


def test_random_numbers_are_left_alone():
    model = zoo.create_model("deeplabv3plus@resnet18", num_classes=3)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    at_output_stride(model, 8)
    assert torch.equal(torch.rand(3), expected)


def test_probabilities_at_another_stride():
    torch.manual_seed(0)
    model = zoo.create_model("deeplabv3plus@resnet18", num_classes=3).eval()
    picture = torch.rand(1, 3, 40, 48)
    expected = probabilities(at_output_stride(model, 8), picture)
    assert torch.equal(probabilities(model, picture, TestTime(output_stride=8)), expected)
    assert not torch.allclose(probabilities(model, picture), expected, atol=1e-5)
