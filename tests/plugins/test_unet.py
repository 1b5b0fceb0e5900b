import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
from random_networks import parameters, random_state
from zoo.plugins.unet.contracting import ContractingPath
from zoo.plugins.unet.layers import mirror

import zoo
from zoo.encoders import vgg
from zoo.errors import IncompatibleError, OptionError
from zoo.registry import find

OWN = ("unet", "unet_l4", "unet_l5", "unet_l4_aspp", "unet_l5_aspp")
NARROW = {
    "unet": {"widths": [4, 6, 8, 10, 12]},
    "unet_l4": {"channels": [4, 6, 8, 10]},
    "unet_l5": {"channels": [4, 6, 8, 10, 12]},
    "unet_l4_aspp": {"channels": [4, 6, 8, 10], "aspp_width": 5},
    "unet_l5_aspp": {"channels": [4, 6, 8, 10, 12], "aspp_width": 5},
}


def _on_meta(name, **options):
    with torch.device("meta"):
        return zoo.create_model(name, **options)


def _random(name, **options):
    """A net of few channels whose every tensor is random."""
    model = zoo.create_model(name, **{**NARROW[name], **options})
    model.load_state_dict(random_state(model))
    return model.eval()


def _trace(model, *shape):
    """Module name → shape of its last output, on the meta device."""
    seen = {}
    for name, module in model.named_modules():
        module.register_forward_hook(lambda _m, _i, out, name=name: seen.update({name: out}))
    model(torch.empty(*shape, device="meta"))
    return {name: tuple(out.shape) for name, out in seen.items() if isinstance(out, torch.Tensor)}


# --- L4 and L5 -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wiring", ["A", "B"])
@pytest.mark.parametrize("name", ["unet_l4", "unet_l4_aspp"])
def test_every_traced_shape_of_l4(name, wiring):
    seen = _trace(_on_meta(name, num_classes=10, wiring=wiring), 8, 3, 128, 128)
    traced = {
        "encoder.enc1": (8, 64, 64, 64),
        "encoder.enc2": (8, 128, 32, 32),
        "encoder.enc3": (8, 256, 16, 16),
        "encoder.enc4": (8, 512, 8, 8),
        "decoder.center": (8, 512, 8, 8),
        "decoder.dec1": (8, 256, 16, 16),
        "decoder.dec2": (8, 128, 32, 32),
        "decoder.dec3": (8, 64, 64, 64),
        "decoder.dec4": (8, 64, 60, 60),
        "head": (8, 10, 128, 128),
    }
    assert {key: seen[key] for key in traced} == traced
    if name == "unet_l4_aspp":
        assert seen["decoder.aspp"] == (8, 512, 8, 8)


@pytest.mark.parametrize("deepest", [512, 1024])
@pytest.mark.parametrize("wiring", ["A", "B"])
def test_every_traced_shape_of_l5(wiring, deepest):
    model = _on_meta("unet_l5", num_classes=10, wiring=wiring, channels=[64, 128, 256, 512, deepest])
    seen = _trace(model, 8, 3, 128, 128)
    traced = {
        "encoder.enc5": (8, deepest, 4, 4),
        "decoder.center": (8, deepest, 4, 4),
        "decoder.dec1": (8, 512, 8, 8),
        "decoder.dec2": (8, 256, 16, 16),
        "decoder.dec3": (8, 128, 32, 32),
        "decoder.dec4": (8, 64, 64, 64),
        "decoder.dec5": (8, 64, 60, 60),
        "head": (8, 10, 128, 128),
    }
    assert {key: seen[key] for key in traced} == traced


def test_derived_parameter_counts():
    assert parameters(_on_meta("unet_l4", num_classes=10)) == 13_393_866
    assert parameters(_on_meta("unet_l4", num_classes=10, wiring="B")) == 12_582_858
    # ASPP by hand: four branches of 512 → 256 (1×1 and three 3×3), the pooled one, the projection back to 512.
    branches = 512 * 256 * (1 + 9 + 9 + 9 + 1) + 5 * 2 * 256
    aspp = branches + 5 * 256 * 512 + 2 * 512
    assert parameters(_on_meta("unet_l4_aspp", num_classes=10)) == 13_393_866 + aspp


def test_manifest_counts():
    for spec in find(match="unet*", plugin="unet"):
        assert parameters(_on_meta(spec.name)) == spec.meta["parameters"], spec.name


def test_what_has_batch_norm_and_dropout():
    model = _on_meta("unet_l5")
    norms = [name for name, module in model.named_modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert len(norms) == 12
    assert all(name.startswith(("encoder.", "decoder.center")) for name in norms)
    dropouts = {name: m.p for name, m in model.named_modules() if isinstance(m, torch.nn.Dropout) and m.p}
    (dropout,) = dropouts
    assert dropout.startswith("encoder.enc5.")
    with_norm = _on_meta("unet_l5", decoder_norm=True)
    assert sum(isinstance(module, torch.nn.BatchNorm2d) for module in with_norm.modules()) == 22


def _plain_levels(state, x, levels, wiring, last_padding):
    """U-Net L4 or L5, written down a second time."""
    size = x.shape[-2:]

    def convs(x, prefix, norm, padding=1):
        for index in (0, 3) if norm else (0, 2):
            x = F.conv2d(x, state[f"{prefix}.{index}.weight"], state[f"{prefix}.{index}.bias"], padding=padding)
            if norm:
                names = ("running_mean", "running_var", "weight", "bias")
                x = F.batch_norm(x, *(state[f"{prefix}.{index + 1}.{name}"] for name in names))
            x = x.clamp(min=0)
        return x

    def to(x, like):
        return F.interpolate(x, like.shape[-2:], mode="bilinear", align_corners=False)

    skips = []
    for level in range(1, levels + 1):
        x = F.max_pool2d(convs(x, f"encoder.enc{level}", True), 2, ceil_mode=True)
        skips.append(x)
    x = convs(x, "decoder.center", True)
    for step in range(1, levels):
        here, finer = skips[-step], skips[-step - 1]
        if wiring == "A":
            x = to(convs(torch.cat((x, here), 1), f"decoder.dec{step}", False), finer)
        else:
            x = convs(torch.cat((to(x, finer), finer), 1), f"decoder.dec{step}", False)
    if wiring == "A":
        x = torch.cat((x, skips[0]), 1)
    x = convs(x, f"decoder.dec{levels}", False, last_padding)
    x = F.conv2d(x, state["head.score.weight"], state["head.score.bias"])
    return F.interpolate(x, size, mode="bilinear", align_corners=False)


@pytest.mark.parametrize("last_padding", [0, 1])
@pytest.mark.parametrize("wiring", ["A", "B"])
@pytest.mark.parametrize(("name", "levels"), [("unet_l4", 4), ("unet_l5", 5)])
def test_levels_are_a_plain_net(name, levels, wiring, last_padding):
    model = _random(name, num_classes=3, wiring=wiring, last_padding=last_padding)
    x = torch.randn(2, 3, 97, 70)
    with torch.inference_mode():
        wanted = _plain_levels(model.state_dict(), x, levels, wiring, last_padding)
        torch.testing.assert_close(model(x)["out"], wanted, rtol=1e-5, atol=1e-5)


def test_aspp_comes_before_the_centre_and_its_rates_are_the_options():
    model = _on_meta("unet_l4_aspp", rates=[2, 4, 6], image_pooling=False, aspp_width=32)
    order = [name for name, _ in model.decoder.named_children()]
    assert order[:2] == ["aspp", "center"]
    dilations = [m.dilation for m in model.decoder.aspp.modules() if isinstance(m, torch.nn.Conv2d)]
    assert dilations == [(1, 1), (2, 2), (4, 4), (6, 6), (1, 1)]
    inputs = []
    model.decoder.center.register_forward_pre_hook(lambda _m, args: inputs.append(args[0]))
    model.decoder.aspp.register_forward_hook(lambda _m, _i, out: inputs.append(out))
    model(torch.empty(2, 3, 64, 64, device="meta"))
    assert inputs[0] is inputs[1]


def test_no_centre():
    model = _on_meta("unet_l4", center_convs=0)
    assert len(model.decoder.center) == 0
    assert model(torch.empty(2, 3, 64, 64, device="meta"))["out"].shape == (2, 10, 64, 64)


@pytest.mark.parametrize("encoder", ["resnet18", "vgg11", "squeezenet1_0"])
def test_levels_on_another_encoder(encoder):
    """The decoder's channels are the options', the centre's those of the encoder's map, whatever the encoder."""
    model = _on_meta("unet_l4_aspp", encoder=encoder, channels=[4, 6, 8, 10], decoder_norm=True)
    encoder_taps = model.encoder.features
    assert len(model.decoder.taps) == 4
    convs = [m for m in model.decoder.dec1.modules() if isinstance(m, torch.nn.Conv2d)]
    deepest = next(tap for tap in encoder_taps if tap.name == model.decoder.taps[0])
    assert (convs[0].in_channels, convs[0].out_channels) == (2 * deepest.channels, 8)
    assert model.decoder.out.channels == 4
    assert model(torch.empty(2, 3, 45, 70, device="meta"))["out"].shape == (2, 10, 45, 70)


def test_no_more_levels_than_strides():
    model = _on_meta("unet_l5", encoder="squeezenet1_0", stages=4)
    assert model.decoder.taps == ("fire9", "fire8", "fire4", "conv1")


# --- 2015 ------------------------------------------------------------------------------------------------------------


def test_published_geometry():
    """The sizes in figure 1 of the paper, and the amounts that are cropped."""
    model = _on_meta("unet", num_classes=2, in_channels=1)
    seen = _trace(model, 1, 1, 388, 388)
    sizes = {name.rpartition(".")[2]: shape[1:3] for name, shape in seen.items() if "conv_" in name}
    assert sizes == {
        "conv_d0a_b": (64, 570),
        "conv_d0b_c": (64, 568),
        "conv_d1a_b": (128, 282),
        "conv_d1b_c": (128, 280),
        "conv_d2a_b": (256, 138),
        "conv_d2b_c": (256, 136),
        "conv_d3a_b": (512, 66),
        "conv_d3b_c": (512, 64),
        "conv_d4a_b": (1024, 30),
        "conv_d4b_c": (1024, 28),
        "upconv_d4c_u3a": (512, 56),
        "conv_u3b_c": (512, 54),
        "conv_u3c_d": (512, 52),
        "upconv_u3d_u2a": (256, 104),
        "conv_u2b_c": (256, 102),
        "conv_u2c_d": (256, 100),
        "upconv_u2d_u1a": (128, 200),
        "conv_u1b_c": (128, 198),
        "conv_u1c_d": (128, 196),
        "upconv_u1d_u0a": (64, 392),
        "conv_u0b_c": (64, 390),
        "conv_u0c_d": (64, 388),
        "conv_u0d_score": (2, 388),
    }
    assert [shift for *_, shift in model.decoder.steps] == [4, 16, 40, 88]
    assert model.head.margin == 0


def test_parameters_of_2015():
    """31,031,685 is what a much copied Keras version has with one class.

    It ends in a 3×3 convolution to two channels and a 1×1 to one, where the paper has one 1×1 to the two classes.
    """
    count = parameters(_on_meta("unet", num_classes=2, in_channels=1))
    assert count == 31_030_658 == 31_031_685 - (64 * 2 * 9 + 2) - (2 * 1 + 1) + (64 * 2 + 2)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (2, 3), (5, 4), (33, 47)])
def test_mirroring(shape):
    """Against numpy, which reflects the reflections as well."""
    x = torch.rand(2, 3, *shape)
    got = mirror(x, 20, 20 + shape[0] + 31, 20 + shape[1] + 9)
    np.testing.assert_array_equal(got, np.pad(x, ((0, 0), (0, 0), (20, 31), (20, 9)), mode="reflect"))


def _plain_2015(state, x, classes):
    """U-Net (2015) without padding: a valid input gives an output of 184 less."""

    def conv(x, name):
        return F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"])

    skips = []
    for level in range(5):
        x = F.max_pool2d(x, 2) if level else x
        x = conv(conv(x, f"encoder.conv_d{level}a_b").clamp(min=0), f"encoder.conv_d{level}b_c").clamp(min=0)
        skips.append(x)
    for level, source in zip((3, 2, 1, 0), ("d4c", "u3d", "u2d", "u1d"), strict=True):
        name = f"decoder.upconv_{source}_u{level}a"
        x = F.conv_transpose2d(x, state[f"{name}.weight"], state[f"{name}.bias"], stride=2).clamp(min=0)
        cut = (skips[level].shape[-1] - x.shape[-1]) // 2
        x = torch.cat((x, skips[level][..., cut:-cut, cut:-cut]), 1)
        x = conv(conv(x, f"decoder.conv_u{level}b_c").clamp(min=0), f"decoder.conv_u{level}c_d").clamp(min=0)
    return conv(x, "head.conv_u0d_score")


@pytest.mark.parametrize("size", [4, 68, 100])
def test_2015_is_the_published_net_on_mirrored_input(size):
    """Sizes that need nothing more than the 92 pixels on each side."""
    model = _random("unet", num_classes=3, in_channels=2)
    x = torch.randn(1, 2, size, size)
    with torch.inference_mode():
        framed = torch.from_numpy(np.pad(x, ((0, 0), (0, 0), (92, 92), (92, 92)), mode="reflect"))
        wanted = _plain_2015(model.state_dict(), framed, 3)
        torch.testing.assert_close(model(x)["out"], wanted, rtol=1e-5, atol=1e-5)


def test_2015_at_any_size_sees_the_same_as_on_a_fitting_one():
    """The right and bottom border are mirrored: continuing them by hand changes nothing in between."""
    model = _random("unet", num_classes=2)
    x = torch.randn(1, 3, 61, 59)
    with torch.inference_mode():
        framed = torch.from_numpy(np.pad(x, ((0, 0), (0, 0), (92, 99), (92, 101)), mode="reflect"))
        wanted = _plain_2015(model.state_dict(), framed, 2)[..., :61, :59]
        torch.testing.assert_close(model(x)["out"], wanted, rtol=1e-5, atol=1e-5)


def _plain_same(state, x):
    """The same-padded variant, for sizes that 16 divides."""

    def conv(x, name):
        return F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], padding=1).clamp(min=0)

    skips = []
    for level in range(5):
        x = F.max_pool2d(x, 2) if level else x
        x = conv(conv(x, f"encoder.conv_d{level}a_b"), f"encoder.conv_d{level}b_c")
        skips.append(x)
    for level, source in zip((3, 2, 1, 0), ("d4c", "u3d", "u2d", "u1d"), strict=True):
        name = f"decoder.upconv_{source}_u{level}a"
        x = F.conv_transpose2d(x, state[f"{name}.weight"], state[f"{name}.bias"], stride=2).clamp(min=0)
        x = torch.cat((x, skips[level]), 1)
        x = conv(conv(x, f"decoder.conv_u{level}b_c"), f"decoder.conv_u{level}c_d")
    return F.conv2d(x, state["head.conv_u0d_score.weight"], state["head.conv_u0d_score.bias"])


def test_same_padding():
    model = _random("unet", num_classes=3, padding="same")
    x = torch.randn(1, 3, 64, 48)
    with torch.inference_mode():
        wanted = _plain_same(model.state_dict(), x)
        torch.testing.assert_close(model(x)["out"], wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("widths", [[4, 6], [4, 6, 8], [4, 6, 8, 10, 12, 14]])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_other_depths(widths, padding):
    model = zoo.create_model("unet", num_classes=2, widths=widths, padding=padding, norm=True).eval()
    with torch.inference_mode():
        for size in ((1, 1), (19, 45)):
            assert model(torch.rand(1, 3, *size))["out"].shape == (1, 2, *size)


def test_taps_lie_where_they_say():
    """One bright pixel moves each map's centre of mass by as much as it moves itself, seen from where cell 0 lies."""
    path = ContractingPath([1, 1, 1], in_channels=1, dropout=0.0)
    with torch.no_grad():
        for parameter in path.parameters():
            parameter.fill_(0.0 if parameter.dim() == 1 else 1 / 9)
    path.double()
    x = torch.zeros(1, 1, 120, 120, dtype=torch.float64)
    place = (61, 54)
    x[0, 0, place[0], place[1]] = 1.0
    names = [tap.name for tap in path.features]
    with torch.inference_mode():
        maps = path(x, names).maps
    for tap in path.features:
        heat = maps[tap.name][0, 0]
        for dim, at in enumerate(place):
            profile = heat.sum(1 - dim)
            cells = torch.arange(len(profile)) * tap.stride + tap.offset
            inside = (cells > 20) & (cells < 100)  # without the reflections
            center = (profile * cells * inside).sum() / (profile * inside).sum()
            assert abs(center - at) <= tap.stride / 2, tap.name


# --- on other encoders -----------------------------------------------------------------------------------------------


def test_decoder_on_vgg_has_its_geometry():
    """Bottom at conv5_3; the decoder's channels mirror the trunk's."""
    model = _on_meta("unet_vgg16")
    assert model.decoder.taps == ("conv5_3", "conv4_3", "conv3_3", "conv2_2", "conv1_2")
    assert "conv5_3" in dict(model.encoder.named_children())
    seen = _trace(model, 1, 3, 96, 64)
    assert seen["decoder.conv_u3c_d"] == (1, 512, 12, 8)
    assert seen["decoder.conv_u0c_d"] == (1, 64, 96, 64)
    assert seen["head"] == (1, 21, 96, 64)


def test_decoder_on_a_timm_encoder():
    model = _on_meta("unet_resnet34")
    seen = _trace(model, 1, 3, 96, 64)
    shapes = [seen[f"decoder.conv_u{level}c_d"][1:] for level in (3, 2, 1, 0)]
    assert shapes == [(512, 6, 4), (256, 12, 8), (128, 24, 16), (64, 48, 32)]
    assert seen["head"] == (1, 21, 96, 64)
    assert not any(name.startswith("decoder.upconv") for name, _ in model.named_parameters())


def test_bilinear_decoder_is_plain():
    """Against the same written down again, on a ResNet's maps as timm gives them."""
    model = zoo.create_model("unet@resnet18", num_classes=2, widths=[4, 5, 6, 7, 8])
    model.load_state_dict(random_state(model))
    model.eval()
    state = model.state_dict()
    network = timm.create_model("resnet18", features_only=True).eval()
    network.load_state_dict(
        {key.removeprefix("encoder.model."): value for key, value in state.items() if "encoder" in key}
    )
    x = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        *skips, y = network(x)
        for level, skip in zip((3, 2, 1, 0), reversed(skips), strict=True):
            y = torch.cat((F.interpolate(y, scale_factor=2, mode="bilinear"), skip), 1)
            for conv in ("b_c", "c_d"):
                name = f"decoder.conv_u{level}{conv}"
                y = F.conv2d(y, state[f"{name}.weight"], state[f"{name}.bias"], padding=1)
                name = f"decoder.bn_u{level}{conv[-1]}"
                names = ("running_mean", "running_var", "weight", "bias")
                y = F.batch_norm(y, *(state[f"{name}.{key}"] for key in names)).clamp(min=0)
        y = F.conv2d(y, state["head.conv_u0d_score.weight"], state["head.conv_u0d_score.bias"])
        wanted = F.interpolate(y, scale_factor=2, mode="bilinear")
        torch.testing.assert_close(model(x)["out"], wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("encoder", "options"),
    [
        ("vgg11", {}),
        ("vgg11_bn", {"ceil_mode": False}),
        ("vgg11", {"first_padding": 100, "upsampling": "transposed"}),
        ("resnet18", {"upsampling": "transposed", "norm": False}),
        ("resnet18", {"output_stride": 8}),
        ("convnext_atto", {}),
    ],
)
@pytest.mark.parametrize("size", [(1, 1), (33, 47)])
def test_any_encoder_at_any_size(encoder, options, size, monkeypatch):
    monkeypatch.setattr(vgg, "_CHANNELS", (4, 4, 6, 6, 8))
    model = zoo.create_model("unet", encoder=encoder, num_classes=2, widths=[4, 4, 6, 6, 8], **options).eval()
    with torch.inference_mode():
        out = model(torch.rand(1, 3, *size))["out"]
    assert out.shape == (1, 2, *size)
    assert out.isfinite().all()


# --- all of them -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize(("size", "channels", "classes"), [((1, 1), 3, 2), ((33, 47), 1, 1), ((97, 131), 4, 21)])
def test_any_size_channels_and_classes(name, size, channels, classes):
    model = zoo.create_model(name, num_classes=classes, in_channels=channels, **NARROW[name]).eval()
    with torch.inference_mode():
        out = model(torch.rand(2, channels, *size))["out"]
    assert out.shape == (2, classes, *size)
    assert out.isfinite().all()


@pytest.mark.parametrize("size", [(1, 1), (37, 20)])
@pytest.mark.parametrize("name", OWN)
def test_a_batch_of_one_trains(name, size):
    model = zoo.create_model(name, num_classes=3, **NARROW[name])
    model(torch.rand(1, 3, *size))["out"].square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())


@pytest.mark.parametrize("name", OWN)
def test_saved_and_loaded(name, tmp_path):
    model = _random(name, num_classes=3, in_channels=4)
    zoo.save(model, tmp_path / "model.safetensors")
    loaded = zoo.load(tmp_path / "model.safetensors")
    x = torch.randn(1, 4, 40, 25)
    with torch.inference_mode():
        assert torch.equal(model(x)["out"], loaded(x)["out"])
    assert loaded.config == model.config
    assert loaded.config.encoder is None


def test_a_pair_saved_and_loaded(tmp_path):
    model = zoo.create_model("unet@resnet18", num_classes=2, widths=[4, 4, 4, 4, 4]).eval()
    zoo.save(model, tmp_path / "model.safetensors")
    loaded = zoo.load(tmp_path / "model.safetensors")
    assert loaded.config.encoder == model.config.encoder
    assert "resnet18" in loaded.config.encoder
    x = torch.randn(1, 3, 40, 25)
    with torch.inference_mode():
        assert torch.equal(model(x)["out"], loaded(x)["out"])


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_activations_keep_their_size_at_first(padding):
    """√(2 / N): without batch norm, 23 layers neither blow up nor fade."""
    torch.manual_seed(0)
    model = zoo.create_model("unet", num_classes=2, widths=[16, 32, 64, 64, 64], padding=padding).eval()
    with torch.inference_mode():
        out = model(torch.randn(1, 3, 64, 64))["out"]
    assert 0.1 < out.std() < 10


@pytest.mark.parametrize(
    ("name", "options", "error", "words"),
    [
        ("unet_l4", {"colour": 1}, OptionError, "colour"),
        ("unet_l4", {"wiring": "C"}, OptionError, "'A', 'B'"),
        ("unet_l4", {"channels": []}, OptionError, "at least one"),
        ("unet_l4", {"channels": [8, 0]}, OptionError, r"\[8, 0\]"),
        ("unet_l4", {"last_padding": 2}, OptionError, "last_padding=2"),
        ("unet_l4", {"center_convs": -1}, OptionError, "center_convs"),
        ("unet_l4", {"dropout": 2.0}, OptionError, "dropout"),
        ("unet_l4_aspp", {"rates": [0]}, OptionError, "rates"),
        ("unet", {"widths": [8]}, OptionError, "at least two"),
        ("unet", {"padding": "vlid"}, OptionError, "Did you mean 'valid'"),
        ("unet", {"upsampling": "nearest"}, OptionError, "bilinear"),
        ("unet@resnet18", {"padding": "valid"}, OptionError, "contracting path"),
        ("unet@resnet18", {"dropout": 0.1}, OptionError, "contracting path"),
        ("unet", {"encoder": "vit_tiny_patch16_224"}, IncompatibleError, "stride 8"),
    ],
)
def test_what_cannot_be_built_says_why(name, options, error, words):
    with pytest.raises(error, match=words):
        zoo.create_model(name, **options)
