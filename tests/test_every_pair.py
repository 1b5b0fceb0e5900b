"""What `zoo list --kind encoder --for ARCH` promises is so: an encoder of every timm family, under every decoder.

The smallest encoder of each family is built with every architecture that the listing gives for it, and answers a
picture of an odd size. What the listing leaves out is refused before anything is built.
"""

import inspect
import warnings
from collections.abc import Iterator

import pytest
import timm
import torch

import zoo
from zoo.compatibility import fits
from zoo.discovery import discover
from zoo.errors import IncompatibleError
from zoo.manifest import Spec
from zoo.registry import Registry

LARGEST = 60_000_000
KNOWN = Registry(plugin for plugin in discover() if plugin.origin == "built-in")
ARCHITECTURES = [
    spec
    for spec in KNOWN.find("architecture")
    if spec.plugin != "smp" and "encoder" in inspect.signature(spec.load()).parameters
]


def _families() -> Iterator[Spec]:
    """The smallest encoder of each of timm's families."""
    encoders = {spec.name: spec for spec in KNOWN.find("encoder", plugin="zoo") if spec.meta.get("parameters")}
    for family in timm.list_modules():
        members = [encoders[name] for name in timm.list_models(module=family) if name in encoders]
        smallest = min(members, key=lambda spec: spec.meta["parameters"], default=None)
        if smallest is not None and smallest.meta["parameters"] <= LARGEST:
            yield smallest


OTHERS = [spec for spec in KNOWN.find("encoder") if spec.plugin != "smp" and not timm.is_model(spec.name)]
ENCODERS = [*_families(), *OTHERS]


def test_at_least_sixty_families_are_tried() -> None:
    assert len(ENCODERS) - len(OTHERS) >= 60


@pytest.mark.slow
@pytest.mark.usefixtures("narrow_vgg")
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("encoder", ENCODERS, ids=lambda spec: spec.name)
def test_every_promised_pair_answers(encoder: Spec) -> None:
    x = torch.rand(1, 3, 65, 97)
    for architecture in ARCHITECTURES:
        pair = f"{architecture.name}@{encoder.name}"
        channels = architecture.meta.get("in_channels", 3)
        if not fits(architecture, encoder):
            with pytest.raises(IncompatibleError, match="zoo list --kind encoder --for"):
                zoo.create_model(pair)
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            model = zoo.create_model(pair, num_classes=3).eval()
        with torch.inference_mode():
            answer = model(x.repeat(1, -(-channels // 3), 1, 1)[:, :channels])["out"]
        assert answer.shape == (1, 3, 65, 97), pair
        assert answer.isfinite().all(), pair
