"""A wheel, an editable install and the bare checkout: in all of them the plugins are `zoo.plugins.*`, and only that."""

import json
import sys
import zipfile

import pytest
from fresh_environment import install, run

pytestmark = pytest.mark.slow

SCRIPT = """
import importlib.util
import json
import zoo
import torch

with torch.device("meta"):
    model = zoo.create_model("fcn8s_vgg16", num_classes=7)
print(json.dumps({
    "home": zoo.__file__,
    "models": zoo.list_models(),
    "plugin": type(model.decoder).__module__,
    "shape": list(model(torch.empty(1, 3, 33, 47, device="meta"))["out"].shape),
    "strays": [name for name in "plugins tests tools benchmarks hubconf".split() if importlib.util.find_spec(name)],
    "version": zoo.__version__,
}))
"""


def _check(environment, tmp_path):
    folder, packages = environment
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    report = json.loads(run(folder / "bin" / "python", "-c", SCRIPT, cwd=elsewhere))
    assert "fcn8s_vgg16" in report["models"]
    assert report["plugin"] == "zoo.plugins.fcn.decoder"
    assert report["shape"] == [1, 7, 33, 47]
    assert report["strays"] == []
    listed = run(folder / "bin" / "zoo", "list", "--json", cwd=elsewhere)
    assert [record["name"] for record in json.loads(listed)] == report["models"]
    assert report["version"] in run(folder / "bin" / "zoo", "--version", cwd=elsewhere)
    assert not list(packages.glob("plugins*"))
    plugins = json.loads(run(folder / "bin" / "zoo", "plugins", "--json", cwd=elsewhere))
    assert {plugin["status"] for plugin in plugins} == {"ok"}
    return report


def test_wheel(tmp_path, checkout, environment, root):
    """Built from the source distribution, so that is whole as well."""
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", tmp_path, checkout, cwd=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"zoo", "zoo_segmentation"}
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]
    for folder, place in (("zoo", "zoo"), ("plugins", "zoo/plugins")):
        for path in (root / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                assert f"{place}/{path.relative_to(root / folder).as_posix()}" in names
    install(environment, wheel, cwd=tmp_path)
    report = _check(environment, tmp_path)
    assert report["home"].startswith(str(environment[1]))


def test_editable_install(tmp_path, checkout, environment):
    install(environment, "--editable", checkout, cwd=tmp_path)
    report = _check(environment, tmp_path)
    assert report["home"].startswith(str(checkout))


def test_bare_checkout(tmp_path, checkout, libraries):
    """Not installed; run in its own folder, as after `git clone`."""
    code = f"import sys; sys.path[:0] = [{str(checkout)!r}]; sys.path.append({str(libraries)!r})\n{SCRIPT}"
    report = json.loads(run(sys.executable, "-I", "-S", "-c", code, cwd=tmp_path))
    assert report["home"].startswith(str(checkout))
    assert report["plugin"] == "zoo.plugins.fcn.decoder"
    assert report["shape"] == [1, 7, 33, 47]
