"""The conformance kit: it passes a sound model, and finds every fault that a model was given on purpose."""

import itertools
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import zoo
from zoo import registry
from zoo.errors import PluginError
from zoo.heads import ScoreHead
from zoo.interfaces import Decoder, Encoder, Features, FeatureSpec
from zoo.manifest import LIMITS
from zoo.model import SegmentationModel
from zoo.ops import BatchNorm2d
from zoo.testing import PROPERTIES, NotConforming, Subject, check_model, check_property
from zoo.testing.globals import unmoved

pytestmark = pytest.mark.usefixtures("fresh_registry")

SPEC = FeatureSpec("map", 4, 1, 0.0)


class TinyEncoder(Encoder):
    features = (SPEC,)

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, 4, 3, padding=1)

    def forward(self, x: Tensor, taps: Collection[str], with_pools: bool = False) -> Features:
        return Features({"map": self.conv(x)}, {})


class TinyDecoder(Decoder):
    """Norm of a global mean, added to the map; `flaw` changes the map on its way."""

    taps = ("map",)
    out = SPEC

    def __init__(self, flaw: Callable[[nn.Module, Tensor], Tensor] | None = None, norm: Any = BatchNorm2d) -> None:
        super().__init__()
        self.norm = norm(4)
        self.gate = nn.Parameter(torch.zeros(4, 1, 1))
        self.flaw = flaw

    def forward(self, features: Features) -> Tensor:
        x = features.maps["map"]
        x = x + self.gate * self.norm(x.mean((2, 3), keepdim=True))
        return x if self.flaw is None else self.flaw(self, x)


def register(name: str = "tiny", cannot: Collection[str] = (), **flaws: Any) -> None:
    prepare = flaws.pop("prepare", lambda model: None)
    fixed = flaws.pop("fixed", {})

    @zoo.register("architecture", name)
    def tiny(num_classes: int = 3, in_channels: int = 3) -> SegmentationModel:
        classes, channels = fixed.get("num_classes", num_classes), fixed.get("in_channels", in_channels)
        model = SegmentationModel(TinyEncoder(channels), TinyDecoder(**flaws), ScoreHead(4, classes))
        prepare(model)
        return model

    key = ("architecture", f"local/{name}")
    registry._local[key] = replace(registry._local[key], meta={"cannot": list(cannot)})


@pytest.mark.parametrize("property", PROPERTIES)
def test_a_sound_model_passes(property: str) -> None:
    register()
    check_property(property, "tiny")


def test_all_at_once() -> None:
    register()
    check_model("tiny", only=[property for property in PROPERTIES if property not in ("compile", "export")])


def not_a_number(_: nn.Module, x: Tensor) -> Tensor:
    return x.new_tensor(float("nan")) * x


def adds_the_secret(module: nn.Module, x: Tensor) -> Tensor:
    return x + module.secret


def hides(model: SegmentationModel) -> None:
    object.__setattr__(model.decoder, "secret", torch.randn(4, 1, 1))


def idle(model: SegmentationModel) -> None:
    model.decoder.idle = nn.Linear(2, 2)


def cut(model: SegmentationModel) -> None:
    model.decoder.dead = nn.Conv2d(4, 4, 1)


def through_the_dead(module: nn.Module, x: Tensor) -> Tensor:
    return x + 0.0 * module.dead(x)


_calls = itertools.count()


def counts(model: SegmentationModel) -> None:
    with torch.no_grad():
        model.head.score.weight.fill_(float(next(_calls)))


def constant(model: SegmentationModel) -> None:
    for parameter in model.parameters():
        nn.init.constant_(parameter, 0.5)


def frozen_once(model: SegmentationModel) -> None:
    model.head.score.weight.requires_grad_(next(_calls) % 2 == 0)


def float_only(_: nn.Module, x: Tensor) -> Tensor:
    if torch.is_autocast_enabled("cpu"):
        raise RuntimeError("float32 only")
    return x


def views(_: nn.Module, x: Tensor) -> Tensor:
    return x.view(x.shape[0], -1).view(x.shape)


def branches(_: nn.Module, x: Tensor) -> Tensor:
    return x if x.sum() > 0 else -x


def sized(_: nn.Module, x: Tensor) -> Tensor:
    return x if x.shape[-1] > 80 else -x


class Pooled(SegmentationModel):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"out": super().forward(x)["out"][..., ::2, ::2]}


def half_size(model: SegmentationModel) -> None:
    model.__class__ = Pooled


FAULTS = [
    ("sizes", {"flaw": not_a_number}, "not finite"),
    ("sizes", {"prepare": half_size}, r"expected \(N, K, H, W\) of the same size"),
    ("in_channels", {"fixed": {"in_channels": 3}}, "channels"),
    ("num_classes", {"fixed": {"num_classes": 3}}, "3 channels for 1 classes"),
    ("batch_of_one", {"norm": nn.BatchNorm2d}, "more than 1 value per channel"),
    ("backward", {"prepare": idle}, r"no gradient reaches decoder\.idle\.weight, decoder\.idle\.bias"),
    ("backward", {"prepare": cut, "flaw": through_the_dead}, r"decoder\.dead\.weight are zero everywhere"),
    ("state_dict", {"prepare": hides, "flaw": adds_the_secret}, "answers differently"),
    ("save_and_load", {"prepare": frozen_once}, "learns before or after loading"),
    ("seed", {"prepare": counts}, r"head\.score\.weight differs"),
    ("seed", {"prepare": constant}, "do not depend on the seed"),
    ("bf16", {"flaw": float_only}, "float32 only"),
    ("channels_last", {"flaw": views}, "view"),
    ("compile", {"flaw": branches}, "(?i)data-dependent|jump"),
    ("export", {"flaw": sized}, "."),
]


@pytest.mark.parametrize(("property", "flaws", "message"), FAULTS)
def test_a_fault_is_found(property: str, flaws: dict[str, Any], message: str) -> None:
    register(**flaws)
    with pytest.raises(Exception, match=message):
        check_property(property, "tiny")
    with pytest.raises(NotConforming, match=property):
        check_model("tiny", only=[property])


@pytest.mark.parametrize(
    ("property", "flaws"), [(p, f) for p, f, _ in FAULTS if p in LIMITS], ids=[p for p, _, _ in FAULTS if p in LIMITS]
)
def test_a_declared_limit_is_believed(property: str, flaws: dict[str, Any]) -> None:
    register(cannot=[property], **flaws)
    check_property(property, "tiny")


@pytest.mark.parametrize("property", sorted(set(LIMITS) - {"compile", "export"}))
def test_a_false_limit_is_found(property: str) -> None:
    register(cannot=[property])
    with pytest.raises(NotConforming, match="take it out of the manifest"):
        check_property(property, "tiny")


def test_a_wrong_count_of_parameters_is_found() -> None:
    @zoo.register("model", "counted")
    def counted(num_classes: int = 3, in_channels: int = 3) -> SegmentationModel:
        return SegmentationModel(TinyEncoder(in_channels), TinyDecoder(), ScoreHead(4, num_classes))

    key = ("model", "local/counted")
    right = sum(parameter.numel() for parameter in counted().parameters())
    for declared in (right, right + 1):
        registry._local[key] = replace(registry._local[key], meta={"parameters": declared, "num_classes": 3})
        if declared == right:
            check_property("parameters", "counted")
        else:
            with pytest.raises(NotConforming, match=f"has {right} parameters"):
                check_property("parameters", "counted")


@pytest.mark.parametrize("disturb", [lambda: torch.rand(1), lambda: torch.set_default_dtype(torch.float64)])
def test_a_disturbance_is_found(disturb: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    register()
    original = Subject.resolved

    def noisy(self: Subject, **options: Any) -> Any:
        disturb()
        return original(self, **options)

    monkeypatch.setattr(Subject, "resolved", noisy)
    try:
        with pytest.raises(NotConforming, match="changes global state"):
            check_property("inspecting", "tiny")
    finally:
        torch.set_default_dtype(torch.float32)


def test_what_was_moved_is_put_back() -> None:
    with pytest.raises(NotConforming, match="it changes torch's default device"):
        unmoved(lambda: torch.set_default_device("meta"), "it")
    assert torch.get_default_device() == torch.device("cpu")


def test_checking_leaves_the_global_generator_alone() -> None:
    register()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    check_property("seed", "tiny")
    assert torch.equal(torch.rand(3), expected)


def test_shapes_alone_need_no_memory() -> None:
    heavy = Subject("fcn8s_vgg16", shapes_only=True)
    assert all(parameter.is_meta for parameter in heavy.build().parameters())
    check_model(heavy, only=["num_classes", "parameters"])
    with pytest.raises(ValueError, match="needs numbers"):
        check_property("backward", heavy)


def test_fewer_channels_than_the_manifest_allows_must_be_refused() -> None:
    register()
    key = ("architecture", "local/tiny")
    registry._local[key] = replace(registry._local[key], meta={"min_in_channels": 4, "in_channels": 4})
    check_property("in_channels", Subject("tiny", size=(8, 8)))


def test_an_unknown_property_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no property 'speed'"):
        check_property("speed", "fcn8s_vgg16")


def test_a_manifest_declares_only_what_is_known(tmp_path: Any) -> None:
    from zoo.manifest import read_manifest

    manifest = tmp_path / "plugin.toml"
    text = 'api = 1\nnamespace = "acme"\n[[architecture]]\nname = "net"\ntarget = "a:b"\nsummary = "s"\ncannot = {}\n'
    manifest.write_text(text.format('["export", "compile"]'))
    assert read_manifest(manifest).specs[0].meta["cannot"] == ["export", "compile"]
    for wrong in ('["fly"]', '"export"', "[[1]]"):
        manifest.write_text(text.format(wrong))
        with pytest.raises(PluginError, match="expected a list of some of"):
            read_manifest(manifest)
