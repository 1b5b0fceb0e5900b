"""torchvision's segmentation nets and ImageNet classifiers, against torchvision itself."""

import hashlib

import pytest
import torch
from random_networks import random_state, relative_difference, sleeping_train
from torchvision import models
from torchvision.models import segmentation

import zoo
from zoo.config import IMAGENET_MEAN, IMAGENET_STD, InputSpec
from zoo.errors import CheckpointError, OptionError
from zoo.hub.convert import convert
from zoo.hub.header import read_header

NAMES = [
    "fcn_resnet50",
    "fcn_resnet101",
    "deeplabv3_resnet50",
    "deeplabv3_resnet101",
    "deeplabv3_mobilenet_v3_large",
    "lraspp_mobilenet_v3_large",
]
SIZES = [(65, 49), (33, 47), (1, 1)]


def _theirs(name, num_classes=21, **options):
    build = getattr(segmentation, name)
    with torch.device("meta"):
        network = build(weights=None, weights_backbone=None, num_classes=num_classes, **options)
    network.load_state_dict(random_state(network), assign=True)
    return network.eval()


def _aux(name):
    return {} if name.startswith("lraspp") else {"aux_loss": True}


@pytest.mark.parametrize("name", NAMES)
def test_all_six_answer_as_in_torchvision(tmp_path, name):
    theirs = _theirs(name, **_aux(name))
    torch.save(theirs.state_dict(), tmp_path / "net.pth")
    ours = zoo.load(convert(tmp_path / "net.pth", source="torchvision", model=name, out=tmp_path / "net.safetensors"))
    with torch.inference_mode():
        for size in SIZES:
            x = torch.randn(1, 3, *size)
            wanted = theirs(x)
            assert relative_difference(ours(x)["out"], wanted["out"]) < 1e-5
        if "aux" in wanted:
            assert relative_difference(sleeping_train(ours)(x)["aux"], wanted["aux"]) < 1e-5
    config = ours.config
    assert config.name == name
    assert config.input == InputSpec("RGB", 1.0, IMAGENET_MEAN, IMAGENET_STD)
    assert config.classes[5] == "bottle"
    assert config.palette[5] == (128, 0, 128)


def test_what_is_only_of_the_same_form_gets_no_numbers(tmp_path):
    name = "lraspp_mobilenet_v3_large"
    path = tmp_path / "lraspp_mobilenet_v3_large-d234d4ea.pth"  # the published name, but other content
    torch.save(_theirs(name).state_dict(), path)
    header = read_header(convert(path, source="torchvision", model=name, out=tmp_path / "net.safetensors"))
    assert header.config.classes[0] == "background"
    assert header.record["metrics"] == header.record["licence"] == header.record["data"] == {}


def test_the_record_that_is_given_is_stored(tmp_path):
    name = "lraspp_mobilenet_v3_large"
    torch.save(_theirs(name, 3).state_dict(), tmp_path / "net.pth")
    record = {
        "classes": ["sky", "sea", "land"],
        "metrics": {"miou": 0.5, "protocol": "one scale"},
        "data": {"name": "coast"},
        "licence": {"weights": "MIT"},
        "input": {"order": "BGR", "scale": 255.0, "mean": [1, 2, 3], "std": [4, 5, 6]},
    }
    out = tmp_path / "net.safetensors"
    header = read_header(convert(tmp_path / "net.pth", source="torchvision", model=name, out=out, record=record))
    assert header.config.classes == ("sky", "sea", "land")
    assert header.config.input == InputSpec("BGR", 255.0, (1.0, 2.0, 3.0), (4.0, 5.0, 6.0))
    assert [header.record[key] for key in ("metrics", "data", "licence")] == [
        record["metrics"],
        record["data"],
        record["licence"],
    ]


def test_a_published_file_is_known_by_its_digest(tmp_path, monkeypatch):
    from zoo.registry import registry

    name = "lraspp_mobilenet_v3_large"
    path = tmp_path / "renamed.pth"
    torch.save(_theirs(name).state_dict(), path)
    source = registry().get("weights", f"{name}.coco_voc").meta["sources"][0]
    monkeypatch.setitem(source, "sha256", hashlib.sha256(path.read_bytes()).hexdigest()[:8])
    header = read_header(convert(path, source="torchvision", model=name, out=tmp_path / "net.safetensors"))
    assert header.record["metrics"]["miou"] == 0.579
    assert header.record["metrics"]["protocol"] == "classes of PASCAL VOC, short side 520"


def test_other_classes_and_no_auxiliary_head_are_seen(tmp_path):
    theirs = _theirs("deeplabv3_mobilenet_v3_large", 7)
    torch.save({"model": theirs.state_dict(), "epoch": 3}, tmp_path / "net.pth")  # as the reference script saves
    out = tmp_path / "net.safetensors"
    ours = zoo.load(convert(tmp_path / "net.pth", source="torchvision", model="deeplabv3_mobilenet_v3_large", out=out))
    assert ours.config.num_classes == 7
    assert ours.config.classes == ()
    assert not ours.auxiliary
    x = torch.randn(1, 3, 33, 47)
    with torch.inference_mode():
        assert relative_difference(ours(x)["out"], theirs(x)["out"]) < 1e-5


def test_the_file_may_be_safetensors_parallel_or_of_half_precision(tmp_path):
    from safetensors.torch import save_file

    name = "lraspp_mobilenet_v3_large"
    state = {
        key: value.half() if value.is_floating_point() else value for key, value in _theirs(name).state_dict().items()
    }
    exact = {key: value.float() if value.is_floating_point() else value for key, value in state.items()}
    save_file(exact, tmp_path / "a.safetensors")
    torch.save({f"module.{key}": value for key, value in exact.items()}, tmp_path / "b.pth")
    torch.save(exact, tmp_path / "c.pth", _use_new_zipfile_serialization=False)  # as files before 2020 are
    torch.save(state, tmp_path / "d.pth")
    written = {
        convert(tmp_path / file, source="torchvision", model=name, out=tmp_path / "out.safetensors").read_bytes()
        for file in ("a.safetensors", "b.pth", "c.pth", "d.pth", "a.safetensors")
    }
    assert len(written) == 1


def _classifier(name):
    with torch.device("meta"):
        network = models.get_model(name, weights=None)
    network.load_state_dict(random_state(network), assign=True)
    return network.eval()


RESNETS = ["resnet18", "resnet50", "resnext50_32x4d"]


@pytest.mark.parametrize("name", RESNETS)
def test_resnets_become_encoders(tmp_path, name):
    theirs = _classifier(name)
    torch.save(theirs.state_dict(), tmp_path / "net.pth")
    out = convert(tmp_path / "net.pth", source="torchvision", model=name, out=tmp_path / "net.safetensors")
    x = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        h = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(x))))
        wanted = [h := layer(h) for layer in (theirs.layer1, theirs.layer2, theirs.layer3, theirs.layer4)]
        model = zoo.create_model("fcn8s", encoder=name, num_classes=2, encoder_weights=str(out)).eval()
        maps = model.encoder(x, ["layer2", "layer3", "layer4"]).maps
        for index in (2, 3, 4):
            assert relative_difference(maps[f"layer{index}"], wanted[index - 1]) < 1e-5
    assert model.config.input == InputSpec()


def test_a_resnet_for_other_channels_and_stride(tmp_path):
    theirs = _classifier("resnet18")
    torch.save(theirs.state_dict(), tmp_path / "net.pth")
    out = str(convert(tmp_path / "net.pth", source="torchvision", model="resnet18", out=tmp_path / "net.safetensors"))
    one = zoo.create_model("deeplabv3", encoder="resnet18", num_classes=2, in_channels=1, encoder_weights=out)
    assert torch.equal(one.encoder.model.conv1.weight, theirs.conv1.weight.sum(dim=1, keepdim=True))
    with pytest.raises(CheckpointError, match=r"\(of resnet18\) does not fit"):
        zoo.create_model("fcn32s", encoder="resnet50", encoder_weights=out)
    with pytest.raises(CheckpointError, match="not of a model"):
        zoo.load(out)


@pytest.mark.parametrize("name", ["vgg11", "vgg16_bn"])
def test_vggs_become_encoders_with_their_classifier(tmp_path, name, monkeypatch):
    from torchvision.models import vgg

    from zoo.encoders import vgg as ours

    monkeypatch.setattr(ours, "_CHANNELS", (4, 6, 8, 10, 12))
    monkeypatch.setattr(ours, "_CLASSIFIER_CHANNELS", 16)
    widths = {64: 4, 128: 6, 256: 8, 512: 10}
    plan = [width if width == "M" else widths[width] for width in vgg.cfgs["A" if name == "vgg11" else "D"]]
    last = len(plan) - plan[::-1][1:].index("M") - 1
    plan = [12 if width != "M" and index >= last else width for index, width in enumerate(plan)]
    features = vgg.make_layers(plan, batch_norm=name.endswith("bn"))
    theirs = vgg.VGG(features, init_weights=False)
    theirs.classifier = torch.nn.Sequential(
        torch.nn.Linear(12 * 49, 16), torch.nn.ReLU(), torch.nn.Dropout(),
        torch.nn.Linear(16, 16), torch.nn.ReLU(), torch.nn.Dropout(), torch.nn.Linear(16, 5),
    )  # fmt: skip
    theirs.load_state_dict(random_state(theirs))
    theirs.eval()
    torch.save(theirs.state_dict(), tmp_path / "net.pth")
    out = str(convert(tmp_path / "net.pth", source="torchvision", model=name, out=tmp_path / "net.safetensors"))
    encoder = zoo.create_model("fcn8s", encoder=name, encoder_weights=out).eval().encoder
    plain = type(encoder)(classifier=True, fc6_padding=0, encoder_weights=out).eval()
    x = torch.randn(1, 3, 224, 224)
    with torch.inference_mode():
        maps = plain(x, ["pool4", "pool5", "fc7"]).maps
        assert relative_difference(maps["pool5"], theirs.features(x)) < 1e-5
        wanted = theirs.classifier[:5](theirs.features(x).flatten(1))
        assert relative_difference(maps["fc7"].flatten(1), wanted) < 1e-5
    assert torch.equal(encoder.fc6.weight.flatten(1), theirs.classifier[0].weight)


def test_weights_from_caffe_bring_their_input_along(tmp_path, narrow_vgg):
    import caffe_world as caffe

    layers = caffe.vgg16_blobs()
    layers["fc6"] = [layers["fc6"][0].reshape(1, 1, 16, -1), layers["fc6"][1]]  # an inner product
    layers["fc7"] = [layers["fc7"][0].reshape(16, 16), layers["fc7"][1]]
    layers["fc8"] = [torch.ones(5, 16), torch.ones(5)]
    (tmp_path / "net.caffemodel").write_bytes(caffe.caffemodel(layers, v1=True, old_shape=True))
    out = str(convert(tmp_path / "net.caffemodel", source="caffe", model="vgg16", out=tmp_path / "a.safetensors"))
    model = zoo.create_model("fcn8s_vgg16", encoder_weights=out).eval()
    assert (model.config.input.order, model.config.input.scale) == ("BGR", 255.0)
    x = 60 * torch.randn(1, 3, 33, 47)
    with torch.inference_mode():
        wanted = caffe.trunk(caffe.vgg16_blobs(), x)["fc7"]
        assert relative_difference(model.encoder(x, ["fc7"]).maps["fc7"], wanted) < 1e-5

    positions = iter((0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28))  # as torchfcn stores the same
    names = {layer: f"features.{next(positions)}" for layer in layers if layer.startswith("conv")}
    names |= {"fc6": "classifier.0", "fc7": "classifier.3", "fc8": "classifier.6"}
    state = {}
    for layer, (weight, bias) in layers.items():
        state[f"{names[layer]}.weight"] = weight.reshape(16, -1) if layer == "fc6" else weight
        state[f"{names[layer]}.bias"] = bias.flatten()
    torch.save(state, tmp_path / "net.pth")
    same = convert(tmp_path / "net.pth", source="torchfcn", model="vgg16", out=tmp_path / "b.safetensors")
    assert same.read_bytes() == (tmp_path / "a.safetensors").read_bytes()


def test_mobilenet_becomes_an_encoder(tmp_path):
    theirs = _classifier("mobilenet_v3_large")
    torch.save(theirs.state_dict(), tmp_path / "net.pth")
    name = "mobilenet_v3_large"
    out = str(convert(tmp_path / "net.pth", source="torchvision", model=name, out=tmp_path / "net.safetensors"))
    model = zoo.create_model("unet", encoder=name, num_classes=2, encoder_weights=out).eval()
    x = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        assert relative_difference(model.encoder(x, ["features.16"]).maps["features.16"], theirs.features(x)) < 1e-5


@pytest.mark.parametrize(
    ("saved", "asked", "said"),
    [
        ("resnet18", "resnet34", "lacks"),
        ("resnet50", "resnet18", "is no tensor of timm's resnet18"),
        ("resnet18", "mobilenet_v3_large", "is in no state dict of torchvision's MobileNetV3"),
        ("resnet18", "vgg16", "is no tensor of a VGG"),
        ("vgg11", "vgg11_bn", "tensors before the classifier"),
    ],
)
def test_another_classifier_is_refused(tmp_path, saved, asked, said):
    with torch.device("meta"):
        state = models.get_model(saved, weights=None).state_dict()
    small = {key: value for key, value in state.items() if not key.startswith("classifier.")}
    torch.save({key: torch.zeros(value.shape) for key, value in small.items()}, tmp_path / "net.pth")
    with pytest.raises(CheckpointError, match=said):
        convert(tmp_path / "net.pth", source="torchvision", model=asked, out=tmp_path / "net.safetensors")


def test_what_no_command_made_is_refused(tmp_path):
    (tmp_path / "net.safetensors").write_bytes(b"nothing")
    torch.save({}, tmp_path / "net.pth")
    for encoder, architecture in (("resnet18", "fcn32s"), ("mobilenet_v3_large", "lraspp")):
        with pytest.raises(CheckpointError, match="is not a file of weights"):
            zoo.create_model(architecture, encoder=encoder, encoder_weights=str(tmp_path / "net.safetensors"))
        with pytest.raises(OptionError, match="is no file that `zoo hub convert` made"):
            zoo.create_model(architecture, encoder=encoder, encoder_weights=str(tmp_path / "net.pth"))
        with pytest.raises(OptionError, match="the path of a file"):
            zoo.create_model(architecture, encoder=encoder, encoder_weights="nowhere")
