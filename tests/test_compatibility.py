import pytest

import zoo
from zoo.compatibility import fits, missing
from zoo.manifest import Spec


@pytest.mark.parametrize(
    ("needs", "offers", "lacking"),
    [
        ({}, {}, []),
        ({"strides": [8, 16]}, {"strides": [4, 8, 16]}, []),
        ({"strides": [8, 16]}, {"strides": [16]}, ["a tap at stride 8"]),
        ({"strides": [8, 64]}, {}, ["a tap at stride 8", "a tap at stride 64"]),
        ({"taps": ["pool4"]}, {"taps": ["pool3"]}, ["the tap pool4"]),
        ({"pools": ["pool1"]}, {"strides": [2]}, ["the switches of pool1"]),
        ({"output_stride": [8, 16]}, {"output_strides": [32, 16]}, []),
        ({"output_stride": [8, 16]}, {"output_strides": [32]}, ["an output stride of 8 or 16"]),
    ],
)
def test_what_is_missing_is_said_in_words(needs, offers, lacking):
    assert missing(needs, offers) == lacking
    architecture = Spec("architecture", "a", "s", "p", needs=needs)
    assert fits(architecture, Spec("encoder", "e", "s", "p", offers=offers)) is not lacking or lacking == []


def test_fcn_fits_what_has_its_strides():
    (fcn,) = [spec for spec in zoo.find("architecture", "fcn8s") if spec.name == "fcn8s"]
    fitting = {spec.name for spec in zoo.find("encoder") if fits(fcn, spec)}
    assert {"vgg16", "vgg11_bn", "resnet18", "mobilenetv3_small_100", "convnext_atto"} <= fitting
    assert not any(name.startswith(("convmixer", "vit_")) for name in fitting)
