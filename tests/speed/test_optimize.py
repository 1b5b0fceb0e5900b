"""`zoo.optimize`: the same answers, for every named model."""

import math

import pytest
import torch
from random_networks import random_state, relative_difference

import zoo
from zoo.encoders import vgg
from zoo.errors import OptionError, ZooError
from zoo.model import SegmentationModel
from zoo.registry import registry

SIZES = ((1, 65, 83), (2, 48, 64))
FEW = (
    "deeplabv3_mobilenet_v3_large",
    "fcn8s_vgg16",
    "fcn16s_siftflow_vgg16",
    "deconvnet_vgg16",
    "unet",
    "unet_l4_aspp",
)
NAMES = [
    pytest.param(spec.name, marks=[] if spec.name in FEW else [pytest.mark.slow]) for spec in registry().find("model")
]


@pytest.fixture
def narrow_vgg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vgg, "_CHANNELS", (8, 16, 32, 64, 64))
    monkeypatch.setattr(vgg, "_CLASSIFIER_CHANNELS", 64)


def random(name: str, **options: object) -> SegmentationModel:
    model = zoo.create_model(name, **options)
    fixed = {key for key, value in model.named_parameters() if not value.requires_grad}
    state = {key: value for key, value in random_state(model).items() if key not in fixed}
    model.load_state_dict(state, strict=False)
    return model.eval()


@pytest.mark.usefixtures("narrow_vgg")
@pytest.mark.parametrize("name", NAMES)
def test_answers_as_the_plain_model(name: str) -> None:
    torch.manual_seed(0)
    model = random(name)
    fast = zoo.optimize(model)
    differing = pixels = 0
    for batch, height, width in SIZES:
        x = torch.randn(batch, model.config.in_channels, height, width)
        with torch.no_grad():
            wanted = model(x)
        found = fast(x)
        assert found.keys() == wanted.keys()
        for key in wanted:
            assert relative_difference(found[key], wanted[key]) < 1e-4
        differing += int((found["out"].argmax(1) != wanted["out"].argmax(1)).sum())
        pixels += batch * height * width
    assert differing <= math.ceil(1e-4 * pixels)  # of two equal scores either may win


@pytest.mark.usefixtures("narrow_vgg")
@pytest.mark.parametrize("name", ["fcn8s_vgg16", "deeplabv3_mobilenet_v3_large", "unet_l4_aspp"])
def test_bfloat16_is_near(name: str) -> None:
    model = random(name)
    x = torch.randn(1, 3, 70, 90)
    with torch.no_grad():
        wanted = model(x)["out"]
    found = zoo.optimize(model, dtype="bfloat16")(x)["out"]
    assert found.dtype == torch.float32
    assert relative_difference(found, wanted) < 0.1


def small() -> SegmentationModel:
    return random("unet_l4", num_classes=3, channels=[8, 8, 16, 16])


def test_the_plain_model_stays_as_it_is() -> None:
    model = small().train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    zoo.optimize(model, dtype="bfloat16")
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_predicts_and_describes_itself_and_does_not_train() -> None:
    model = small()
    fast = zoo.optimize(model)
    picture = torch.randint(0, 256, (3, 30, 41), dtype=torch.uint8)
    assert fast.config is model.config
    assert (fast.predict(picture).labels == model.predict(picture).labels).all()
    with pytest.raises(OptionError, match="only answers"):
        fast.train()
    with pytest.raises(OptionError, match="optimized already"):
        zoo.optimize(fast)  # type: ignore[arg-type]


def test_onnxruntime_answers_alike() -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    model = small()
    fast = zoo.optimize(model, backend="onnx")
    x = torch.randn(2, 3, 33, 47)
    with torch.no_grad():
        assert relative_difference(fast(x)["out"], model(x)["out"]) < 1e-4


@pytest.mark.slow
def test_the_compiler_answers_alike() -> None:
    model = small()
    fast = zoo.optimize(model, backend="compiled")
    x = torch.randn(1, 3, 33, 47)
    with torch.no_grad():
        assert relative_difference(fast(x)["out"], model(x)["out"]) < 1e-4


def test_what_cannot_be_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    model = small()
    with pytest.raises(OptionError, match="eager, compiled, onnx"):
        zoo.optimize(model, backend="fast")
    with pytest.raises(OptionError, match="float32, bfloat16, auto"):
        zoo.optimize(model, dtype="float16")
    with pytest.raises(OptionError, match="float32"):
        zoo.optimize(model, backend="onnx", dtype="bfloat16")
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(ZooError, match=r"C\+\+ compiler"):
        zoo.optimize(model, backend="compiled")
