import logging

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from random_networks import parameters, random_state
from torch import nn
from zoo.plugins.deconvnet.decoder import unpool

import zoo
from zoo.encoders import vgg
from zoo.errors import IncompatibleError, OptionError
from zoo.interfaces import Pool
from zoo.registry import find

NAME = "deconvnet_vgg16"
TABLE = {  # the layers of the published net: channels and height of their outputs
    **dict.fromkeys(("conv1_1", "conv1_2"), (64, 224)),
    **dict.fromkeys(("conv2_1", "conv2_2"), (128, 112)),
    **dict.fromkeys(("conv3_1", "conv3_2", "conv3_3"), (256, 56)),
    **dict.fromkeys(("conv4_1", "conv4_2", "conv4_3"), (512, 28)),
    **dict.fromkeys(("conv5_1", "conv5_2", "conv5_3"), (512, 14)),
    **dict.fromkeys(("fc6", "fc7"), (4096, 1)),
    "fc6_deconv": (512, 7),
    **dict.fromkeys(("deconv5_1", "deconv5_2", "deconv5_3"), (512, 14)),
    **dict.fromkeys(("deconv4_1", "deconv4_2"), (512, 28)),
    "deconv4_3": (256, 28),
    **dict.fromkeys(("deconv3_1", "deconv3_2"), (256, 56)),
    "deconv3_3": (128, 56),
    "deconv2_1": (128, 112),
    "deconv2_2": (64, 112),
    **dict.fromkeys(("deconv1_1", "deconv1_2"), (64, 224)),
    "seg_score_voc": (21, 224),
}


def _on_meta(name=NAME, **options):
    with torch.device("meta"):
        return zoo.create_model(name, **options)


def _norm_name(layer):
    if layer == "fc6_deconv":
        return "fc6_deconv_bn"
    return f"bn{layer}" if layer.startswith("fc") else layer.replace("conv", "bn")


def test_published_layers_shapes_and_parameters():
    model = _on_meta()
    seen = {}
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            key = name.rpartition(".")[2]
            module.register_forward_hook(lambda _m, _i, out, key=key: seen.update({key: tuple(out.shape)}))
    assert model(torch.empty(1, 3, 224, 224, device="meta"))["out"].shape == (1, 21, 224, 224)
    assert seen == {name: (1, channels, size, size) for name, (channels, size) in TABLE.items()}
    assert list(seen) == list(TABLE)
    assert parameters(model) == 251_805_653 == find(match=NAME)[0].meta["parameters"]
    norms = {name: m for name, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)}
    assert {name.rpartition(".")[2] for name in norms} == {
        _norm_name(name) for name in TABLE if name != "seg_score_voc"
    }
    assert len(norms) == 29
    assert sum(map(parameters, norms.values())) == 33_408
    assert {norm.eps for norm in norms.values()} == {1e-9}
    assert not any(module.p for module in model.modules() if isinstance(module, nn.Dropout))
    assert all(m.bias is not None for m in model.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d))


def test_published_initialisation(narrow_vgg):
    torch.manual_seed(0)
    model = zoo.create_model(NAME)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert (module.weight == 1).all()
            assert (module.bias == 0.001).all()
    drawn = [m for m in model.decoder.modules() if isinstance(m, nn.ConvTranspose2d)] + [model.head.seg_score_voc]
    weights = torch.cat([layer.weight.flatten() for layer in drawn])
    assert abs(weights.std() - 0.01) < 0.0005
    assert abs(weights.mean()) < 0.0005
    assert not any(layer.bias.any() for layer in drawn)


@pytest.mark.parametrize("size", [(6, 8), (7, 5), (1, 1), (1, 4)])
def test_unpooling_against_a_loop(size):
    x = torch.randn(2, 3, *size)
    y, indices = F.max_pool2d(x, 2, 2, ceil_mode=True, return_indices=True)
    values = torch.randn_like(y)
    wanted = np.zeros((2, 3, *size), dtype=np.float32)
    for n in range(2):
        for c in range(3):
            for i in range(y.shape[2]):
                for j in range(y.shape[3]):
                    window = x[n, c, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].numpy()
                    row, column = np.unravel_index(window.argmax(), window.shape)
                    wanted[n, c, 2 * i + row, 2 * j + column] = values[n, c, i, j]
    np.testing.assert_array_equal(unpool(values, Pool(indices, size)), wanted)


def test_unpooling_takes_the_first_of_equal_values():
    x = torch.zeros(1, 1, 4, 4)
    _, indices = F.max_pool2d(x, 2, 2, return_indices=True)
    assert unpool(torch.ones(1, 1, 2, 2), Pool(indices, (4, 4)))[0, 0].nonzero().tolist() == [
        [0, 0],
        [0, 2],
        [2, 0],
        [2, 2],
    ]


def test_gradient_of_unpooling_comes_from_the_switches():
    x = torch.randn(2, 3, 9, 7)
    y, indices = F.max_pool2d(x, 2, 2, ceil_mode=True, return_indices=True)
    y.requires_grad_()
    slope = torch.randn(2, 3, 9, 7)
    unpool(y, Pool(indices, (9, 7))).backward(slope)
    assert torch.equal(y.grad, slope.flatten(2).gather(2, indices.flatten(2)).view_as(y))


class PlainDeconvNet(nn.Module):
    """DeconvNet from PyTorch's own layers, in the order in which they run."""

    DEPTHS = (2, 2, 3, 3, 3)

    def __init__(self, widths, code, classes):
        super().__init__()
        channels = 3
        self.down = nn.ModuleList()
        for width, depth in zip(widths, self.DEPTHS, strict=True):
            block = []
            for _ in range(depth):
                block += self._layer(nn.Conv2d(channels, width, 3, padding=1))
                channels = width
            self.down.append(nn.Sequential(*block))
        self.middle = nn.Sequential(
            *self._layer(nn.Conv2d(channels, code, 7)),
            *self._layer(nn.Conv2d(code, code, 1)),
            *self._layer(nn.ConvTranspose2d(code, channels, 7)),
        )
        self.up = nn.ModuleList()
        for block in (4, 3, 2, 1, 0):
            layers = []
            for index in range(self.DEPTHS[block]):
                last = index == self.DEPTHS[block] - 1
                width = widths[max(block - 1, 0)] if last else channels
                layers += self._layer(nn.ConvTranspose2d(channels, width, 3, padding=1))
                channels = width
            self.up.append(nn.Sequential(*layers))
        self.score = nn.Conv2d(channels, classes, 1)
        self.pool = nn.MaxPool2d(2, 2, ceil_mode=True, return_indices=True)
        self.unpool = nn.MaxUnpool2d(2, 2)

    @staticmethod
    def _layer(conv):
        return conv, nn.BatchNorm2d(conv.out_channels, eps=1e-9), nn.ReLU()

    def forward(self, x):
        switches = []
        for block in self.down:
            x = block(x)
            size = x.shape[-2:]
            x, indices = self.pool(x)
            switches.append((indices, size))
        height, width = x.shape[-2:]
        x = F.pad(x, (0, max(7 - width, 0), 0, max(7 - height, 0)))
        x = self.middle(x)[..., :height, :width]
        for block in self.up:
            indices, size = switches.pop()
            x = block(self.unpool(x, indices, output_size=size))
        return self.score(x)


def _twins(classes=3):
    """Ours and the plain one, with the same random tensors: both list them in the order in which they run."""
    model = zoo.create_model(NAME, num_classes=classes)
    plain = PlainDeconvNet(vgg._CHANNELS, vgg._CLASSIFIER_CHANNELS, classes)
    ours, theirs = random_state(model), plain.state_dict()
    assert [tensor.shape for tensor in ours.values()] == [tensor.shape for tensor in theirs.values()]
    model.load_state_dict(ours)
    plain.load_state_dict(dict(zip(theirs, ours.values(), strict=True)))
    return model, plain


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("size", [(224, 224), (255, 290), (97, 131), (1, 1)])
def test_is_the_plain_net(size, training, narrow_vgg):
    if training and size == (1, 1):
        pytest.skip("batch norm of two values is a sign: it cannot be compared")
    model, plain = _twins()
    model.train(training)
    plain.train(training)
    x = torch.randn(3, 3, *size)
    with torch.no_grad():
        wanted = plain(x)
        got = model(x)["out"]
    assert got.shape == (3, 3, *size)
    torch.testing.assert_close(got, wanted, rtol=1e-4 if training else 1e-5, atol=1e-4 if training else 1e-5)


def test_folded_batch_norm_is_exact(narrow_vgg):
    """The released weights hold γ / √(variance + 1e-9) and β - γ · mean / √(…): statistics 0 and 1 leave them alone."""
    model, plain = _twins()
    plain.eval()
    folded = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for name, module in model.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            scale = module.weight / (module.running_var + 1e-9).sqrt()
            folded[f"{name}.weight"] = scale
            folded[f"{name}.bias"] = module.bias - scale * module.running_mean
            folded[f"{name}.running_mean"] = torch.zeros_like(module.running_mean)
            folded[f"{name}.running_var"] = torch.ones_like(module.running_var)
    model.load_state_dict(folded)
    model.eval()
    x = torch.randn(1, 3, 120, 100)
    with torch.inference_mode():
        torch.testing.assert_close(model(x)["out"], plain(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("encoder", ["vgg11", "vgg13_bn", "vgg16", "vgg19_bn"])
@pytest.mark.parametrize("norm", [True, False])
def test_on_the_whole_vgg_family(encoder, norm, narrow_vgg):
    model = zoo.create_model("deconvnet", encoder=encoder, norm=norm, num_classes=2, in_channels=4).eval()
    with torch.inference_mode():
        assert model(torch.rand(1, 4, 70, 33))["out"].shape == (1, 2, 70, 33)
    names = [name for name, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)]
    assert any("decoder" in name for name in names) == norm
    assert ("encoder.bnfc6" in names) == norm
    assert ("encoder.bn1_1" in names) == encoder.endswith("_bn")


def test_depths(narrow_vgg):
    model = zoo.create_model("deconvnet@vgg19_bn", num_classes=2, depths=[2, 2, 4, 4, 4])
    assert model.decoder.deconv3_4.out_channels == vgg._CHANNELS[1]
    assert model.decoder.deconv3_3.out_channels == vgg._CHANNELS[2]
    assert model(torch.rand(2, 3, 40, 40))["out"].shape == (2, 2, 40, 40)


@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_a_smaller_code_kernel_is_mirrored(kernel, narrow_vgg):
    model = zoo.create_model(NAME, num_classes=2, classifier_kernel=kernel).eval()
    assert model.encoder.fc6.kernel_size == model.decoder.fc6_deconv.kernel_size == (kernel, kernel)
    seen = []
    model.encoder.fc6.register_forward_hook(lambda layer, given, result: seen.append((given[0].shape, result.shape)))
    with torch.inference_mode():
        assert model(torch.rand(1, 3, 224, 288))["out"].shape == (1, 2, 224, 288)
    ((before, after),) = seen
    assert before[2:] == (7, 9)
    assert after[2:] == (8 - kernel, 10 - kernel)


@pytest.mark.parametrize(("size", "channels", "classes"), [((1, 1), 3, 2), ((33, 47), 1, 1), ((97, 131), 4, 21)])
def test_any_size_channels_and_classes(size, channels, classes, narrow_vgg):
    model = zoo.create_model(NAME, num_classes=classes, in_channels=channels).eval()
    with torch.inference_mode():
        out = model(torch.rand(1, channels, *size))["out"]
    assert out.shape == (1, classes, *size)
    assert out.isfinite().all()


@pytest.mark.parametrize("size", [(1, 1), (224, 224), (61, 300)])
def test_a_batch_of_one_trains(size, narrow_vgg):
    """At 224 × 224, fc6 is one value per channel, which has no variance."""
    model = zoo.create_model(NAME, num_classes=3)
    model(torch.rand(1, 3, *size))["out"].square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())
    assert all(buffer.isfinite().all() for buffer in model.buffers())


def test_saved_and_loaded(tmp_path, narrow_vgg):
    model, _ = _twins()
    model.eval()
    zoo.save(model, tmp_path / "model.safetensors")
    loaded = zoo.load(tmp_path / "model.safetensors")
    x = torch.randn(1, 3, 50, 64)
    with torch.inference_mode():
        assert torch.equal(model(x)["out"], loaded(x)["out"])
    assert loaded.config == model.config
    assert {m.eps for m in loaded.modules() if isinstance(m, nn.BatchNorm2d)} == {1e-9}


def test_starts_from_a_vgg_without_batch_norm(tmp_path, narrow_vgg, monkeypatch, caplog):
    """As published: convolutions and classifier of VGG-16, batch norms anew."""
    widths = vgg._CHANNELS
    configuration = [w for w, n in zip(widths, (2, 2, 3, 3, 3), strict=True) for w in (*[w] * n, "M")]
    features = torchvision.models.vgg.make_layers(configuration)
    code = vgg._CLASSIFIER_CHANNELS
    classifier = nn.ModuleDict({"0": nn.Linear(widths[-1] * 49, code), "3": nn.Linear(code, code)})
    whole = nn.ModuleDict({"features": features, "classifier": classifier})
    torch.save(whole.state_dict(), tmp_path / "vgg16.pth")
    with caplog.at_level(logging.WARNING, "zoo"):
        model = zoo.create_model(NAME, num_classes=2, encoder_weights=str(tmp_path / "vgg16.pth"))
    assert "batch norms start anew" in caplog.text
    encoder = model.encoder
    convolutions = [m for m in features if isinstance(m, nn.Conv2d)]
    ours = [getattr(encoder, name) for name, kind in encoder.layers if kind == "conv"]
    assert all(torch.equal(a.weight, b.weight) for a, b in zip(ours, convolutions, strict=True))
    assert torch.equal(encoder.fc6.weight.flatten(1), classifier["0"].weight)
    assert torch.equal(encoder.fc7.weight.flatten(1), classifier["3"].weight)
    assert (encoder.bn3_2.bias == 0.001).all()
    assert (encoder.bnfc7.bias == 0.001).all()


@pytest.mark.slow
def test_full_size():
    model = zoo.create_model(NAME).eval()
    with torch.inference_mode():
        out = model(torch.rand(1, 3, 224, 224))["out"]
    assert out.shape == (1, 21, 224, 224)
    assert out.isfinite().all()


@pytest.mark.parametrize(
    ("name", "options", "error", "words"),
    [
        ("deconvnet", {"encoder": "resnet18"}, IncompatibleError, "the switches of pool1"),
        ("deconvnet", {"depths": [2, 2, 3]}, OptionError, "five"),
        ("deconvnet", {"depths": [2, 2, 3, 3, 0]}, OptionError, "at least 1"),
        ("deconvnet", {"classifier": False}, IncompatibleError, "no fc7"),
        ("deconvnet", {"classifier_kernel": 4}, OptionError, "odd"),
        ("deconvnet", {"dpths": 1}, OptionError, "depths"),
    ],
)
def test_what_cannot_be_built_says_why(name, options, error, words):
    with pytest.raises(error, match=words):
        zoo.create_model(name, **options)
