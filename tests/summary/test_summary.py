import json

import pytest
import torch
from torch import nn

import zoo
from zoo.assembly import resolve
from zoo.config import ModelConfig
from zoo.errors import OptionError, ZooError
from zoo.interfaces import FeatureSpec
from zoo.registry import registry
from zoo.signature import takes_encoder
from zoo.summary import summarize, summary

MODELS = [spec for spec in registry().find("model") if "architecture" in spec.meta]
OTHERS = [
    spec
    for spec in registry().find("architecture")
    if spec.meta.get("encoder") or not takes_encoder(spec) or spec.name == "unet"
]


@pytest.mark.parametrize("spec", [*MODELS, *OTHERS], ids=lambda spec: f"{spec.kind}-{spec.name}")
def test_of_everything_registered(spec):
    if spec.plugin == "smp":
        pytest.importorskip("segmentation_models_pytorch")
    config = resolve(spec.name)
    found = summarize(config, (192, 256))
    assert found.outputs["out"] == (1, config.num_classes, 192, 256)
    if spec.kind == "model":
        assert found.parameters["total"] == spec.meta["parameters"]
    parts = [count for name, count in found.parameters.items() if name not in ("total", "trainable")]
    assert sum(parts) == found.parameters["total"] >= found.parameters["trainable"] > 0
    assert sum(count for name, count in found.macs.items() if name not in ("total", "auxiliary")) == found.macs["total"]
    assert found.macs["encoder"] > 0
    assert "other" not in found.macs
    assert not str(found.receptive_field).startswith("not defined")
    read = [tap for tap in found.taps if "decoder" in tap.read_by]
    assert read
    for tap in found.taps:
        assert (len(tap.shape), tap.shape[:2]) == (4, (1, tap.channels))
        assert not str(tap.receptive_field).startswith("not defined")
    assert found.encoder_stride == max(tap.stride for tap in found.taps)
    assert json.loads(json.dumps(found.to_json()))["taps"][0]["name"] == found.taps[0].name


def test_a_model_will_do_as_well(narrow_vgg):
    model = zoo.create_model("fcn8s_vgg16", num_classes=4, in_channels=1)
    found = summarize(model, (40, 50))
    assert found.outputs == {"out": (1, 4, 40, 50)}
    assert found.parameters["total"] == sum(parameter.numel() for parameter in model.parameters())
    learning = [parameter.numel() for parameter in model.parameters() if parameter.requires_grad]
    assert found.parameters["trainable"] == sum(learning) < found.parameters["total"]
    assert [tap.name for tap in found.taps if tap.read_by] == ["pool3", "pool4", "fc7"]


def test_further_answers_and_auxiliary_heads_are_told_apart(narrow_vgg):
    found = summarize(resolve("fcn16s_siftflow_vgg16"), (64, 64))
    assert found.outputs == {"out": (1, 33, 64, 64), "geometric": (1, 3, 64, 64)}
    assert found.taps[-1].read_by == ("decoder", "geometric")
    assert found.macs["further"] < found.macs["encoder"]
    found = summarize(resolve("fcn_resnet50", options={"aux": True}), (64, 64))
    assert [tap.read_by for tap in found.taps] == [("aux",), ("decoder",)]
    assert found.outputs.keys() == {"out"}
    assert found.auxiliary_outputs == {"aux": (1, 21, 64, 64)}
    assert found.macs["total"] == found.macs["encoder"] + found.macs["decoder"] + found.macs["head"]


def test_nothing_is_allocated_or_drawn(monkeypatch):
    built = []
    monkeypatch.setattr(summary, "build", lambda config: built.append(zoo.assembly.build(config)) or built[-1])
    state = torch.get_rng_state()
    summarize(resolve("fcn8s_vgg16"))
    assert len(built) == 1
    assert all(tensor.is_meta for tensor in built[0].state_dict().values())
    assert torch.equal(torch.get_rng_state(), state)


class _ReadsNumbers(nn.Conv2d):
    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.size = self.weight.abs().max().item()


class _RunsOnNumbers(nn.Conv2d):
    def forward(self, x):
        return super().forward(x) * float(self.weight.mean() + x.mean())


class _For64(nn.Conv2d):
    def forward(self, x):
        assert x.shape[-1] == 64, "only 64.\nA second line"
        return super().forward(x)


def _register(layer):
    from zoo.heads import ScoreHead
    from zoo.interfaces import Decoder, Encoder, Features
    from zoo.model import SegmentationModel

    class Small(Encoder):
        features = (FeatureSpec("map", 4, 1, 0.0),)

        def __init__(self, in_channels):
            super().__init__()
            self.conv = layer(in_channels, 4, 3, padding=1)

        def forward(self, x, taps, with_pools=False):
            return Features({"map": self.conv(x)}, {})

    class Plain(Decoder):
        taps = ("map",)
        out = FeatureSpec("map", 4, 1, 0.0)

        def forward(self, features):
            return features.maps["map"]

    @zoo.register("model", "small")
    def small(num_classes=2, in_channels=3):
        return SegmentationModel(Small(in_channels), Plain(), ScoreHead(4, num_classes))


@pytest.mark.usefixtures("fresh_registry")
def test_of_a_model_for_one_size():
    _register(_For64)
    config = resolve("small", num_classes=2)
    assert summarize(config, (64, 64)).receptive_field == 3
    with pytest.raises(OptionError, match=r"small does not take a picture of 60×60: only 64\. Give another size\.$"):
        summarize(config, (60, 60))


@pytest.mark.parametrize(("layer", "sees"), [(_ReadsNumbers, 3), (_RunsOnNumbers, "not defined: the model cannot")])
@pytest.mark.usefixtures("fresh_registry")
def test_of_a_model_that_needs_numbers(layer, sees):
    _register(layer)
    state = torch.get_rng_state()
    found = summarize(resolve("small", num_classes=2), (20, 30))
    assert found.outputs == {"out": (1, 2, 20, 30)}
    assert found.parameters["total"] == 3 * 4 * 9 + 4 + 4 * 2 + 2
    assert found.macs["total"] == 20 * 30 * (3 * 4 * 9 + 4 * 2)
    assert str(found.receptive_field).startswith(str(sees))
    assert torch.equal(torch.get_rng_state(), state)


def test_refuses_what_cannot_be():
    with pytest.raises(OptionError, match="at least 1×1"):
        summarize(resolve("fcn8s_vgg16"), (0, 5))
    with pytest.raises(ZooError, match="cannot be built"):
        summarize(ModelConfig("fcn8s_vgg16", "fcn8s", "vgg16", 1 << 62))
