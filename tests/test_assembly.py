import logging

import pytest
import torch
from torch import nn

import zoo
from zoo.assembly import build, find_encoder, resolve
from zoo.config import IMAGENET_MEAN
from zoo.errors import IncompatibleError, OptionError, UnknownNameError
from zoo.heads import ScoreHead
from zoo.interfaces import Decoder, Encoder, Features, FeatureSpec
from zoo.model import SegmentationModel
from zoo.plan import Plan

pytestmark = pytest.mark.usefixtures("fresh_registry", "narrow_vgg")


class TinyEncoder(Encoder):
    """One convolution."""

    features = (FeatureSpec("full", 4, 1, 0.0),)

    def __init__(self, *, taps=None, in_channels=3, width: int = 4):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, width, 1)
        self.features = (FeatureSpec("full", width, 1, 0.0),)

    def forward(self, x, taps, with_pools=False):
        return Features({"full": self.conv(x)}, {})


class TinyDecoder(Decoder):
    taps = ("full",)

    def forward(self, features):
        return features.maps["full"]


def tiny(encoder, num_classes, *, dropout: float = 0.0, flag: bool = False):
    """A tiny net."""
    (tap,) = encoder.offers()
    model = SegmentationModel(encoder.build(["full"]), TinyDecoder(), ScoreHead(tap.channels, num_classes, dropout))
    model.flag = flag
    return model


@pytest.fixture
def tiny_net(fresh_registry):
    zoo.register("encoder", "pixel", offers={"strides": [1], "taps": ["full"]})(TinyEncoder)
    zoo.register("architecture", "tiny", encoder="pixel", needs={"taps": ["full"]})(tiny)


@pytest.mark.usefixtures("tiny_net")
class TestOwnComponents:
    @pytest.mark.parametrize("name", ["tiny", "local/tiny", "tiny@pixel", "local/tiny@local/pixel"])
    def test_any_way_to_name_it(self, name):
        model = zoo.create_model(name, num_classes=2, in_channels=5)
        assert model.training
        assert model(torch.rand(1, 5, 3, 2))["out"].shape == (1, 2, 3, 2)
        assert (model.config.architecture, model.config.encoder) == ("local/tiny", "local/pixel")
        assert model.config.name == ("local/tiny@local/pixel" if "@" in name else "local/tiny")
        assert (model.config.num_classes, model.config.in_channels, model.config.input.channels) == (2, 5, 5)

    def test_options_reach_architecture_and_encoder(self):
        model = zoo.create_model("tiny", width=7, dropout=1, flag=True)
        assert model.encoder.conv.out_channels == 7
        assert model.head.dropout.p == 1
        assert model.flag is True
        assert model.config.options == {"width": 7, "dropout": 1, "flag": True}
        again = build(model.config)
        assert [tuple(p.shape) for p in again.parameters()] == [tuple(p.shape) for p in model.parameters()]

    def test_an_unknown_option_lists_the_accepted_ones(self):
        with pytest.raises(OptionError, match=r"no option 'widht'.*'width'.*It accepts: dropout, flag, width"):
            zoo.create_model("tiny", widht=7)

    @pytest.mark.parametrize(
        "options",
        [{"width": "7"}, {"width": 7.5}, {"width": True}, {"flag": 1}, {"flag": "yes"}, {"dropout": "x"}],
    )
    def test_an_option_of_another_type_is_refused(self, options):
        with pytest.raises(OptionError, match=next(iter(options))):
            zoo.create_model("tiny", **options)

    def test_a_value_out_of_range_is_refused(self):
        with pytest.raises(OptionError, match="cannot be built: dropout probability"):
            zoo.create_model("tiny", dropout=2.0)

    def test_an_encoder_that_lacks_something_is_refused_before_anything_is_built(self):
        with pytest.raises(IncompatibleError, match=r"lacks the tap full.*`zoo list --kind encoder --for local/tiny`"):
            zoo.create_model("tiny", encoder="vgg16")

    def test_save_and_load(self, tmp_path):
        model = zoo.create_model("tiny", num_classes=3, width=5).eval()
        zoo.save(model, tmp_path / "m.safetensors")
        loaded = zoo.load(tmp_path / "m.safetensors")
        x = torch.rand(1, 3, 4, 4)
        assert torch.equal(loaded(x)["out"], model(x)["out"])

    def test_a_model_may_be_a_function(self, tmp_path):
        zoo.register("model", "mine")(_mine)
        model = zoo.create_model("mine", num_classes=4, dropout=0.5)
        assert model.config.architecture == "local/tiny"
        zoo.save(model, tmp_path / "m.safetensors")
        assert zoo.load(tmp_path / "m.safetensors").config == model.config
        with pytest.raises(OptionError, match="has its own encoder"):
            zoo.create_model("mine", encoder="vgg16")
        with pytest.raises(OptionError, match="no option 'width'"):
            zoo.create_model("mine", width=3)


def _mine(num_classes=2, in_channels=3, dropout=0.25):
    return zoo.create_model("tiny", num_classes=num_classes, in_channels=in_channels, dropout=dropout)


def _swallows(num_classes, **options):
    return None


def _needs_more(num_classes, width):
    return None


@pytest.mark.parametrize(
    ("target", "options", "error", "said"),
    [
        (_swallows, {}, OptionError, r"takes \*\*kwargs"),
        (_needs_more, {}, OptionError, "needs the option 'width'"),
        (_needs_more, {"width": 3}, OptionError, "built a NoneType"),
    ],
)
def test_a_target_that_breaks_the_contract(target, options, error, said):
    zoo.register("model", "odd")(target)
    with pytest.raises(error, match=said):
        zoo.create_model("odd", **options)


@pytest.mark.parametrize(
    ("name", "options", "error", "said"),
    [
        ("fcn8s_vg16", {}, UnknownNameError, "'fcn8s_vgg16'"),
        ("fcn8", {}, UnknownNameError, "'fcn8s'"),
        ("fcn8s@resnet_18", {}, UnknownNameError, "'resnet18'"),
        ("fcn8s_vgg16", {"encoder": "vgg_16"}, UnknownNameError, "'vgg16'"),
        ("fcn8s_vgg16", {"colour": 1}, OptionError, "'colour'.*learn_upsampling"),
        ("fcn8s_vgg16", {"learn_upsample": True}, OptionError, "Did you mean 'learn_upsampling'"),
        ("fcn8s@vgg16", {"encoder": "vgg11"}, OptionError, "give one of them"),
        ("fcn8s@convmixer_768_32", {}, IncompatibleError, "a tap at stride 8, a tap at stride 16, a tap at stride 32"),
        ("fcn8s_vgg16", {"num_classes": 0}, OptionError, "num_classes=0"),
        ("fcn8s_vgg16", {"num_classes": -1}, OptionError, "num_classes=-1"),
        ("fcn8s_vgg16", {"num_classes": 2.0}, OptionError, r"num_classes=2\.0"),
        ("fcn8s_vgg16", {"num_classes": True}, OptionError, "num_classes=True"),
        ("fcn8s_vgg16", {"in_channels": 0}, OptionError, "in_channels=0"),
        ("fcn8s_vgg16", {"in_channels": "3"}, OptionError, "in_channels='3'"),
        ("fcn8s_vgg16", {"encoder_weights": "imagnet"}, OptionError, "'imagenet' or the path"),
    ],
)
def test_mistakes_are_named(name, options, error, said):
    with pytest.raises(error, match=said):
        zoo.create_model(name, **options)


def test_resolve_builds_nothing_and_is_complete():
    config = resolve("fcn8s_vgg16", in_channels=4)
    assert (config.name, config.architecture, config.encoder) == ("fcn8s_vgg16", "fcn8s", "vgg16")
    assert (config.num_classes, config.in_channels, config.options) == (21, 4, {})
    assert resolve("fcn8s", encoder="vgg11_bn", num_classes=2).name == "fcn8s@vgg11_bn"


def test_what_is_given_wins_over_what_the_architecture_wishes():
    """Also where it is the encoder's own default: FCN asks for a first padding of 100, VGG's default is 1."""
    model = zoo.create_model("fcn8s_vgg16", first_padding=1, classifier=False, num_classes=2)
    assert model.encoder.conv1_1.padding == (1, 1)
    assert not hasattr(model.encoder, "fc6")
    assert model.config.options == {"first_padding": 1, "classifier": False}
    assert build(model.config).encoder.conv1_1.padding == (1, 1)
    assert zoo.create_model("fcn8s_vgg16", num_classes=2).encoder.conv1_1.padding == (100, 100)


def test_the_config_leaves_out_what_the_architecture_does_by_itself():
    assert zoo.create_model("fcn8s_vgg16", learn_upsampling=False).config.options == {}
    assert zoo.create_model("fcn8s_vgg16", learn_upsampling=True).config.options == {"learn_upsampling": True}


def test_the_input_convention_is_the_encoders():
    assert zoo.create_model("fcn8s_vgg16").config.input.mean == IMAGENET_MEAN
    grey = zoo.create_model("fcn8s_vgg16", in_channels=1).config.input
    assert grey.channels == 1


def test_a_timm_weight_tag_is_kept():
    config = resolve("fcn8s", encoder="resnet18.a1_in1k")
    assert config.encoder == "resnet18.a1_in1k"
    assert find_encoder("resnet18.a1_in1k").name == "resnet18"


def test_a_family_of_a_third_party_gets_its_own_names(install, monkeypatch):
    code = (
        "from zoo.interfaces import Encoder, FeatureSpec, Features\n"
        "from torch import nn\n"
        "class Many(Encoder):\n"
        "    def __init__(self, name, *, taps=None, in_channels=3):\n"
        "        super().__init__()\n"
        "        self.own_name = name\n"
        "        self.features = self.offers(name)\n"
        "    @classmethod\n"
        "    def offers(cls, name):\n"
        "        return (FeatureSpec('full', 3, 1, 0.0),)\n"
    )
    manifest = 'api = 1\nnamespace = "many"\n[[family]]\nkind = "encoder"\ntarget = "zoo_many:Many"\nsummary = "s"\n'
    site = install("zoo_many", manifest + 'table = "table.json"\n', code=code)
    (site / "zoo_many" / "table.json").write_text('{"entries": {"m1": {"offers": {"taps": ["full"]}}}}')
    monkeypatch.syspath_prepend(site)
    for name in ("m1", "many/m1"):
        spec = find_encoder(name)
        assert spec.name == "many/m1"
        plan = Plan(spec, spec.name, 3, {})
        assert plan.build().own_name == "m1"
        assert plan.offers() == (FeatureSpec("full", 3, 1, 0.0),)


def test_weights_set_the_number_of_classes(tmp_path, caplog):
    zoo.save(zoo.create_model("fcn8s_vgg16", num_classes=7), tmp_path / "m.safetensors")
    with caplog.at_level(logging.WARNING, "zoo"):
        assert zoo.create_model("fcn8s_vgg16", weights=tmp_path / "m.safetensors").config.num_classes == 7
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fcn8s@vgg16.nonsense", r"'vgg16' has no variants: leave out '\.nonsense'"),
        ("fcn8s@resnet18.nonsense", r"timm has no 'resnet18\.nonsense'; its tags are .*a1_in1k"),
    ],
)
def test_a_tag_that_an_encoder_does_not_have_is_refused(name, message):
    with pytest.raises(UnknownNameError, match=message):
        zoo.create_model(name)


def test_a_wrong_name_is_the_first_thing_that_is_said(tmp_path):
    with pytest.raises(UnknownNameError, match="no model or architecture named 'fcn9s'"):
        zoo.create_model("fcn9s", weights="voc")
