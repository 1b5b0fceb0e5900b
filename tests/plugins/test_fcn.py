import pytest
import torch
import torch.nn.functional as F
from torch import nn

import zoo

COUNTS = {
    "fcn32s_vgg16": 136_152_917,
    "fcn16s_vgg16": 134_815_994,
    "fcn8s_vgg16": 134_489_759,
    "fcn8s_atonce_vgg16": 134_489_759,
}
NAMES = list(COUNTS)


def _on_meta(name, **options):
    with torch.device("meta"):
        return zoo.create_model(name, **options)


def _shake(model):
    """Random scores (the published zeros would hide everything behind them)."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".score_" in name:
                parameter.normal_(0, 0.5)
    return model.eval()


@pytest.mark.parametrize("name", NAMES)
def test_published_parameter_counts(name):
    """Upsampling kernels included, which do not learn."""
    model = _on_meta(name)
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count == COUNTS[name]
    (spec,) = [spec for spec in zoo.find(match=name) if spec.name == name]
    assert spec.meta["parameters"] == count
    fixed = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert fixed == {name for name, _ in model.named_parameters() if "upscore" in name}
    learnable = {"fcn32s": 134_346_581, "fcn16s": 134_357_354, "fcn8s": 134_362_751, "fcn8s_atonce": 134_362_751}
    assert count - sum(p.numel() for p in model.parameters() if not p.requires_grad) == learnable[name[:-6]]


@pytest.mark.parametrize(
    ("name", "skips", "final"),
    [
        ("fcn32s_vgg16", [], 19),
        ("fcn16s_vgg16", [-5], 27),
        ("fcn8s_vgg16", [-5, -9], 31),
        ("fcn8s_atonce_vgg16", [-5, -9], 31),
    ],
)
def test_published_crops(name, skips, final):
    model = _on_meta(name)
    assert (model.decoder.shifts, model.head.margin) == (skips, final)


TABLE = {  # H: conv1_1, pool1 … pool5, score, then the outputs of the upsampling layers
    224: (422, 211, 106, 53, 27, 14, 8, {"upscore": 288, "upscore2": 18, "upscore16": 304, "upscore8": 312}, 38),
    375: (573, 287, 144, 72, 36, 18, 12, {"upscore": 416, "upscore2": 26, "upscore16": 432, "upscore8": 440}, 54),
    500: (698, 349, 175, 88, 44, 22, 16, {"upscore": 544, "upscore2": 34, "upscore16": 560, "upscore8": 568}, 70),
}


@pytest.mark.parametrize("height", TABLE)
@pytest.mark.parametrize("name", NAMES)
def test_published_sizes(name, height):
    conv1, *pools, score, upscores, upscore_pool4 = TABLE[height]
    upscores = upscores | {"upscore_pool4": upscore_pool4}
    model = _on_meta(name)
    seen = {}
    for path, module in model.named_modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            leaf = path.rpartition(".")[2]
            module.register_forward_hook(lambda _, __, y, leaf=leaf: seen.update({leaf: y.shape[-2]}))
    taps = [f"pool{block}" for block in range(1, 6)]
    maps = model.encoder(torch.empty(1, 3, height, 300, device="meta"), taps).maps
    assert [maps[tap].shape[-2] for tap in taps] == pools
    assert model(torch.empty(1, 3, height, 300, device="meta"))["out"].shape == (1, 21, height, 300)
    assert seen["conv1_1"] == conv1
    assert seen["score_fr"] == seen["fc6"] == seen["fc7"] == score
    layers = [layer for layer in seen if layer.startswith("upscore")]
    assert layers == {
        "fcn32s_vgg16": ["upscore"],
        "fcn16s_vgg16": ["upscore2", "upscore16"],
    }.get(name, ["upscore2", "upscore_pool4", "upscore8"])
    assert {layer: seen[layer] for layer in layers} == {layer: upscores[layer] for layer in layers}


@pytest.mark.parametrize("options", [{}, {"first_padding": 1}, {"first_padding": 1, "ceil_mode": False}])
@pytest.mark.parametrize("name", NAMES)
def test_any_size_is_covered(name, options, narrow_vgg):
    model = _on_meta(name, num_classes=2, **options)
    for height in [*range(1, 71), 511, 1023, 1999]:
        width = height * 7 % 71 + 1
        out = model(torch.empty(1, 3, height, width, device="meta"))["out"]
        assert out.shape == (1, 2, height, width)


@pytest.mark.parametrize("name", NAMES)
def test_every_pixel_is_answered_by_the_kernels_themselves(name, narrow_vgg):
    """No row or column is made up: the cropped maps reach the end of the picture, whatever its size."""
    model = _on_meta(name, num_classes=2)
    ends = []
    final = next(module for path, module in model.head.named_modules() if path.startswith("upscore"))
    final.register_forward_hook(lambda _, __, y: ends.append(y.shape[-1] - model.head.margin))
    for width in range(1, 71):
        model(torch.empty(1, 3, 1, width, device="meta"))
        assert ends[-1] >= width


class PlainFCN8s(nn.Module):
    """FCN-8s written down from its table: sizes, kernels and crops are constants; layers have their published names."""

    def __init__(self, classes, widths=(64, 128, 256, 512, 512), fc=4096, scales=(1.0, 1.0)):
        super().__init__()
        channels = 3
        for block, (depth, width) in enumerate(zip((2, 2, 3, 3, 3), widths, strict=True), 1):
            for index in range(1, depth + 1):
                padding = 100 if block == index == 1 else 1
                setattr(self, f"conv{block}_{index}", nn.Conv2d(channels, width, 3, padding=padding))
                channels = width
        self.fc6 = nn.Conv2d(channels, fc, 7)
        self.fc7 = nn.Conv2d(fc, fc, 1)
        self.score_fr = nn.Conv2d(fc, classes, 1)
        self.score_pool4 = nn.Conv2d(widths[3], classes, 1)
        self.score_pool3 = nn.Conv2d(widths[2], classes, 1)
        self.upscore2 = nn.ConvTranspose2d(classes, classes, 4, 2, bias=False)
        self.upscore_pool4 = nn.ConvTranspose2d(classes, classes, 4, 2, bias=False)
        self.upscore8 = nn.ConvTranspose2d(classes, classes, 16, 8, bias=False)
        self.scales = scales

    def forward(self, x):
        height, width = x.shape[-2:]
        pools = {}
        for block, depth in enumerate((2, 2, 3, 3, 3), 1):
            for index in range(1, depth + 1):
                x = F.relu(getattr(self, f"conv{block}_{index}")(x))
            x = pools[block] = F.max_pool2d(x, 2, 2, ceil_mode=True)
        x = self.score_fr(F.relu(self.fc7(F.relu(self.fc6(x)))))
        x = self.upscore2(x)
        score = self.score_pool4(pools[4] * self.scales[0])
        x = self.upscore_pool4(x + score[:, :, 5 : 5 + x.shape[2], 5 : 5 + x.shape[3]])
        score = self.score_pool3(pools[3] * self.scales[1])
        x = self.upscore8(x + score[:, :, 9 : 9 + x.shape[2], 9 : 9 + x.shape[3]])
        return x[:, :, 31 : 31 + height, 31 : 31 + width]


def _check_against_plain(model, plain, sizes):
    plain.load_state_dict({name.partition(".")[2]: tensor for name, tensor in model.state_dict().items()}, assign=True)
    for layer, size in (("upscore2", 4), ("upscore_pool4", 4), ("upscore8", 16)):
        tent = 1 - (torch.arange(size) - (size / 2 - 0.5)).abs() / (size / 2)
        kernels = torch.zeros(2, 2, size, size)
        kernels[0, 0] = kernels[1, 1] = tent[:, None] * tent
        assert torch.equal(getattr(plain, layer).weight[:2, :2], kernels)
    for size in sizes:
        x = torch.rand(1, 3, *size) * 2 - 1
        with torch.inference_mode():
            got, wanted = model(x)["out"], plain.eval()(x)
        assert got.shape == (1, model.config.num_classes, *size)
        assert wanted.std() > 0.01
        torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("name", "scales"), [("fcn8s_vgg16", (1.0, 1.0)), ("fcn8s_atonce_vgg16", (0.01, 0.0001))])
def test_agrees_with_the_net_written_down_plainly(name, scales, narrow_vgg):
    torch.manual_seed(0)
    model = _shake(zoo.create_model(name, num_classes=5))
    plain = PlainFCN8s(5, (4, 6, 8, 10, 12), 16, scales)
    _check_against_plain(model, plain, [(33, 47), (1, 1), (97, 64), (131, 3), (224, 224)])


@pytest.mark.slow
def test_agrees_at_full_width():
    torch.manual_seed(0)
    model = _shake(zoo.create_model("fcn8s_vgg16"))
    with torch.device("meta"):
        plain = PlainFCN8s(21)
    _check_against_plain(model, plain, [(33, 47)])
