"""The example of a plugin, as a stranger has it: two wheels in a fresh environment, and nothing else."""

import json
import shutil
import sys

import numpy as np
import pytest
from fresh_environment import install, run
from PIL import Image

pytestmark = pytest.mark.slow

FROM_TORCH_HUB = """
import sys, torch
model = torch.hub.load(sys.argv[1], "load", sys.argv[2], source="local")
assert sys.modules["zoo"].__file__.startswith(sys.argv[1]), sys.modules["zoo"].__file__
print(model.config.name, tuple(model(torch.zeros(1, 3, 33, 47))["out"].shape))
"""


@pytest.fixture
def example(tmp_path, root):
    """A copy of the example, so that nothing is built in the checkout."""
    name = "zoo-plugin-example"
    ignored = shutil.ignore_patterns("__pycache__", ".pytest_cache", "dist")
    return shutil.copytree(root / "examples" / name, tmp_path / name, ignore=ignored)


def test_everything_works_with_the_installed_wheels(tmp_path, checkout, environment, example):
    for source in (checkout, example):
        wheels = tmp_path / "wheels"
        build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", wheels]
        run(*build, source, cwd=tmp_path)
    install(environment, *wheels.glob("*.whl"), cwd=tmp_path)
    command = environment[0] / "bin" / "zoo"

    def zoo(*arguments):
        return run(command, *arguments, cwd=tmp_path)

    (listed,) = json.loads(zoo("list", "fast_scnn*", "--json"))
    assert listed["name"] == "example/fast_scnn_cityscapes"
    status = {plugin["name"]: plugin for plugin in json.loads(zoo("plugins", "--json"))}["example"]
    assert (status["status"], status["origin"]) == ("ok", "zoo-plugin-example 1.0")
    built = json.loads(zoo("info", "fast_scnn_cityscapes", "--build", "--json"))["built"]
    assert built["parameters"]["total"] == listed["parameters"] == 1_137_795
    assert "latency" in zoo("--help")
    assert json.loads(zoo("latency", "fast_scnn", "--size", "64x96", "--repeats", 1, "--json"))["milliseconds"] > 0

    train = ["train", "fast_scnn", "--data", "shapes", "--out", "run", "--steps", 2, "-o", "model.options.aux=true"]
    zoo(*train, "-o", "data.batch_size=2", "-o", "data.workers=0", "-o", "data.crop=64", "-o", "data.check=false")
    Image.fromarray(np.zeros((45, 61, 3), np.uint8)).save(tmp_path / "photo.png")
    zoo("predict", "run/best.safetensors", "photo.png", "--out", "predicted")
    assert Image.open(tmp_path / "predicted" / "photo.png").size == (61, 45)
    zoo("export", "run/best.safetensors", "--format", "onnx", "--out", "net.onnx")
    assert (tmp_path / "net.onnx").stat().st_size > 4_000_000

    python = environment[0] / "bin" / "python"
    loaded = run(python, "-c", FROM_TORCH_HUB, checkout, tmp_path / "run" / "best.safetensors", cwd=tmp_path)
    assert loaded.strip() == "example/fast_scnn (1, 10, 33, 47)"
    assert "all is well" in zoo("doctor")
    run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", example / "tests", cwd=tmp_path)
