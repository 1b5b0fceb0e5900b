"""timm's backbones and the models of segmentation-models-pytorch, against the libraries themselves."""

import json
import warnings

import pytest
import timm
import torch
from random_networks import random_state, relative_difference

import zoo
from zoo.errors import CheckpointError, ZooError
from zoo.hub.convert import convert

TIMM = {
    "test_resnet": "fcn8s",
    "test_convnext": "unet",  # taken apart: stages.0 becomes stages_0
    "test_efficientnet": "fcn8s",
    "test_vit": "fcn",  # hidden inside another module
    "resnet18d": "deeplabv3",
}


def _timm(name):
    with torch.device("meta"):
        state = random_state(timm.create_model(name))
    theirs = timm.create_model(name)
    theirs.load_state_dict(state)
    return theirs.eval()


@pytest.mark.parametrize("name", TIMM)
def test_timm_backbones_become_encoders(tmp_path, name):
    theirs = _timm(name)
    torch.save({"state_dict": theirs.state_dict(), "epoch": 1}, tmp_path / "net.pth.tar")  # as timm's script saves
    out = convert(tmp_path / "net.pth.tar", source="timm", model=name, out=tmp_path / "net.safetensors")
    model = zoo.create_model(TIMM[name], encoder=name, num_classes=2, encoder_weights=str(out)).eval()
    options = {"output_stride": 8} if name == "resnet18d" else {}
    overlay = {"state_dict": theirs.state_dict()}
    features = timm.create_model(name, True, pretrained_cfg_overlay=overlay, features_only=True, **options).eval()
    x = torch.randn(1, 3, 160, 160)
    with torch.inference_mode():
        maps = model.encoder(x, model.taps).maps
        theirs_by_name = dict(zip(features.feature_info.module_name(), features(x), strict=True))
        assert maps
        for tap, got in maps.items():
            assert relative_difference(got, theirs_by_name[tap]) < 1e-5
    config = timm.get_pretrained_cfg(name)
    assert (model.config.input.mean, model.config.input.std) == (tuple(config.mean), tuple(config.std))
    again = convert(tmp_path / "net.pth.tar", source="timm", model=name, out=tmp_path / "again.safetensors")
    assert again.read_bytes() == out.read_bytes()


def test_a_timm_checkpoint_of_another_net_is_refused(tmp_path):
    torch.save(_timm("test_resnet").state_dict(), tmp_path / "net.pth")
    for name in ("test_vit", "resnet18"):
        with pytest.raises(CheckpointError, match=f"is no tensor of timm's {name}"):
            convert(tmp_path / "net.pth", source="timm", model=name, out=tmp_path / "net.safetensors")


# segmentation-models-pytorch

SMP = {"unet": "resnet18", "fpn": "mobilenet_v2", "deeplabv3plus": "resnet18", "segformer": "mit_b0"}


@pytest.fixture
def smp():
    return pytest.importorskip("segmentation_models_pytorch")


def _smp(smp, architecture, encoder, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        theirs = smp.create_model(architecture, encoder, encoder_weights=None, classes=5, **options)
    theirs.load_state_dict(random_state(theirs))
    return theirs.eval()


@pytest.mark.parametrize("architecture", SMP)
def test_a_state_dict_of_smp_answers_as_there(tmp_path, smp, architecture):
    encoder = SMP[architecture]
    theirs = _smp(smp, architecture, encoder)
    torch.save(theirs.state_dict(), tmp_path / "net.pth")
    name = f"smp/{architecture}@{encoder}"
    ours = zoo.load(convert(tmp_path / "net.pth", source="smp", model=name, out=tmp_path / "net.safetensors"))
    assert ours.config.num_classes == 5
    x = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        assert relative_difference(ours(x)["out"], theirs(x)) < 1e-5


def test_a_folder_of_smp_says_all_that_is_needed(tmp_path, smp):
    theirs = _smp(smp, "unet", "resnet18", encoder_depth=4, decoder_channels=(32, 16, 8, 8), in_channels=4)
    theirs.config["encoder_weights"] = "imagenet"  # as of a net that began with them
    theirs.save_pretrained(tmp_path / "folder")
    ours = zoo.load(convert(tmp_path / "folder", source="smp", model="smp/unet", out=tmp_path / "net.safetensors"))
    assert ours.config.encoder == "smp/resnet18"
    assert (ours.config.num_classes, ours.config.in_channels) == (5, 4)
    assert ours.config.options["encoder_depth"] == 4
    x = torch.randn(1, 4, 64, 96)
    with torch.inference_mode():
        assert relative_difference(ours(x)["out"], theirs(x)) < 1e-5


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("{", "config.json cannot be read"),
        ("[]", "it holds no object"),
        ('{"_model_class": "Transformer"}', "names 'Transformer'"),
        ('{"_model_class": "FPN", "encoder_name": "resnet18", "upsampling": 2}', "no options here"),
        ('{"_model_class": "Unet", "encoder_name": "resnet_of_nobody"}', "resnet_of_nobody"),
        ('{"_model_class": "Unet", "encoder_name": 5}', "does not fit"),
        ('{"_model_class": "Unet", "encoder_name": "resnet34", "classes": 5}', "lacks"),
    ],
)
def test_a_folder_that_does_not_fit_is_refused(tmp_path, smp, config, said):
    _smp(smp, "unet", "resnet18").save_pretrained(tmp_path / "folder")
    (tmp_path / "folder" / "config.json").write_text(config)
    with pytest.raises(ZooError) as caught:
        convert(tmp_path / "folder", source="smp", model="smp/unet", out=tmp_path / "net.safetensors")
    assert said in str(caught.value)


def test_a_folder_of_another_architecture_is_refused(tmp_path, smp):
    _smp(smp, "fpn", "resnet18").save_pretrained(tmp_path / "folder")
    assert json.loads((tmp_path / "folder" / "config.json").read_text())["_model_class"] == "FPN"
    with pytest.raises(CheckpointError, match="is of smp/fpn, not of smp/unet"):
        convert(tmp_path / "folder", source="smp", model="smp/unet", out=tmp_path / "net.safetensors")
    with pytest.raises(CheckpointError, match=r"holds none of model\.safetensors"):
        convert(tmp_path, source="smp", model="smp/unet", out=tmp_path / "net.safetensors")
