"""A file that runs without Zoo answers as the model does, at every size; or it is not written."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import zoo
import zoo.ops
import zoo.registry
from zoo.errors import IncompatibleError, OptionError, ZooError
from zoo.export import export
from zoo.heads import ResizeHead
from zoo.inference.test_time import TestTime
from zoo.interfaces import Decoder, Encoder, Features, FeatureSpec
from zoo.model import SegmentationModel
from zoo.pipeline import Member, Pipeline, PipelineConfig

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

NARROW = {
    "fcn8s_vgg16": {},
    "fcn16s@resnet10t": {},
    "unet": {"widths": [4, 8, 8, 8, 8]},
    "unet@test_resnet": {},
    "unet_l4_aspp": {"channels": [4, 8, 8, 8]},
    "deeplabv3@test_resnet": {},
    "deeplabv3plus@test_resnet": {},
    "pspnet@test_resnet": {},
    "lraspp@test_resnet": {},
    "deconvnet@vgg11_bn": {},
    "fcn32s_siftflow_vgg16": {},
    "smp/pspnet@smp/tu-test_resnet": {},
}
SIZES = [(3, 91, 67), (1, 160, 33)]


def _model(name, **options):
    """Random in every parameter: zeros would hide what is lost."""
    torch.manual_seed(0)
    model = zoo.create_model(name, **({} if "siftflow" in name else {"num_classes": 5}), **options)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad and not parameter.any():
                parameter.normal_(0, 0.1)
    return model.eval()


def _picture(shape):
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(3))


@pytest.mark.slow
@pytest.mark.usefixtures("narrow_vgg")
@pytest.mark.parametrize("name", NARROW)
def test_onnx_answers_alike_at_sizes_it_was_not_made_at(name, tmp_path):
    model = _model(name, **NARROW[name])
    found = export(model, tmp_path / "m.onnx", size=(96, 128))
    assert all(parity.deviation < 1e-4 for parity in found)
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
    for batch, height, width in SIZES:
        image = _picture((batch, model.config.in_channels, height, width))
        labels, logits, *further = session.run(None, {"image": image.numpy()})
        with torch.no_grad():
            expected = model(zoo.ops.normalize(image, model.config.input))
        for mine, key in zip((logits, *further), ("out", *model.further), strict=True):
            scale = float(expected[key].abs().max())
            assert np.abs(mine - expected[key].numpy()).max() < 1e-4 * scale
        assert (labels == logits.argmax(1)).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["deeplabv3@test_resnet", "smp/pspnet@smp/tu-test_resnet"])
def test_a_program_answers_alike_at_sizes_it_was_not_made_at(name, tmp_path):
    """Of nets that round sizes up by `math.ceil`, and that take means over grids."""
    model = _model(name)
    export(model, tmp_path / "m.pt2", format="pt2", size=(96, 128))
    program = torch.export.load(str(tmp_path / "m.pt2")).module()
    for batch, height, width in SIZES:
        image = _picture((batch, 3, height, width))
        with torch.no_grad():
            expected = model(zoo.ops.normalize(image, model.config.input))["out"]
        assert (program(image)[1] - expected).abs().max() < 1e-4 * expected.abs().max()


@pytest.mark.parametrize("format", ["onnx", "pt2"])
def test_the_examples_predict_without_zoo(format, tmp_path, root):
    model = _model("unet_l4", channels=[4, 8])
    model.config = model.config.describing(classes=("sky", "road", "tree", "car", "dog"))
    export(model, tmp_path / f"m.{format}", format=format, size=(64, 96))
    Image.fromarray(_picture((3, 40, 50)).permute(1, 2, 0).numpy()).save(tmp_path / "photo.png")
    code = (
        "import runpy, sys; sys.modules['zoo'] = None; sys.argv = sys.argv[1:]; "
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    command = [sys.executable, "-c", code, root / "examples" / f"predict_{format}.py", f"m.{format}", "photo.png"]
    done = subprocess.run(list(map(str, command)), cwd=tmp_path, capture_output=True, text=True, check=True)
    shares = {line.split()[1]: float(line.split("%")[0]) for line in done.stdout.splitlines()}
    expected = model.predict(tmp_path / "photo.png").area
    assert shares.keys() == set(model.config.classes)
    assert all(abs(share - 100 * expected.get(name, 0)) < 0.1 for name, share in shares.items())


def test_the_file_describes_itself(tmp_path):
    model = _model("unet_l4", channels=[4, 8])
    export(model, tmp_path / "m.onnx", size=(64, 64))
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
    assert json.loads(session.get_modelmeta().custom_metadata_map["zoo"]) == json.loads(
        json.dumps(model.config.to_json())
    )
    export(model, tmp_path / "m.pt2", format="pt2", size=(64, 64))
    extra = {"zoo.json": ""}
    torch.export.load(tmp_path / "m.pt2", extra_files=extra)
    assert json.loads(extra["zoo.json"])["architecture"] == "unet_levels"


def test_the_mode_and_the_gradients_of_the_model_stay(tmp_path):
    model = _model("unet_l4", channels=[4, 8]).train()
    export(model, tmp_path / "m.pt2", format="pt2", size=(64, 64))
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())


class Odd(Encoder):
    """Answers otherwise for wide pictures, which a trace at one size does not see."""

    features = (FeatureSpec("map", 5, 1, 0.0),)

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 1)

    def forward(self, x, taps, with_pools=False):
        y = self.conv(x)
        return Features({"map": y.flip(1) if torch.compiler.is_exporting() else y}, {})


class Pass(Decoder):
    taps = ("map",)
    out = FeatureSpec("map", 5, 1, 0.0)

    def forward(self, features):
        return features.maps["map"]


@pytest.mark.parametrize("format", ["onnx", "pt2"])
def test_a_file_that_answers_differently_is_not_written(format, tmp_path):
    config = _model("unet_l4", channels=[4, 8]).config
    model = SegmentationModel(Odd(), Pass(), ResizeHead())
    model.config = config
    with pytest.raises(ZooError, match=r"is not written: at .* it answers differently"):
        export(model, tmp_path / f"m.{format}", format=format, size=(64, 64))
    assert not list(tmp_path.iterdir())


class Rounds(Pass):
    """Asks for a rounding that torch follows but has no form for."""

    def forward(self, features):
        return features.maps["map"] * math.ceil(features.maps["map"].shape[-1] * 0.3)


def test_what_torch_cannot_write_says_so(tmp_path):
    model = SegmentationModel(Odd(), Rounds(), ResizeHead())
    model.config = _model("unet_l4", channels=[4, 8]).config
    with pytest.raises(IncompatibleError, match=r"unet_l4 cannot be written as a program of torch.export: .*ceil"):
        export(model, tmp_path / "m.pt2", format="pt2", size=(64, 64))
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_exported_says_so(tmp_path, monkeypatch):
    model = _model("unet_l4", channels=[4, 8])
    with pytest.raises(OptionError, match="none of onnx, pt2"):
        export(model, tmp_path / "m.tflite", format="tflite")
    with pytest.raises(OptionError, match="at least 1"):
        export(model, tmp_path / "m.onnx", size=(0, 3))
    monkeypatch.setitem(zoo.registry.registry().get("architecture", "unet_levels").meta, "cannot", ["export"])
    with pytest.raises(IncompatibleError, match=r"says its manifest; try one fixed size"):
        export(model, tmp_path / "m.onnx")
    assert len(export(model, tmp_path / "m.onnx", size=(64, 64), static=True)) == 1


def test_a_pipeline_of_one_model_is_that_model(tmp_path):
    model = _model("unet_l4", channels=[4, 8])
    pipeline = Pipeline.of([model], name="alone")
    export(pipeline, tmp_path / "alone.pt2", format="pt2", size=(64, 64))
    image = _picture((1, 3, 50, 70))
    labels, logits = torch.export.load(tmp_path / "alone.pt2").module()(image)
    with torch.no_grad():
        expected = pipeline(image.float())["out"]
    assert (logits - expected).abs().max() < 1e-4 * expected.abs().max()
    assert torch.equal(labels, logits.argmax(1))


def test_what_is_more_than_a_model_is_not_exported(tmp_path):
    model = _model("unet_l4", channels=[4, 8])
    for pipeline in (
        Pipeline.of([model, model], name="more"),
        Pipeline.of([model], name="more", crf="deeplab"),
        Pipeline.of([model], name="more", test_time=TestTime(mirror=True)),
        Pipeline(PipelineConfig("more", (Member("a", frame=(80, 80)),)), [model]),
    ):
        with pytest.raises(IncompatibleError, match=r"pipeline more cannot be exported.* one by one"):
            export(pipeline, tmp_path / "m.onnx")
    with pytest.raises(IncompatibleError, match="was made faster"):
        export(zoo.optimize(model), tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(ZooError, match=r"cannot write .*gone.m\.pt2: No such file"):
        export(_model("unet_l4", channels=[4, 8]), tmp_path / "gone" / "m.pt2", format="pt2", size=(64, 64))


def test_missing_packages_are_named(tmp_path, monkeypatch):
    model = _model("unet_l4", channels=[4, 8])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ZooError, match=r'pip install "zoo-segmentation\[onnx\]"'):
        export(model, tmp_path / "m.onnx")


def test_the_command(tmp_path, zoo_command):
    zoo.save(_model("unet_l4", channels=[4, 8]), tmp_path / "m.safetensors")
    done = zoo_command("export", "m.safetensors", "--format", "pt2", "--size", "64x80", "--json")
    record = json.loads(done.stdout)
    assert record["file"] == "m.pt2"
    assert [parity["size"] for parity in record["parity"]] == [[2, 3, 64, 80], [1, 3, 43, 61]]
    assert (tmp_path / "m.pt2").is_file()
    assert "--force" in zoo_command("export", "m.safetensors", "--out", "m.pt2", code=1).stderr
    assert "which format" in zoo_command("export", "m.safetensors", "--out", "m.bin", code=1).stderr
    for size in ("big", "0x5", "9" * 5000):
        assert "HEIGHTxWIDTH" in zoo_command("export", "m.safetensors", "--size", size, code=2).stderr
    assert "no weight file" in zoo_command("export", "absent.safetensors", code=1).stderr
    (tmp_path / "one.toml").write_text('[pipeline]\nname = "one"\n[[model]]\nname = "a"\nweights = "m.safetensors"\n')
    zoo_command("export", "one.toml", "--format", "pt2", "--size", "64x80", "--static")
    assert (tmp_path / "one.pt2").is_file()
