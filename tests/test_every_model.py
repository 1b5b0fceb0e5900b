"""Every built-in model keeps every promise of `zoo.testing`; the registry says which models there are.

At full width, shapes and sizes are checked on the meta device. Numbers are computed on a light variant of the same
architecture with the same options: VGGs an eighth as wide, timm's smallest ResNet for the large ones. Architectures
that no model names are checked on a small encoder.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from zoo.compatibility import fits
from zoo.discovery import discover
from zoo.encoders import vgg
from zoo.manifest import Spec
from zoo.plan import accepted_options
from zoo.registry import Registry
from zoo.testing import PROPERTIES, Subject, check_property
from zoo.testing.properties import SHAPES

HEAVY = 8_000_000
NARROW: dict[str, dict[str, Any]] = {
    "unet": {"widths": [8, 16, 32, 64, 128]},
    "unet_l4": {"channels": [8, 16, 32, 64]},
    "unet_l5": {"channels": [8, 16, 32, 64, 64]},
    "unet_l4_aspp": {"channels": [8, 16, 32, 64]},
    "unet_l5_aspp": {"channels": [8, 16, 32, 64, 64]},
}
SMALL_ENCODERS = ("test_resnet", "smp/tu-test_vit", "smp/tu-test_resnet")


def _registry() -> Registry:
    """The built-ins alone, whatever is installed on this machine."""
    return Registry(plugin for plugin in discover() if plugin.origin == "built-in")


BUILT_IN = _registry()
MODELS = BUILT_IN.find("model")
ENCODERS = {name: found for name in SMALL_ENCODERS if (found := BUILT_IN.lookup("encoder", name)) is not None}


def light(model: Spec) -> Subject:
    """The same architecture with the same options, narrow enough to be computed."""
    if model.name in NARROW:
        return Subject(model.name, options=NARROW[model.name])
    name = model.meta.get("encoder")
    if name is None:
        return Subject(model.name)
    architecture = BUILT_IN.get("architecture", model.meta["architecture"])
    encoder = BUILT_IN.get("encoder", name, architecture.plugin)
    small = ENCODERS["test_resnet"]
    if encoder.target == small.target and encoder.meta["parameters"] > HEAVY and fits(architecture, small):
        return Subject(architecture.name, small.name, model.meta.get("options", {}))
    return Subject(model.name)


def unnamed() -> Iterator[Subject]:
    """Architectures without a named model, each on the first small encoder that fits."""
    named = {model.meta.get("architecture") for model in MODELS}
    for architecture in BUILT_IN.find("architecture"):
        if architecture.name not in named:
            fitting = [encoder.name for encoder in ENCODERS.values() if fits(architecture, encoder)]
            yield Subject(architecture.name, fitting[0] if fitting else None)


FULL = [Subject(model.name, shapes_only=True) for model in MODELS]
LIGHT = list({str(subject): subject for subject in (*map(light, MODELS), *unnamed())}.values())
AUXILIARY = [
    replace(subject, options={**subject.options, "aux": True})
    for subject in LIGHT
    if "aux" in accepted_options(BUILT_IN.get("architecture", subject.resolved().architecture))
]
SLOW = ("compile", "export")


def cases() -> list[Any]:
    return [
        pytest.param(subject, property, id=f"{subject}-{property}", marks=[pytest.mark.slow] * (property in SLOW))
        for subject in LIGHT
        for property in PROPERTIES
    ]


@pytest.fixture(autouse=True)
def narrow_vgg(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "property" in request.fixturenames and not request.getfixturevalue("subject").shapes_only:
        monkeypatch.setattr(vgg, "_CHANNELS", (8, 16, 32, 64, 64))
        monkeypatch.setattr(vgg, "_CLASSIFIER_CHANNELS", 64)


@pytest.mark.parametrize("property", SHAPES)
@pytest.mark.parametrize("subject", FULL, ids=str)
def test_shapes_at_full_width(subject: Subject, property: str) -> None:
    check_property(property, subject)


@pytest.mark.parametrize(("subject", "property"), cases())
def test_numbers(subject: Subject, property: str) -> None:
    if property == "parameters":
        pytest.skip("checked at full width")
    check_property(property, subject)


@pytest.mark.parametrize("property", ["sizes", "batch_of_one", "backward", "save_and_load"])
@pytest.mark.parametrize("subject", AUXILIARY, ids=str)
def test_auxiliary_heads(subject: Subject, property: str) -> None:
    check_property(property, subject)
    model = subject.build()
    assert model.train()(subject.input(model)).keys() == {"out", "aux"}
