import json

import pytest

from zoo.config import IMAGENET_MEAN, IMAGENET_STD, InputSpec, ModelConfig
from zoo.errors import CheckpointError

FULL = ModelConfig(
    name="fcn8s@vgg16",
    architecture="fcn8s",
    encoder="vgg16",
    num_classes=2,
    in_channels=3,
    options={"learn_upsampling": True},
    input=InputSpec("BGR", 255.0, (104.0, 116.7, 122.7), (1.0, 1.0, 1.0)),
    classes=("road", "sky"),
    palette=((0, 0, 0), (1, 2, 255)),
)


def test_a_config_survives_json():
    assert ModelConfig.from_json(json.loads(json.dumps(FULL.to_json()))) == FULL
    plain = ModelConfig("net", "net", None, 5)
    assert ModelConfig.from_json(json.loads(json.dumps(plain.to_json()))) == plain


@pytest.mark.parametrize("field", list(FULL.to_json()))
def test_a_missing_field_is_named(field):
    record = FULL.to_json()
    del record[field]
    with pytest.raises(CheckpointError, match=field):
        ModelConfig.from_json(record)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_classes", "many"),
        ("num_classes", None),
        ("num_classes", 0),
        ("num_classes", -3),
        ("num_classes", float("inf")),
        ("num_classes", float("nan")),
        ("in_channels", 0),
        ("options", 5),
        ("options", [1]),
        ("input", None),
        ("input", {}),
        ("input", {"order": "RGB", "scale": "x", "mean": [0.0], "std": [1.0]}),
        ("input", {"order": "RGB", "scale": 1.0, "mean": "abc", "std": [1.0, 1.0, 1.0]}),
        ("input", {"order": "RGB", "scale": 1.0, "mean": [None], "std": [1.0]}),
        ("input", {"order": "RGB", "scale": 1.0, "mean": [0.0, 0.0], "std": [1.0]}),
        ("input", {"order": "RGB", "scale": 1.0, "mean": [0.0], "std": [0.0]}),
        ("input", {"order": "GBR", "scale": 1.0, "mean": [0.0], "std": [1.0]}),
        ("input", {"order": "RGB", "scale": 1.0, "mean": [], "std": []}),
        ("classes", None),
        ("palette", [[1, 2]]),
        ("palette", ["red"]),
        ("palette", 7),
    ],
)
def test_a_malformed_field_is_refused(field, value):
    with pytest.raises(CheckpointError, match="description is damaged"):
        ModelConfig.from_json(FULL.to_json() | {field: value})


@pytest.mark.parametrize("record", [None, [], "text", 5])
def test_what_is_no_record_is_refused(record):
    with pytest.raises(CheckpointError, match="description is damaged"):
        ModelConfig.from_json(record)


def test_describing_changes_only_what_is_given():
    caffe = InputSpec("BGR", 255.0)
    assert FULL.describing() == FULL
    changed = FULL.describing(classes=("a", "b"), input=caffe)
    assert (changed.classes, changed.input, changed.palette) == (("a", "b"), caffe, FULL.palette)
    assert FULL.describing(classes=()).classes == ()


def test_input_for_other_channels_is_the_average():
    spec = InputSpec()
    assert (spec.mean, spec.std, spec.channels) == (IMAGENET_MEAN, IMAGENET_STD, 3)
    assert spec.with_channels(3) is spec
    for channels in (1, 4):
        other = spec.with_channels(channels)
        assert other.channels == channels
        assert other.order == "ANY"
        assert other.mean == pytest.approx([sum(IMAGENET_MEAN) / 3] * channels, abs=1e-6)
        assert other.std == pytest.approx([sum(IMAGENET_STD) / 3] * channels, abs=1e-6)
