import pytest
import timm
import torch

import zoo
from zoo.assembly import find_encoder
from zoo.encoders.timm import TimmEncoder
from zoo.errors import IncompatibleError, OptionError, UnknownNameError

# Of any size as they are, padded to a multiple, of several trunks, and with maps in another layout.
SAMPLE = ["resnet18", "mobilenetv3_small_100", "convnext_atto", "hrnet_w18_small", "dla34", "mambaout_femto"]


def _names(encoder):
    return [spec.name for spec in encoder.features]


SIZES = [(64, 96), (97, 131), (33, 47), (1, 1)]


@pytest.mark.parametrize(
    ("name", "size"),
    [
        *(("resnet18", size) for size in SIZES),
        *(("mobilenetv3_small_100", size) for size in SIZES),
        ("dla34", (64, 96)),  # whose first level timm leaves out by default
        ("test_vit", (64, 96)),  # of whose blocks timm gives the last three
        ("mambaout_femto", (64, 96)),  # whose maps are (N, h, w, C)
    ],
)
def test_features_are_timms(name, size):
    """Also at sizes that no stride divides: these models need no padding, so they get none."""
    torch.manual_seed(0)
    theirs = timm.create_model(name, features_only=True).eval()
    encoder = TimmEncoder(name).eval()
    encoder.model.load_state_dict(theirs.state_dict())
    x = torch.randn(1, 3, *size)
    with torch.inference_mode():
        wanted = theirs(x)
        maps = encoder(x, _names(encoder)).maps
    if wanted[0].shape[1] != theirs.feature_info.channels()[0]:
        wanted = [feature.permute(0, 3, 1, 2) for feature in wanted]
    assert list(maps) == theirs.feature_info.module_name()
    for got, want in zip(maps.values(), wanted, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", [*SAMPLE, "vit_tiny_patch16_dinov3_qkvb", "densenet121", "xcit_nano_12_p8_224"])
def test_table_tells_the_truth(name):
    spec = find_encoder(name)
    with torch.device("meta"):
        theirs = timm.create_model(name, features_only=True)
    info = theirs.feature_info
    described = list(zip(info.module_name(), info.channels(), info.reduction(), strict=True))
    assert [tuple(tap) for tap in spec.meta["taps"]] == described
    assert spec.meta.get("indices", list(range(len(described)))) == list(info.out_indices)
    assert spec.offers["strides"] == sorted(set(info.reduction()))
    assert spec.meta["parameters"] == sum(parameter.numel() for parameter in theirs.parameters())


@pytest.mark.parametrize("name", SAMPLE)
@pytest.mark.parametrize("size", [(1, 1), (33, 47), (97, 131)])
def test_any_size(name, size):
    with torch.device("meta"):
        encoder = TimmEncoder(name).eval()
        maps = encoder(torch.empty(1, 3, *size), _names(encoder)).maps
    for spec in encoder.features:
        wanted = (1, spec.channels, *(-(-length // spec.stride) for length in size))
        assert tuple(maps[spec.name].shape) == wanted, spec


@pytest.mark.parametrize("output_stride", [8, 16])
@pytest.mark.parametrize("name", ["resnet18", "mobilenetv3_small_100"])
def test_dilated_output_strides(name, output_stride):
    encoder = TimmEncoder(name, output_stride=output_stride).eval()
    assert encoder.features == TimmEncoder.offers(name, output_stride=output_stride)
    assert max(spec.stride for spec in encoder.features) == output_stride
    x = torch.randn(1, 3, 65, 70)
    maps = encoder(x, _names(encoder)).maps
    theirs = timm.create_model(name, features_only=True, output_stride=output_stride).eval()
    theirs.load_state_dict(encoder.model.state_dict())
    for spec, want in zip(encoder.features, theirs(x), strict=True):
        assert maps[spec.name].shape[-2:] == (-(-65 // spec.stride), -(-70 // spec.stride))
        torch.testing.assert_close(maps[spec.name], want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_any_number_of_channels(channels):
    encoder = TimmEncoder("mobilenetv3_small_100", in_channels=channels, taps=("blocks.1",)).eval()
    assert encoder(torch.rand(2, channels, 32, 32), ["blocks.1"]).maps["blocks.1"].shape == (2, 24, 4, 4)


def test_a_tap_by_itself_is_the_same():
    torch.manual_seed(0)
    whole = TimmEncoder("dla34").eval()
    encoder = TimmEncoder("dla34", taps=("level3", "level2")).eval()
    state = whole.model.state_dict()
    encoder.model.load_state_dict({name: state[name] for name in encoder.model.state_dict()})
    x = torch.randn(1, 3, 64, 64)
    wanted = whole(x, _names(whole)).maps
    got = encoder(x, _names(encoder)).maps
    assert _names(encoder) == ["level2", "level3"]
    assert all(torch.equal(got[name], wanted[name]) for name in got)


def test_builds_no_deeper_than_the_taps():
    with torch.device("meta"):
        encoder = TimmEncoder("resnet18", taps=("layer2",))
    assert _names(encoder) == ["layer2"]
    assert not any("layer3" in name or "layer4" in name for name, _ in encoder.named_parameters())


def test_input_convention_is_the_one_of_the_weights():
    with torch.device("meta"):
        assert TimmEncoder("resnet18", taps=("layer1",)).input.mean == timm.get_pretrained_cfg("resnet18").mean
        other = TimmEncoder("mobilenetv3_small_100.lamb_in1k", taps=("blocks.1",))
    assert other.input.std == timm.get_pretrained_cfg("mobilenetv3_small_100.lamb_in1k").std


def test_a_model_that_is_in_no_table_works_too(monkeypatch):
    """As when timm is newer than the table."""
    from zoo.registry import registry

    family = registry().families("encoder")[0]
    registry().find("encoder", "resnet18d")
    table = dict(registry()._tables[family])
    del table["resnet18d"]
    monkeypatch.setitem(registry()._tables, family, table)
    spec = find_encoder("resnet18d")
    assert spec.offers["strides"] == [2, 4, 8, 16, 32]
    model = zoo.create_model("fcn32s", encoder="resnet18d", num_classes=2).eval()
    assert model.config.encoder == "resnet18d"
    assert model(torch.rand(1, 3, 33, 47))["out"].shape == (1, 2, 33, 47)


def test_timms_own_vgg_is_within_reach():
    """The name `vgg11` means our trunk, but nobody is kept from timm's."""
    with torch.device("meta"):
        encoder = TimmEncoder("vgg11")
    assert [spec.stride for spec in encoder.features] == [1, 2, 4, 8, 16, 32]


def test_what_timm_cannot_do_is_said():
    with pytest.raises(UnknownNameError, match="'resnet18'"):
        TimmEncoder("resnet_18")
    with pytest.raises(IncompatibleError, match="output stride 8"):
        TimmEncoder("densenet121", output_stride=8)
    with pytest.raises(OptionError, match="'imagenet'"):
        TimmEncoder("resnet18", encoder_weights="imagnet")
    with pytest.raises(UnknownNameError, match="resnet18"):
        zoo.create_model("fcn8s", encoder="resnet_18")
