"""segmentation-models-pytorch behind Zoo: the library's own answers, to the bit, for pictures of any size."""

import builtins
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import zoo
from zoo.assembly import resolve
from zoo.compatibility import fits
from zoo.errors import CheckpointError, IncompatibleError, OptionError, UnknownNameError, ZooError
from zoo.hub.skeleton import skeleton
from zoo.interfaces import Encoder
from zoo.model import SegmentationModel
from zoo.registry import registry

smp = pytest.importorskip("segmentation_models_pytorch")

SMALL = "tu-test_resnet"
ARCHITECTURES = dict.fromkeys(smp.MODEL_ARCHITECTURES_MAPPING, SMALL) | {"segformer": "mit_b0", "dpt": "tu-test_vit"}
PAIRS = [
    *ARCHITECTURES.items(),
    ("unet", "vgg11"),
    ("unetplusplus", "vgg11_bn"),
    ("unet", "tu-test_convnext"),
    ("linknet", "tu-test_convnext"),
    ("manet", "mit_b0"),
    ("fpn", "mobileone_s0"),
    ("deeplabv3plus", "mobilenet_v2"),
    ("pan", "timm-skresnet18"),
    ("upernet", "densenet121"),
    ("dpt", "tu-test_convnext"),
]


def library_model(architecture: str, encoder: str, **options: Any) -> Any:
    if architecture == "dpt" and "vit" in encoder:
        options["dynamic_img_size"] = True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return smp.create_model(architecture, encoder, encoder_weights=None, classes=5, **options)


def seeded(build: Any, *args: Any, seed: int = 0, **options: Any) -> Any:
    torch.manual_seed(seed)
    return build(*args, **options)


def ours(architecture: str, encoder: str, **options: Any) -> SegmentationModel:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return zoo.create_model(f"smp/{architecture}", encoder=encoder, num_classes=5, **options)


def picture(*size: int, channels: int = 3) -> Tensor:
    return torch.randn(2, channels, *size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("architecture", "encoder"), PAIRS, ids=["@".join(pair) for pair in PAIRS])
def test_one_seed_gives_the_librarys_weights_and_answers(architecture: str, encoder: str) -> None:
    from zoo.plugins.smp import translate

    model, theirs = seeded(ours, architecture, encoder), seeded(library_model, architecture, encoder)
    expected = translate(theirs.state_dict())
    found = model.state_dict()
    assert list(found) == list(expected)
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    x = picture(128, 160)
    with torch.no_grad():
        assert torch.equal(model.eval()(x)["out"], theirs.eval()(x))
    model.train()
    theirs.train()
    assert torch.equal(seeded(model, x, seed=3)["out"], seeded(theirs, x, seed=3))
    assert model.config.encoder == f"smp/{encoder}"


@pytest.mark.parametrize(("size", "encoder"), [((33, 47), SMALL), ((1, 1), SMALL), ((33, 47), "tu-test_convnext")])
def test_unet_is_the_librarys_at_sizes_that_only_unet_takes(size: tuple[int, int], encoder: str) -> None:
    model, theirs = seeded(ours, "unet", encoder).eval(), seeded(library_model, "unet", encoder).eval()
    with torch.no_grad():
        assert torch.equal(model(picture(*size))["out"], theirs(picture(*size)))


@pytest.mark.parametrize("architecture", ["fpn", "pan", "deeplabv3"])
def test_other_sizes_are_padded_below_and_to_the_right_and_cut(architecture: str) -> None:
    model, theirs = seeded(ours, architecture, SMALL).eval(), seeded(library_model, architecture, SMALL).eval()
    x = picture(150, 170)
    with torch.no_grad():
        stride = theirs.encoder.output_stride
        height, width = (-(-length // stride) * stride for length in x.shape[-2:])
        padded = torch.nn.functional.pad(x, (0, width - 170, 0, height - 150))
        assert torch.equal(model(x)["out"], theirs(padded)[..., :150, :170])


@pytest.mark.parametrize("in_channels", [1, 4])
def test_other_input_channels_are_the_librarys_too(in_channels: int) -> None:
    model = seeded(ours, "unet", "resnet18", in_channels=in_channels).eval()
    theirs = seeded(library_model, "unet", "resnet18", in_channels=in_channels).eval()
    x = picture(64, 64, channels=in_channels)
    with torch.no_grad():
        assert torch.equal(model(x)["out"], theirs(x))


OPTIONS = [
    ("unet", {"encoder_depth": 3, "decoder_channels": [64, 32, 16], "decoder_attention_type": "scse"}, {}),
    ("unetplusplus", {"decoder_use_norm": "identity"}, {}),
    ("manet", {"decoder_pab_channels": 8}, {}),
    ("fpn", {"decoder_merge_policy": "cat", "decoder_dropout": 0.0}, {}),
    ("pspnet", {"encoder_depth": 4, "psp_out_channels": 64}, {"upsampling": 16}),
    ("pan", {"output_stride": 32}, {"encoder_output_stride": 32}),
    ("deeplabv3", {"output_stride": 16, "decoder_atrous_rates": [2, 4, 6]}, {"encoder_output_stride": 16}),
    ("deeplabv3plus", {"output_stride": 8, "decoder_channels": 32}, {"encoder_output_stride": 8}),
    ("segformer", {"decoder_segmentation_channels": 32}, {}),
]


@pytest.mark.parametrize(("architecture", "options", "otherwise"), OPTIONS, ids=[name for name, _, _ in OPTIONS])
def test_options_reach_the_library(
    architecture: str, options: dict[str, Any], otherwise: dict[str, Any], tmp_path: Path
) -> None:
    given = {name: value for name, value in options.items() if name != "output_stride"} | otherwise
    model = seeded(ours, architecture, SMALL, **options).eval()
    theirs = seeded(library_model, architecture, SMALL, **given).eval()
    x = picture(256, 256)
    with torch.no_grad():
        assert torch.equal(model(x)["out"], theirs(x))
        loaded = zoo.load(zoo.save(model, tmp_path / "model.safetensors"))
        assert torch.equal(loaded(x)["out"], theirs(x))


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_a_model_of_theirs_is_adopted(architecture: str, tmp_path: Path) -> None:
    from zoo.plugins.smp import adopt

    if architecture == "dpt":  # a plain one takes pictures of one size only, which is an argument of timm's
        theirs = seeded(smp.DPT, "tu-test_vit", encoder_weights=None, classes=5).eval()
        size = (160, 160)
    else:
        theirs, size = seeded(library_model, architecture, ARCHITECTURES[architecture]).eval(), (128, 160)
    theirs.save_pretrained(tmp_path)
    model = adopt(smp.from_pretrained(tmp_path)).eval()
    with torch.no_grad():
        assert torch.equal(model(picture(*size))["out"], theirs(picture(*size)))
    assert model.config.num_classes == 5
    loaded = zoo.load(zoo.save(model, tmp_path / "model.safetensors"))
    with torch.no_grad():
        assert torch.equal(loaded(picture(33, 47))["out"], model(picture(33, 47))["out"])


def test_an_adopted_model_answers_with_logits() -> None:
    from zoo.plugins.smp import adopt

    theirs = library_model("unet", SMALL, activation="sigmoid", aux_params={"classes": 3}).eval()
    model = adopt(theirs).eval()
    with torch.no_grad():
        masks, _labels = theirs(picture(64, 64))
        assert torch.equal(model(picture(64, 64))["out"].sigmoid(), masks)


def test_what_has_no_counterpart_is_not_adopted() -> None:
    from zoo.plugins.smp import adopt

    with pytest.raises(OptionError, match="upsampling"):
        adopt(library_model("fpn", SMALL, upsampling=2))
    with pytest.raises(OptionError, match="Linear is no model of segmentation-models-pytorch"):
        adopt(torch.nn.Linear(1, 1))


def test_a_foreign_state_dict_is_refused() -> None:
    from zoo.plugins.smp import translate

    with pytest.raises(CheckpointError, match=r"'backbone\.weight'"):
        translate({"encoder.weight": torch.zeros(1), "backbone.weight": torch.zeros(1)})


def test_unread_stages_are_frozen_and_kept() -> None:
    model = ours("pspnet", "resnet18")
    frozen = {name.split(".")[2] for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert frozen == {"layer3", "layer4"}
    model.train()(picture(64, 64))["out"].sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters() if parameter.requires_grad)
    assert all(parameter.requires_grad for parameter in ours("unet", SMALL).parameters())


def test_freezing_leaves_the_encoder_as_it_is() -> None:
    from zoo.plugins.smp.frozen import freeze_unused

    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4), torch.nn.Dropout())
    net[2].eval()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    freeze_unused(net, 3, 8)
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
    assert [module.training for module in net] == [True, True, False]


def test_a_name_means_the_librarys_encoder_first() -> None:
    assert resolve("smp/unet@resnet34").encoder == "smp/resnet34"
    assert resolve("smp/unet", encoder="smp/resnet34").encoder == "smp/resnet34"
    assert resolve("smp/unet@tu-resnet50.a1_in1k").encoder == "smp/tu-resnet50.a1_in1k"
    assert resolve("smp/unet").encoder == "smp/resnet34"
    assert resolve("fcn8s@resnet34").encoder == "resnet34"
    assert resolve("smp/unet@smp/mit_b0").encoder == "smp/mit_b0"


def test_bare_names_reach_what_only_the_library_has() -> None:
    assert resolve("manet").architecture == "smp/manet"
    assert resolve("fcn8s@mit_b0").encoder == "smp/mit_b0"


def test_other_encoders_are_refused_by_name() -> None:
    with pytest.raises(IncompatibleError, match="zoo list --kind encoder --for smp/unet"):
        zoo.create_model("smp/unet", encoder="pvt_v2_b0")
    with pytest.raises(IncompatibleError, match="stage1"):
        zoo.create_model("smp/unetplusplus@mit_b0")
    with pytest.raises(IncompatibleError, match="output stride of 8"):
        zoo.create_model("smp/deeplabv3@vgg11")
    with pytest.raises(UnknownNameError, match="'resnet34'"):
        zoo.create_model("smp/unet@resnet43")


@pytest.mark.parametrize(
    ("architecture", "options", "message"),
    [
        ("unet", {"output_stride": 16}, "leave out output_stride"),
        ("unet", {"decoder_channels": [1, 2]}, "decoder_channels"),
        ("unet", {"decoder_chanels": [1, 2]}, "Did you mean 'decoder_channels'"),
        ("unet", {"encoder_weights": "imagnet"}, "takes None or 'imagenet'"),
        ("deeplabv3", {"output_stride": 32}, "takes 8 or 16"),
        ("fpn", {"decoder_merge_policy": "mean"}, "cannot be built with these options"),
    ],
)
def test_bad_options_are_refused(architecture: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        ours(architecture, SMALL, **options)


@pytest.mark.parametrize("name", ["mit_b0", SMALL, "vgg11", "tu-test_convnext", "mobileone_s0"])
def test_an_encoder_of_theirs_serves_our_architectures(name: str) -> None:
    spec = registry().get("encoder", f"smp/{name}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        encoder = spec.load()(name)
    assert isinstance(encoder, Encoder)
    offered = spec.load().offers(name)
    assert encoder.features == offered
    assert [tap.stride for tap in offered] == spec.offers["strides"]
    encoder.eval()
    for height, width in ((1, 1), (33, 47), (64, 96)):
        with torch.no_grad():
            maps = encoder(picture(height, width), [tap.name for tap in offered]).maps
        for tap in offered:
            assert maps[tap.name].shape == (2, tap.channels, -(-height // tap.stride), -(-width // tap.stride))
    model = zoo.create_model("fcn8s", encoder=f"smp/{name}", num_classes=3).eval()
    assert model(picture(33, 47))["out"].shape == (2, 3, 33, 47)


def test_an_encoder_is_dilated_for_our_architectures() -> None:
    model = zoo.create_model("fcn32s", encoder="smp/resnet18", num_classes=3)
    assert max(tap.stride for tap in model.encoder.features) == 32
    encoder = registry().get("encoder", "smp/resnet18").load()("resnet18", output_stride=8)
    theirs = smp.encoders.get_encoder("resnet18", weights=None, output_stride=8)
    encoder.model.load_state_dict(theirs.state_dict())
    x = picture(64, 96)
    with torch.no_grad():
        assert torch.equal(encoder.eval()(x, ["stage5"]).maps["stage5"], theirs.eval()(x)[-1])


def _names() -> list[str]:
    return [spec.name.removeprefix("smp/") for spec in registry().find("encoder", plugin="smp")]


def test_the_table_has_every_encoder_of_the_librarys_own() -> None:
    assert set(smp.encoders.get_encoder_names()) <= set(_names())


def test_every_architecture_of_the_library_is_there() -> None:
    names = {spec.name for spec in registry().find("architecture", plugin="smp")}
    assert names == {f"smp/{name}" for name in smp.MODEL_ARCHITECTURES_MAPPING}


def test_architectures_have_the_librarys_options_and_defaults() -> None:
    import inspect

    left_out = {"encoder_name", "in_channels", "classes", "activation", "aux_params", "kwargs", "self", "upsampling"}
    renamed = {"encoder_output_stride"}  # an option of the encoder: output_stride
    fixed = {("dpt", "encoder_depth")}  # four blocks, or the answer would have another size
    for name, cls in smp.MODEL_ARCHITECTURES_MAPPING.items():
        theirs = inspect.signature(cls.__init__).parameters
        target = registry().get("architecture", f"smp/{name}").load()
        mine = {key: value.default for key, value in inspect.signature(target).parameters.items()}
        expected = theirs.keys() - left_out - renamed - {option for of, option in fixed if of == name}
        assert mine.keys() - {"encoder", "num_classes"} == expected
        assert all(mine[option] == theirs[option].default for option in expected - {"encoder_weights"})


def meta_shape(model: Any, *size: int) -> tuple[int, ...]:
    answer = model.eval()(torch.empty(2, 3, *size, device="meta"))
    return tuple((answer["out"] if isinstance(answer, dict) else answer).shape)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_what_the_listing_promises_is_so(architecture: str) -> None:
    """A sample of the encoders, another one for each architecture, built and run on the meta device."""
    spec = registry().get("architecture", f"smp/{architecture}")
    fitting = [encoder.name for encoder in registry().find("encoder", plugin="smp") if fits(spec, encoder)]
    for encoder in fitting[5 * sorted(ARCHITECTURES).index(architecture) :: 120]:
        with skeleton():
            model = zoo.create_model(spec.name, encoder=encoder, num_classes=5)
        for size in ((1, 1), (65, 97)):
            assert meta_shape(model, *size) == (2, 5, *size), encoder


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES.keys() - {"dpt"}))
def test_what_the_listing_leaves_out_fails_in_the_library_itself(architecture: str) -> None:
    spec = registry().get("architecture", f"smp/{architecture}")
    for name in ("resnet18", "mit_b0", "vgg11", "densenet121", "xception", "inceptionv4", "mobileone_s0"):
        with skeleton():
            try:
                works = meta_shape(library_model(architecture, name), 256, 320) == (2, 5, 256, 320)
            except ValueError:
                works = False
        assert works == fits(spec, registry().get("encoder", f"smp/{name}")), name


def test_weights_that_cannot_be_fetched_are_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*args: Any, **options: Any) -> None:
        raise ConnectionError("no network")

    monkeypatch.setattr(smp.encoders, "hf_hub_download", offline)
    for name in ("smp/unet@resnet18", "fcn8s@smp/resnet18"):
        with pytest.raises(ZooError, match=r"weights of encoder 'smp/resnet18' cannot be fetched: no network"):
            zoo.create_model(name, encoder_weights="imagenet")


def test_without_the_library_there_is_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def absent(name: str, *args: Any, **options: Any) -> Any:
        if name.startswith("segmentation_models_pytorch"):
            raise ModuleNotFoundError(f"No module named {name!r}", name="segmentation_models_pytorch")
        return original(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", absent)
    assert resolve("smp/unet").encoder == "smp/resnet34"  # names and options need no library
    with pytest.raises(ZooError, match=r'pip install "zoo-segmentation\[smp\]"'):
        zoo.create_model("smp/unet")
    with pytest.raises(ZooError, match=r"zoo-segmentation\[smp\]"):
        zoo.create_model("fcn8s@smp/resnet18")


def test_listing_and_resolving_import_neither_the_library_nor_timm(root: Path) -> None:
    code = (
        "import sys, zoo.registry as r;"
        "from zoo.compatibility import fits;"
        "a = r.registry().get('architecture', 'smp/unet');"
        "names = [s.name for s in r.find('encoder') if fits(a, s)];"
        "assert 'smp/resnet34' in names and 'resnet34' not in names and len(names) > 70;"
        "assert not {'torch', 'timm', 'segmentation_models_pytorch'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": str(root)}, cwd="/")
