import pytest
import timm
import torch
import torchvision
from torchvision.models.vgg import cfgs, make_layers

from zoo.encoders import vgg
from zoo.encoders._vgg_weights import from_torchvision, load
from zoo.errors import CheckpointError, OptionError

NETS = {
    "vgg11": (vgg.VGG11, "A"),
    "vgg13": (vgg.VGG13, "B"),
    "vgg16": (vgg.VGG16, "D"),
    "vgg19": (vgg.VGG19, "E"),
    "vgg11_bn": (vgg.VGG11BN, "A"),
    "vgg13_bn": (vgg.VGG13BN, "B"),
    "vgg16_bn": (vgg.VGG16BN, "D"),
    "vgg19_bn": (vgg.VGG19BN, "E"),
}


def _random(network):
    """Random weights for a network on the meta device, statistics of norms included; not too large, not too small."""
    state = {}
    for name, tensor in network.state_dict().items():
        if name.endswith("running_var"):
            state[name] = torch.rand(tensor.shape) + 0.5
        elif tensor.dim() > 1:
            bound = (6 / tensor[0].numel()) ** 0.5
            state[name] = torch.empty(tensor.shape).uniform_(-bound, bound)
        elif tensor.is_floating_point():
            state[name] = torch.rand(tensor.shape) * 0.5
        else:
            state[name] = torch.zeros(tensor.shape, dtype=tensor.dtype)
    return state


def _built(cls, state, **options):
    with torch.device("meta"):
        encoder = cls(**options)
    encoder.load_state_dict(from_torchvision(encoder, state), assign=True)
    return encoder.eval()


@pytest.mark.parametrize("name", NETS)
def test_features_are_torchvisions(name):
    torch.manual_seed(0)
    cls, letter = NETS[name]
    with torch.device("meta"):
        features = make_layers(cfgs[letter], batch_norm=name.endswith("_bn"))
    weights = _random(features)
    features.load_state_dict(weights, assign=True)
    encoder = _built(cls, {f"features.{key}": value for key, value in weights.items()}, ceil_mode=False)
    x = torch.randn(2, 3, 75, 101)
    with torch.inference_mode():
        wanted = features.eval()(x)
        maps = encoder(x, ["pool5"]).maps
    assert wanted.abs().mean() > 1e-3
    torch.testing.assert_close(maps["pool5"], wanted, rtol=1e-5, atol=1e-5)


def _reference_classifier(network, x):
    """Torchvision's network up to fc7, with its ReLU."""
    return network.classifier[:5](torch.flatten(network.avgpool(network.features(x)), 1))


@pytest.mark.slow
def test_classifier_as_convolutions_is_torchvisions_and_timms():
    """On 224×224 the middle cell of fc6, padded by 3, sees all 7×7 cells of pool5: what the matrix sees."""
    torch.manual_seed(0)
    with torch.device("meta"):
        theirs, timms = torchvision.models.vgg11(), timm.create_model("vgg11")
    weights = _random(theirs)
    theirs.load_state_dict(weights, assign=True)
    encoder = _built(vgg.VGG11, weights, classifier=True)
    x = torch.randn(1, 3, 224, 224)
    with torch.inference_mode():
        wanted = _reference_classifier(theirs.eval(), x)
        got = encoder(x, ["fc7"]).maps["fc7"]
    assert got.shape == (1, 4096, 7, 7)
    torch.testing.assert_close(got[..., 3, 3], wanted, rtol=1e-4, atol=1e-5)

    # The same numbers under timm's names; timm's own network says that they are placed right.
    renamed = {
        name: weights[
            name.replace("pre_logits.fc1", "classifier.0")
            .replace("pre_logits.fc2", "classifier.3")
            .replace("head.fc", "classifier.6")
        ].reshape(tensor.shape)
        for name, tensor in timms.state_dict().items()
    }
    timms.load_state_dict(renamed, assign=True)
    with torch.inference_mode():
        timms_fc7 = timms.eval().pre_logits(timms.features(x)).flatten(1)
    torch.testing.assert_close(timms_fc7, wanted, rtol=1e-4, atol=1e-5)
    from_timm = from_torchvision(encoder, renamed)
    assert all(torch.equal(tensor, from_timm[name]) for name, tensor in encoder.state_dict().items())


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_weights_from_a_file(tmp_path, channels, monkeypatch):
    monkeypatch.setattr(vgg, "_CHANNELS", (2, 3, 4, 5, 6))
    rgb = vgg.VGG11BN(in_channels=3)
    positions = {"conv1_1": 0, "conv2_1": 4, "conv3_1": 8, "conv3_2": 11, "conv4_1": 15, "conv4_2": 18}
    positions |= {"conv5_1": 22, "conv5_2": 25}
    positions |= {name.replace("conv", "bn"): position + 1 for name, position in positions.items()}
    state = {}
    for key, value in rgb.state_dict().items():
        layer, _, leaf = key.partition(".")
        state[f"features.{positions[layer]}.{leaf}"] = value
    torch.save(state, tmp_path / "vgg11_bn.pth")
    encoder = vgg.VGG11BN(in_channels=channels, encoder_weights=str(tmp_path / "vgg11_bn.pth"))
    own, rgb_state = encoder.state_dict(), rgb.state_dict()
    assert own["conv1_1.weight"].shape == (2, channels, 3, 3)
    assert all(torch.equal(own[key], rgb_state[key]) for key in own if key != "conv1_1.weight")
    grey = torch.rand(1, 1, 16, 16)
    if channels == 1:
        wanted = rgb.eval()(grey.expand(-1, 3, -1, -1), ["pool5"]).maps["pool5"]
        got = encoder.eval()(grey, ["pool5"]).maps["pool5"]
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-6)


def test_wrong_weights_are_named(tmp_path, narrow_vgg):
    encoder = vgg.VGG16()
    with pytest.raises(OptionError, match="'imagenet' or the path"):
        load(encoder, "imagnet")
    (tmp_path / "text.pth").write_text("hello")
    with pytest.raises(CheckpointError, match="not a file of weights"):
        load(encoder, str(tmp_path / "text.pth"))
    torch.save({"features.0.weight": torch.zeros(1, 3, 3, 3)}, tmp_path / "short.pth")
    with pytest.raises(CheckpointError, match=r"vgg16.*conv1_1\.bias .* is missing"):
        load(encoder, str(tmp_path / "short.pth"))
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(CheckpointError, match="not a file of weights"):
        load(encoder, str(tmp_path / "list.pth"))
    (tmp_path / "broken.safetensors").write_bytes(b"12345678")
    with pytest.raises(CheckpointError, match="not a file of weights"):
        load(encoder, str(tmp_path / "broken.safetensors"))
