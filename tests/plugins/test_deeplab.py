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
from torch import nn
from torchvision.models import mobilenet_v3_large, segmentation
from zoo.plugins.deeplab.deeplabv3 import deeplabv3
from zoo.plugins.deeplab.deeplabv3_skip import deeplabv3_skip
from zoo.plugins.deeplab.deeplabv3plus import deeplabv3plus
from zoo.plugins.deeplab.largefov import deeplab_largefov
from zoo.plugins.deeplab.lraspp import lraspp
from zoo.plugins.deeplab.mobilenet import MobileNetV3Large
from zoo.plugins.deeplab.torchvision_names import from_torchvision
from zoo.plugins.deeplab.vgg import AtrousVGG16

import zoo
from zoo.assembly import find_encoder
from zoo.compatibility import fits
from zoo.encoders.dilation import find_stage
from zoo.errors import CheckpointError, IncompatibleError, OptionError
from zoo.registry import find, registry

# As torchvision counts, auxiliary head included where there is one; and without.
PUBLISHED = {
    "deeplabv3_resnet50": (42_004_074, 39_638_869),
    "deeplabv3_resnet101": (60_996_202, 58_630_997),
    "deeplabv3_mobilenet_v3_large": (11_029_328, 11_025_477),
    "lraspp_mobilenet_v3_large": (3_221_538, 3_221_538),
}
ARCHITECTURES = ["deeplabv3", "deeplabv3plus", "deeplabv3_skip", "lraspp", "deeplab_largefov"]


def _theirs(name):
    options = {} if name.startswith("lraspp") else {"aux_loss": True}
    return getattr(segmentation, name)(weights=None, weights_backbone=None, num_classes=21, **options)


def _ours(name, **options):
    return zoo.create_model(name, **({} if name.startswith("lraspp") else {"aux": True}), **options)


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_the_published_ones(name):
    with torch.device("meta"):
        assert parameters(_ours(name)) == PUBLISHED[name][0]
        assert parameters(zoo.create_model(name)) == PUBLISHED[name][1]


@pytest.mark.parametrize("name", [spec.name for spec in find("model", plugin="deeplab")])
def test_the_manifest_counts_right(name):
    with torch.device("meta"):
        assert registry().get("model", name).meta["parameters"] == parameters(zoo.create_model(name))


@pytest.mark.parametrize("name", PUBLISHED)
def test_agrees_with_torchvision(name):
    with torch.device("meta"):
        skeleton = _theirs(name)
    state = random_state(skeleton)
    theirs = filled(lambda: _theirs(name), state)
    ours = filled(lambda: _ours(name), from_torchvision(state))
    torch.manual_seed(1)
    with torch.inference_mode():
        for size in [(65, 49), (33, 47), (1, 1)]:
            x = torch.randn(1, 3, *size)
            wanted = theirs(x)
            assert list(ours(x)) == ["out"]
            assert relative_difference(ours(x)["out"], wanted["out"]) < 1e-5
            got = sleeping_train(ours)(x)
            assert list(got) == list(wanted)
            for key in wanted:
                assert relative_difference(got[key], wanted[key]) < 1e-5, key
            ours.eval()


@pytest.mark.parametrize("name", PUBLISHED)
def test_norms_and_dropouts_are_torchvisions(name):
    """What the weights do not show, but training does."""

    def layers(model):
        return [
            (layer.eps, layer.momentum) if isinstance(layer, nn.BatchNorm2d) else layer.p
            for layer in model.modules()
            if isinstance(layer, nn.BatchNorm2d | nn.Dropout) and getattr(layer, "p", 1) > 0
        ]

    with torch.device("meta"):
        assert layers(_ours(name)) == layers(_theirs(name))


def test_a_state_dict_of_another_net_is_refused():
    with torch.device("meta"):
        trunk = mobilenet_v3_large().state_dict()
    with pytest.raises(CheckpointError, match=r"'features.0.0.weight' is in no state dict of torchvision's DeepLabV3"):
        from_torchvision(trunk)


@pytest.mark.parametrize("output_stride", [32, 16])
def test_mobilenet_is_torchvisions(output_stride):
    def theirs():
        return mobilenet_v3_large(**({"dilated": True} if output_stride == 16 else {})).features

    with torch.device("meta"):
        skeleton = theirs()
    state = random_state(skeleton)
    reference = filled(theirs, state)
    state = {f"model.{name}": tensor for name, tensor in state.items()}
    ours = filled(lambda: MobileNetV3Large(output_stride=output_stride), state)
    assert ours.features == MobileNetV3Large.offers(output_stride=output_stride)
    x = torch.randn(1, 3, 65, 97)
    with torch.inference_mode():
        got = ours(x, [tap.name for tap in ours.features]).maps
        wanted = x
        for index, block in enumerate(reference):
            wanted = block(wanted)
            if f"features.{index}" in got:
                assert relative_difference(got[f"features.{index}"], wanted) < 1e-6
    for tap in ours.features:
        assert got[tap.name].shape == (1, tap.channels, -(-65 // tap.stride), -(-97 // tap.stride))


def test_mobilenet_at_stride_8_goes_on_as_torchvision_does():
    """torchvision dilates the block that no longer strides, too."""
    encoder = MobileNetV3Large(output_stride=8)
    depthwise = [layer for layer in encoder.model.modules() if isinstance(layer, nn.Conv2d) and layer.groups > 1]
    assert [layer.dilation[0] for layer in depthwise] == [1] * 6 + [2] * 6 + [4] * 3
    assert [layer.stride[0] for layer in depthwise] == [1, 2, 1, 2, 1, 1] + [1] * 9


def test_encoders_offer_what_their_manifest_says():
    for name, options in (
        ("mobilenet_v3_large", [{"output_stride": stride} for stride in (32, 16, 8)]),
        ("vgg16_atrous", [{}]),
    ):
        spec = find_encoder(name)
        built = [spec.load()(**each) for each in options]
        assert spec.offers["taps"] == [tap.name for tap in built[0].features]
        assert spec.offers["strides"] == sorted({tap.stride for tap in built[0].features})
        assert spec.offers["output_strides"] == [encoder.features[-1].stride for encoder in built]
        assert spec.meta["parameters"] == parameters(built[0])
        assert "pools" not in spec.offers
        assert built[0].pools == ()


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("encoder", [MobileNetV3Large, AtrousVGG16])
def test_encoders_take_any_input_and_stop_at_the_deepest_tap(encoder, channels):
    tap = encoder.offers()[2]
    built = encoder(taps=[tap.name], in_channels=channels)
    assert built.features[-1] == tap
    assert built(torch.rand(1, channels, 17, 9), [tap.name]).maps[tap.name].shape[:2] == (1, tap.channels)
    assert parameters(built) < 300_000


def test_mobilenet_refuses_what_it_is_not():
    with pytest.raises(OptionError, match="output_stride=4: expected 8, 16 or 32"):
        MobileNetV3Large(output_stride=4)
    with pytest.raises(OptionError, match="expected None, 'imagenet' or the path"):
        MobileNetV3Large(encoder_weights="voc")


def _block(x, block):
    """Convolution, norm and ReLU of a `conv_norm_act`, by hand."""
    conv, norm = block[0], block[1]
    x = F.conv2d(x, conv.weight, None, 1, conv.padding, conv.dilation)
    return F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=1e-5).relu()


def _up(x, size):
    return F.interpolate(x, size, mode="bilinear", align_corners=False)


@pytest.fixture
def small():
    """A model on a small ResNet with random weights, and its features for a picture."""

    def build(architecture, **options):
        def create():
            return zoo.create_model(architecture, encoder="resnet10t", num_classes=5, **options)

        with torch.device("meta"):
            state = random_state(create())
        model = filled(create, state)
        x = torch.randn(1, 3, 65, 49)
        with torch.inference_mode():
            return model, x, model.encoder(x, model.taps).maps

    return build


def test_deeplabv3plus_is_its_description(small):
    model, x, maps = small("deeplabv3plus")
    decoder = model.decoder
    assert decoder.taps == ("layer1", "layer4")
    assert maps["layer1"].shape[-2:] == (17, 13)
    assert maps["layer4"].shape[-2:] == (5, 4)  # output stride 16
    assert [branch[0].dilation[0] for branch in decoder.aspp.convs[1:4]] == [6, 12, 18]
    assert decoder.reduce[0].weight.shape == (48, 64, 1, 1)
    assert [block[0].weight.shape for block in decoder.refine] == [(256, 304, 3, 3), (256, 256, 3, 3)]
    with torch.inference_mode():
        y = torch.cat([_up(decoder.aspp(maps["layer4"]), (17, 13)), _block(maps["layer1"], decoder.reduce)], 1)
        for block in decoder.refine:
            y = _block(y, block)
        wanted = _up(F.conv2d(y, model.head.score.weight, model.head.score.bias), (65, 49))
        assert relative_difference(model(x)["out"], wanted) < 1e-5


def test_deeplabv3_skip_is_its_description(small):
    model, x, maps = small("deeplabv3_skip")
    decoder = model.decoder
    assert decoder.taps == ("layer4", "layer2", "layer1")
    assert [maps[tap].shape[-2:] for tap in decoder.taps] == [(9, 7), (9, 7), (17, 13)]
    with torch.inference_mode():
        y = decoder.aspp(maps["layer4"])
        for tap, reduce, join in zip(("layer2", "layer1"), decoder.reduce, decoder.join, strict=True):
            skip = _block(maps[tap], reduce)
            assert skip.shape[1] == 48
            y = torch.cat([_up(y, skip.shape[-2:]), skip], 1)
            for block in join:
                y = _block(y, block)
        assert y.shape == (1, 64, 17, 13)
        wanted = _up(F.conv2d(y, model.head.score.weight, model.head.score.bias), (65, 49))
        assert relative_difference(model(x)["out"], wanted) < 1e-5


def test_deeplabv3_without_its_extras(small):
    """The paper's net: logits straight from the pyramid."""
    options = {"output_stride": 16, "extra_conv": False, "image_pooling": False, "dropout": 0.1}
    model, x, maps = small("deeplabv3", **options)
    assert len(model.decoder.aspp.convs) == 4
    assert model.decoder.aspp.project[-1].p == 0.1
    with torch.inference_mode():
        y = model.decoder.aspp(maps["layer4"])
        wanted = _up(F.conv2d(y, model.head.score.weight, model.head.score.bias), (65, 49))
        assert relative_difference(model(x)["out"], wanted) < 1e-5


@pytest.mark.parametrize("output_stride", [8, 16])
def test_rates_follow_the_output_stride(output_stride):
    with torch.device("meta"):
        for architecture in ("deeplabv3", "deeplabv3plus", "deeplabv3_skip"):
            model = zoo.create_model(f"{architecture}@resnet18", output_stride=output_stride)
            rates = [branch[0].dilation[0] for branch in model.decoder.aspp.convs[1:4]]
            assert rates == [rate * 16 // output_stride for rate in (6, 12, 18)]
        model = zoo.create_model("deeplabv3@resnet18", output_stride=output_stride, rates=[1, 2])
        assert [branch[0].dilation[0] for branch in model.decoder.aspp.convs[1:3]] == [1, 2]
        assert len(model.decoder.aspp.convs) == 4


def test_the_papers_multi_grid():
    """Table 5 of the paper: at output stride 16 the last three units have rates 2, 4 and 8."""
    with torch.device("meta"):
        model = zoo.create_model("deeplabv3_resnet101", output_stride=16, multi_grid=[1, 2, 4])
    assert [unit.conv2.dilation for unit in find_stage(model.encoder, "layer4")] == [(2, 2), (4, 4), (8, 8)]


def test_a_rate_for_each_stage():
    with torch.device("meta"):
        for name, options in (("deeplabv3_skip_resnet50", {}), ("deeplabv3_skip", {"stage_dilations": [1, 3, 2, 5]})):
            model = zoo.create_model(name, **options)
            for stage, rate in enumerate(model.config.options["stage_dilations"], 1):
                units = find_stage(model.encoder, f"layer{stage}")
                assert {unit.conv2.dilation for unit in units} == {(rate, rate)}
            assert model.eval()(torch.empty(1, 3, 65, 49))["out"].shape == (1, 21, 65, 49)
        with pytest.raises(IncompatibleError, match=r"stage_dilations=.*not all ends of stages"):
            zoo.create_model("deeplabv3_skip@regnetx_002", stage_dilations=[1] * 9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"skips": [4, 8]}, "expected falling strides"),
        ({"skips": [16, 4], "widths": [8]}, "widths=.*a list of 2 whole numbers"),
        ({"skip_channels": 0}, "at least 1 channel"),
        ({"rates": [0]}, "rates="),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(OptionError, match=message), torch.device("meta"):
        zoo.create_model("deeplabv3_skip", output_stride=16, **options)


def _caffe(x, state, zoom=True):
    """DeepLab-LargeFOV's released prototxt, layer by layer."""
    size = x.shape[-2:]
    for block, depth in enumerate((2, 2, 3, 3, 3), 1):
        for index in range(1, depth + 1):
            name, rate = f"encoder.conv{block}_{index}", 2 if block == 5 else 1
            x = F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], 1, rate, rate).relu()
        x = F.max_pool2d(x, 3, 1 if block > 3 else 2, 1, ceil_mode=True)
    channels = x.shape[1]
    x = F.conv2d(F.pad(x, [1] * 4), torch.full((channels, 1, 3, 3), 1 / 9), groups=channels)
    x = F.conv2d(x, state["decoder.fc6.weight"], state["decoder.fc6.bias"], 1, 12, 12).relu()
    x = F.conv2d(x, state["decoder.fc7.weight"], state["decoder.fc7.bias"]).relu()
    x = F.conv2d(x, state["head.score.weight"], state["head.score.bias"])
    x = F.interpolate(x, [8 * (length - 1) + 1 for length in x.shape[-2:]], mode="bilinear", align_corners=True)
    return x[..., : size[0], : size[1]]


@pytest.mark.parametrize("size", [(65, 49), (33, 46), (8, 16), (1, 1)])
def test_largefov_is_the_released_net(size):
    def create():
        return zoo.create_model("deeplab_largefov_vgg16", num_classes=5, width=32)

    with torch.device("meta"):
        state = random_state(create())
    x = torch.randn(1, 3, *size)
    with torch.inference_mode():
        wanted = _caffe(x, state)
        assert wanted.shape[-2:] == size
        assert relative_difference(filled(create, state)(x)["out"], wanted) < 1e-5


def test_largefov_has_the_papers_sizes():
    """Pictures of 321 px give maps of 41; 20.5 million parameters."""
    with torch.device("meta"):
        model = zoo.create_model("deeplab_largefov_vgg16").eval()
        features = model.encoder(torch.empty(1, 3, 321, 321), ["pool3", "pool5"]).maps
    assert features["pool3"].shape[-2:] == features["pool5"].shape[-2:] == (41, 41)
    assert round(parameters(model) / 1e6, 1) == 20.5


def test_largefov_places_its_cells_on_pixels():
    """A cell of the trunk sees nothing but what lies around its pixel, as offset 0 and the stride say."""
    encoder = AtrousVGG16(taps=["pool3"]).eval()
    tap = encoder.features[-1]
    assert (tap.stride, tap.offset) == (8, 0.0)
    x = torch.rand(1, 3, 129, 129, requires_grad=True)
    encoder(x, ["pool3"]).maps["pool3"][0, :, 8, 7].abs().sum().backward()
    seen = x.grad[0].abs().sum(0)
    rows, columns = seen.sum(1).nonzero().flatten(), seen.sum(0).nonzero().flatten()
    assert (rows.min() + rows.max()) / 2 == pytest.approx(64, abs=4)
    assert (columns.min() + columns.max()) / 2 == pytest.approx(56, abs=4)


@pytest.mark.parametrize("size", [(1, 1), (33, 47), (64, 97)])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_any_size(architecture, size):
    model = zoo.create_model(architecture, encoder="resnet10t", num_classes=3).eval()
    with torch.inference_mode():
        assert model(torch.rand(1, 3, *size))["out"].shape == (1, 3, *size)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("deeplabv3@resnet10t", {"aux": True}),
        ("deeplabv3plus@resnet10t", {"aux": True, "separable": True, "convs": 1}),
        ("deeplabv3_skip@resnet10t", {}),
        ("lraspp@mobilenet_v3_large", {}),
        ("deeplab_largefov@resnet10t", {"width": 16}),
    ],
)
def test_one_picture_trains(name, options):
    """Also the norm behind the pyramid's image pooling, which sees one value per channel."""
    torch.manual_seed(0)
    model = zoo.create_model(name, num_classes=3, **options)
    out = model(torch.rand(1, 3, 65, 49))
    sum(logits.square().mean() for logits in out.values()).backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter.grad).all(), key


@pytest.mark.parametrize(
    "name", ["deeplabv3_mobilenet_v3_large", "lraspp_mobilenet_v3_large", "deeplab_largefov_vgg16"]
)
def test_one_pixel_trains_where_every_norm_is_ours(name):
    options = {"width": 8} if "largefov" in name else {}
    assert zoo.create_model(name, num_classes=2, **options)(torch.rand(1, 3, 1, 1))["out"].shape == (1, 2, 1, 1)


FAMILIES = [
    "resnet18",
    "mobilenetv3_small_050",
    "regnetx_002",
    "convnext_atto",
    "nf_regnet_b0",
    "mobilenet_v3_large",
]


@pytest.mark.parametrize("encoder", FAMILIES)
@pytest.mark.parametrize("output_stride", [8, 16])
def test_encoders(encoder, output_stride):
    x = torch.empty(1, 3, 97, 129, device="meta")
    for architecture in ("deeplabv3", "deeplabv3plus", "deeplabv3_skip"):
        assert fits(registry().get("architecture", architecture), find_encoder(encoder))
        with torch.device("meta"):
            model = zoo.create_model(architecture, encoder=encoder, num_classes=3, output_stride=output_stride).eval()
            features = model.encoder(x, model.taps).maps
            assert features[model.encoder.features[-1].name].shape[-2:] == (
                -(-97 // output_stride),
                -(-129 // output_stride),
            )
            assert model(x)["out"].shape == (1, 3, 97, 129)


@pytest.mark.parametrize(("encoder", "output_stride"), [("test_vit", 16), ("xcit_nano_12_p8_224", 8)])
def test_encoders_of_one_stride(encoder, output_stride):
    """Listed for DeepLabV3, since their stride is 8 or 16; refused where a finer map is needed."""
    with torch.device("meta"):
        model = zoo.create_model("deeplabv3", encoder=encoder, aux=True)
    assert model.decoder.out.stride == output_stride
    for architecture in ("deeplabv3plus", "deeplabv3_skip"):
        with pytest.raises(IncompatibleError, match="a tap at stride 4"):
            zoo.create_model(architecture, encoder=encoder)


def test_what_does_not_fit_is_refused():
    with pytest.raises(
        IncompatibleError, match=r"deeplabv3 cannot use encoder 'vgg16': it lacks an output stride of 8"
    ):
        zoo.create_model("deeplabv3@vgg16")
    with pytest.raises(IncompatibleError, match="'vgg16_atrous' cannot have an output stride of 16; it can have 8"):
        zoo.create_model("deeplabv3@vgg16_atrous", output_stride=16)


@pytest.mark.parametrize("name", ["deeplabv3_mobilenet_v3_large", "deeplabv3_skip@resnet10t"])
def test_saved_and_loaded(name, tmp_path):
    options = (
        {"aux": True} if "mobilenet" in name else {"skips": (16, 8, 4), "widths": (16, 16, 8), "output_stride": 16}
    )
    model = zoo.create_model(name, num_classes=2, **options).eval()
    again = zoo.load(zoo.save(model, tmp_path / "model.safetensors"))
    x = torch.rand(1, 3, 33, 47)
    with torch.inference_mode():
        assert torch.equal(again(x)["out"], model(x)["out"])


@pytest.mark.parametrize(
    ("architecture", "options"),
    [
        (deeplabv3, {"aux": True}),
        (deeplabv3plus, {"separable": True}),
        (deeplabv3_skip, {}),
        (lraspp, {}),
        (deeplab_largefov, {"width": 8}),
    ],
)
def test_compiles_whole_and_exports_with_dynamic_sizes(architecture, options):
    model = architecture(TinyPlan(), 2, **options)
    compiles(model)
    exports(model, (33, 100), (48, 64))


def test_largefov_exports_with_its_own_trunk():
    """Whether there is a margin to cut, or none, must not be fixed by the size it was exported at."""
    exports(zoo.create_model("deeplab_largefov_vgg16", num_classes=2, width=8), (32, 41), (33, 40))
