import pytest
import torch
from random_networks import filled, parameters, random_state, relative_difference, sleeping_train
from torchvision.models import segmentation
from zoo.plugins.fcn.torchvision_head import from_torchvision

import zoo
from zoo.errors import CheckpointError, IncompatibleError
from zoo.registry import registry

# With the auxiliary head, as torchvision counts; and without.
PUBLISHED = {"fcn_resnet50": (35_322_218, 32_957_013), "fcn_resnet101": (54_314_346, 51_949_141)}


def _theirs(name, **options):
    return getattr(segmentation, name)(weights=None, weights_backbone=None, num_classes=21, **options)


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_the_published_ones(name):
    with torch.device("meta"):
        assert parameters(zoo.create_model(name, aux=True)) == PUBLISHED[name][0]
        assert parameters(zoo.create_model(name)) == PUBLISHED[name][1]
    assert registry().get("model", name).meta["parameters"] == PUBLISHED[name][1]


@pytest.mark.parametrize("name", PUBLISHED)
def test_agrees_with_torchvision(name):
    with torch.device("meta"):
        skeleton = _theirs(name, aux_loss=True)
    state = random_state(skeleton)
    theirs = filled(lambda: _theirs(name, aux_loss=True), state)
    ours = filled(lambda: zoo.create_model(name, aux=True), from_torchvision(state))
    torch.manual_seed(1)
    with torch.inference_mode():
        for size in [(65, 49), (33, 47), (1, 1)]:
            x = torch.randn(1, 3, *size)
            wanted = theirs(x)
            assert list(ours(x)) == ["out"]
            assert relative_difference(ours(x)["out"], wanted["out"]) < 1e-5
            got = sleeping_train(ours)(x)
            assert list(got) == list(wanted) == ["out", "aux"]
            assert relative_difference(got["aux"], wanted["aux"]) < 1e-5
            ours.eval()


@pytest.mark.parametrize("other", ["deeplabv3_resnet50", "lraspp_mobilenet_v3_large"])
def test_a_state_dict_of_another_net_is_refused(other):
    with torch.device("meta"):
        state = _theirs(other).state_dict()
    with pytest.raises(CheckpointError, match=r"'classifier\..*' is in no state dict of torchvision's FCN"):
        from_torchvision(state)


@pytest.mark.parametrize(("encoder", "output_stride"), [("resnet18", 8), ("test_vit", 16), ("vgg16_atrous", 8)])
def test_other_encoders(encoder, output_stride):
    model = zoo.create_model("fcn", encoder=encoder, num_classes=4, aux=True)
    assert model.decoder.out.stride == output_stride
    out = model(torch.rand(2, 3, 65, 33))
    assert {key: tuple(value.shape) for key, value in out.items()} == dict.fromkeys(("out", "aux"), (2, 4, 65, 33))


def test_the_auxiliary_head_reads_the_tap_it_is_told():
    model = zoo.create_model("fcn@resnet18", aux=True, aux_tap="layer2")
    assert model.auxiliary_taps == {"aux": "layer2"}
    with pytest.raises(IncompatibleError, match=r"'resnet18' has no tap layer7; it has act1, layer1"):
        zoo.create_model("fcn@resnet18", aux=True, aux_tap="layer7")
