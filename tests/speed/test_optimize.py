"""`zoo.optimize`: the same answers, for every named model."""

import math
from collections.abc import Callable

import pytest
import torch
from random_networks import random_state, relative_difference

import zoo
from zoo.encoders import vgg
from zoo.errors import OptionError, ZooError
from zoo.heads import ScoreHead
from zoo.inference.class_map import class_map
from zoo.inference.forward import logits
from zoo.inference.marks import fingerprint
from zoo.model import SegmentationModel
from zoo.registry import registry
from zoo.speed.upsample import ProductHead

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


def test_predicts_as_models_do() -> None:
    model = small()
    pictures = [torch.randint(0, 256, (3, 30, 41), dtype=torch.uint8) for _ in range(2)]
    found = zoo.optimize(model).predict(pictures, mirror=True, probabilities=True)
    for mine, alone in zip(found, model.predict(pictures, mirror=True, probabilities=True), strict=True):
        assert abs(mine.probabilities - alone.probabilities).max() < 1e-4


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["fcn32s@resnet18", "deeplabv3plus@resnet18"])
def test_label_maps_of_large_pictures_come_in_parts(name: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fast = zoo.optimize(random(name, num_classes=5), dtype=dtype)
    held = []
    for head in (ProductHead, ScoreHead):
        monkeypatch.setattr(head, "some_rows", spied(head.some_rows, held))
    picture = torch.randint(0, 256, (1, 3, 128, 160), dtype=torch.uint8)
    whole = logits(fast, picture).argmax(1)
    held.clear()
    labels, broken = class_map(fast, picture, held=5 * 160 * 32)
    assert torch.equal(labels, whole)
    assert not broken
    assert held == [5 * 160 * 32] * 4


def spied(method: Callable[..., torch.Tensor], sizes: list[int]) -> Callable[..., torch.Tensor]:
    def some_rows(*args: object) -> torch.Tensor:
        rows = method(*args)
        sizes.append(rows.numel())
        return rows

    return some_rows


def test_onnxruntime_answers_alike() -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    model = small()
    fast = zoo.optimize(model, backend="onnx")
    x = torch.randn(2, 3, 33, 47)
    with torch.no_grad():
        assert relative_difference(fast(x)["out"], model(x)["out"]) < 1e-4
    picture = torch.randint(0, 256, (1, 3, 32, 48), dtype=torch.uint8)
    assert torch.equal(class_map(fast, picture, held=1)[0], class_map(fast, picture)[0])


def test_of_other_weights_it_is_another_model_in_onnxruntime_too() -> None:
    """What `zoo predict --continue` looks at."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    model = small()
    first, again = (fingerprint(zoo.optimize(model, backend="onnx")) for _ in range(2))
    assert first == again
    with torch.no_grad():
        next(model.parameters()).add_(1)
    assert fingerprint(zoo.optimize(model, backend="onnx")) != first


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
