"""The plugins that come with Zoo pass the kit that it gives to others; test_every_model.py has every single model."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from zoo.discovery import discover
from zoo.manifest import Spec
from zoo.testing import CHECKS, check, chosen, running

KNOWN = {("encoder smp/tu-test_efficientnet", "offers")}
"""Its manifest offers block1 to block4 as well, which say that `smp/dpt` can use it; that builds its net itself."""
PLUGINS = [plugin.name for plugin in discover() if plugin.origin == "built-in"]


@pytest.mark.parametrize("name", PLUGINS)
def test_as_a_whole(name: str) -> None:
    report = check(name, only=[check for check in CHECKS["plugin"] if check != "importing"])
    assert report.ok, str(report)


WHOLE = ("unet",)
"""Of these the kit does everything."""

DEEPER = {f"vgg{depth}{norm}" for depth in (11, 13, 16, 19) for norm in ("", "_bn")} - {"vgg11_bn", "vgg16"}
"""One class with other numbers of layers: two stand for all; under every decoder they are in test_every_pair.py."""


def jobs_of_its_own(spec: Spec) -> Iterator[chosen.Job]:
    """What the kit would do, without what test_every_model.py does: nets, and exporting and compiling encoders."""
    if spec.kind in ("architecture", "model") or spec.name in DEEPER:
        return
    for job in chosen.jobs(spec):
        yield replace(job, checks=tuple(name for name in job.checks if name not in ("compile", "export")))


@pytest.mark.slow
@pytest.mark.parametrize("name", PLUGINS)
def test_everything(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name not in WHOLE:
        monkeypatch.setattr(running, "jobs", jobs_of_its_own)
    report = check(name)
    failures = [finding for finding in report.failures if (finding.component, finding.check) not in KNOWN]
    assert not failures, str(report)


@pytest.mark.parametrize(
    "name",
    [
        "vgg11_bn",
        "squeezenet1_0",
        "vgg16_atrous",
        "caffenet",
        "googlenet_bvlc",
        "mobilenet_v3_large",
        "test_resnet",
        "test_efficientnet",
    ],
)
@pytest.mark.parametrize("property", ["contract", "offers", "taps", "some_taps", "output_strides", "pools"])
def test_encoders_are_what_their_manifests_say(name: str, property: str) -> None:
    from zoo.testing.encoders import EncoderSubject
    from zoo.testing.subject import NotApplicable

    if property == "pools" and not EncoderSubject(name).spec.offers.get("pools"):
        with pytest.raises(NotApplicable):
            CHECKS["encoder"][property](EncoderSubject(name))
    else:
        CHECKS["encoder"][property](EncoderSubject(name))
