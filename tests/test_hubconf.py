import ast
import importlib.util
import inspect
import os
import subprocess
import sys
import types

import pytest
import torch

import zoo
from zoo.errors import CheckpointError, OptionError


def _module(path, name):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def hubconf(root, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    return _module(root / "hubconf.py", "hubconf_under_test")


def _models():
    return [spec.name for spec in zoo.find("model") if "architecture" in spec.meta and spec.name.isidentifier()]


def test_is_what_its_tool_writes(root):
    written = _module(root / "tools" / "make_hubconf.py", "make_hubconf_under_test").render()
    assert (root / "hubconf.py").read_text(encoding="utf-8") == written, "run: python tools/make_hubconf.py"


def test_entry_points_are_exactly_the_named_models(hubconf):
    entry_points = [name for name, value in vars(hubconf).items() if callable(value) and not name.startswith("_")]
    assert entry_points[0] == "load"
    assert entry_points[1:] == sorted(entry_points[1:]) == _models()
    assert {"fcn8s_vgg16", "fcn16s_vgg16", "fcn32s_vgg16", "fcn8s_atonce_vgg16"} <= set(entry_points)


def test_load_takes_any_file(hubconf, tmp_path):
    import zoo

    path = zoo.save(zoo.create_model("fcn8s@resnet18", num_classes=2), tmp_path / "m.safetensors")
    model = hubconf.load(path)
    assert not model.training
    assert model(torch.rand(1, 3, 33, 40))["out"].shape == (1, 2, 33, 40)


def test_every_entry_point_is_documented(hubconf):
    for name in _models():
        function = getattr(hubconf, name)
        parameters = inspect.signature(function).parameters
        assert next(iter(parameters)) == "pretrained"
        assert parameters["pretrained"].default is False
        assert {"num_classes", "in_channels"} <= set(parameters)
        doc = inspect.getdoc(function)
        assert "Example:" in doc
        assert name in doc
        assert "{" not in doc.replace("{", "", doc.count('{"'))


def test_imports_nothing_heavy_at_the_top(root):
    """`dependencies` are checked only after the file has run."""
    tree = ast.parse((root / "hubconf.py").read_text(encoding="utf-8"))
    imported = {
        alias.name for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom) for alias in node.names
    }
    assert imported == {"os", "sys"}


@pytest.mark.usefixtures("narrow_vgg")
def test_options_and_weights_reach_the_model(hubconf, tmp_path):
    model = hubconf.fcn8s_vgg16(num_classes=3, in_channels=1, learn_upsampling=True, dropout=0.1)
    assert (
        model.config
        == zoo.create_model("fcn8s_vgg16", num_classes=3, in_channels=1, learn_upsampling=True, dropout=0.1).config
    )
    path = zoo.save(model, tmp_path / "m.safetensors")
    again = hubconf.fcn8s_vgg16(pretrained=str(path), in_channels=1)
    assert torch.equal(again.encoder.conv1_1.weight, model.encoder.conv1_1.weight)
    with pytest.raises(CheckpointError, match="no default weights"):
        hubconf.unet_l5(pretrained=True)
    with pytest.raises(OptionError, match="'colour'"):
        hubconf.fcn8s_vgg16(colour=1)


def test_another_package_called_zoo_is_named(hubconf, monkeypatch):
    theirs = types.ModuleType("zoo")
    theirs.__file__ = "/animals/zoo.py"
    monkeypatch.setitem(sys.modules, "zoo", theirs)
    with pytest.raises(ImportError, match=r"another package called 'zoo'.*/animals/zoo\.py"):
        hubconf.fcn8s_vgg16()


@pytest.mark.usefixtures("narrow_vgg")
def test_a_zoo_that_is_loaded_already_is_used_with_a_warning(root, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    other = tmp_path / "hubconf.py"
    other.write_bytes((root / "hubconf.py").read_bytes())
    with pytest.warns(UserWarning, match=rf"Zoo {zoo.__version__} from .* is used instead of the checkout"):
        model = _module(other, "other_hubconf").fcn8s_vgg16(num_classes=2)
    assert isinstance(model, zoo.create_model("fcn8s_vgg16", num_classes=2).__class__)
    assert str(tmp_path) not in sys.path


SCRIPT = """
import multiprocessing
import pickle
import sys

LIBRARIES, CHECKOUT, THEIRS = sys.argv[1:]
if LIBRARIES not in sys.path:
    sys.path += [LIBRARIES, THEIRS]


def work(data):
    import torch

    model = pickle.loads(data)
    return tuple(model(torch.empty(1, 3, 20, 30, device="meta"))["out"].shape)


if __name__ == "__main__":
    import importlib.util
    import json

    import torch

    assert importlib.util.find_spec("zoo") is None, "Zoo is installed here"
    hub = {"skip_validation": True, "trust_repo": True}
    listed = torch.hub.list("owner/zoo:main", **hub)
    assert "learn_upsampling" in torch.hub.help("owner/zoo:main", "fcn8s_vgg16", **hub)
    assert "zoo" not in sys.modules, "listing needs no Zoo"

    model = torch.hub.load("owner/zoo:main", "fcn8s_vgg16", pretrained=False, num_classes=5, **hub)
    again = torch.hub.load(CHECKOUT, "fcn32s_vgg16", source="local", num_classes=2, first_padding=1, classifier=False)
    import zoo

    assert zoo.__file__.startswith(CHECKOUT), zoo.__file__
    assert CHECKOUT not in sys.path[: sys.path.index(THEIRS)], "the checkout shadows modules of the user"
    light = {"click", "pydantic", "rich", "timm", "huggingface_hub"} & set(sys.modules)
    import plugins

    assert plugins.answer == 42, "the user's own module"
    answer = model.eval().predict(torch.randint(0, 256, (3, 40, 50), dtype=torch.uint8))
    assert answer.labels.shape == (40, 50)

    shape = None
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        shape = pool.apply(work, (pickle.dumps(model.to("meta")),))
    print(json.dumps({"listed": listed, "shape": shape, "heavy": sorted(light)}))
"""


@pytest.mark.slow
def test_an_uninstalled_checkout_works_from_anywhere(tmp_path, checkout, libraries):
    """As torch.hub leaves it; also after torch.hub has taken it from `sys.path` again, and in a spawned worker."""
    import json

    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "plugins.py").write_text("answer = 42")
    done = subprocess.run(
        [sys.executable, "-I", "-S", "script.py", libraries, checkout, tmp_path / "theirs"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "TORCH_HOME": str(checkout.parents[1])},
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert report == {"listed": sorted([*_models(), "load"]), "shape": [1, 5, 20, 30], "heavy": []}
    assert "Warning" not in done.stderr
