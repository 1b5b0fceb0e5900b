"""`zoo.testing.check`: what it takes for a plugin, what it says, and what it leaves alone."""

import hashlib
import json
import sys
from pathlib import Path

import pytest
import torch
from plugin_world import write_plugin

import zoo
from zoo.errors import PluginError, UnknownNameError
from zoo.manifest import KINDS
from zoo.registry import registry
from zoo.testing import CHECKS, NotConforming, Report, check
from zoo.testing.kinds import demand
from zoo.testing.located import located

pytestmark = pytest.mark.usefixtures("fresh_registry")


def failed(report: Report) -> dict[str, str]:
    return {finding.check: finding.message for finding in report.failures}


@pytest.mark.parametrize("kind", ["decoder", "dataset"])
def test_a_right_plugin_passes(kind: str, tmp_path: Path) -> None:
    names = {name for checks in CHECKS.values() for name in checks} - {"compile", "export", "importing"}
    report = check(write_plugin(tmp_path, kind), only=names)
    assert report.ok, str(report)
    assert {finding.component.partition(" ")[0] for finding in report.findings} >= {"plugin", kind}


@pytest.mark.slow
def test_everything_of_a_right_plugin_passes(tmp_path: Path) -> None:
    """Here of an encoder; of an architecture test_plugin_docs.py checks everything."""
    report = check(write_plugin(tmp_path, "encoder"))
    assert report.ok, str(report)
    assert {"compile", "export", "pairs"} <= {finding.check for finding in report.findings}


def test_imports_that_change_the_world(tmp_path: Path) -> None:
    code = "import random\nimport warnings\n\nimport torch\n\ntorch.manual_seed(3)\nrandom.seed(3)\n"
    code += "torch.set_default_dtype(torch.float64)\ntorch.set_num_threads(7)\nwarnings.simplefilter('ignore')\n"
    code += "import zoo\n\n\n@zoo.register('head', 'mine')\ndef mine():\n    pass\n\n\nfrom zoo.errors import"
    project = write_plugin(tmp_path, "arch", ("net.py", "from zoo.errors import", code))
    found = failed(check(project, only=["importing"]))["importing"]
    for changed in ("default dtype", "Python's random", "torch's random", "threads", "filters of warn", "the registry"):
        assert changed in found


@pytest.mark.slow
def test_imports_that_speak(tmp_path: Path) -> None:
    project = write_plugin(tmp_path, "arch", ("net.py", "from zoo.errors", "print('hello')\nfrom zoo.errors"))
    assert "prints 'hello'" in failed(check(project, only=["importing"]))["importing"]


@pytest.mark.slow
def test_imports_that_leave(tmp_path: Path) -> None:
    project = write_plugin(tmp_path, "arch", ("net.py", "from zoo.errors", "raise SystemExit(3)\nfrom zoo.errors"))
    report = check(project, only=["importing", "sizes"])
    assert "SystemExit: 3" in failed(report)["importing"]
    assert [finding.check for finding in report.findings] == ["importing"], "the rest could only say the same"


@pytest.mark.parametrize("sound", [True, False])
def test_published_weights_are_verified(tmp_path: Path, sound: bool) -> None:
    names = "def translate(state, model):\n    return state\n"
    project = write_plugin(
        tmp_path,
        "arch",
        ("", "PKG/names.py", names),
        ("plugin.toml", 'encoder = "resnet18"', 'from = { acme = "PKG.names:translate" }\nencoder = "resnet18"'),
    )
    file = tmp_path / "net.pth"
    with located(str(project)):
        torch.save(zoo.create_model("net_mobilenet").state_dict(), file)
    (manifest,) = project.rglob("plugin.toml")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    source = f'{{ from = "acme", name = "net.pth", urls = ["{file.as_uri()}"], sha256 = "{digest}" }}'
    record = f'name = "net_mobilenet.first"\nsummary = "s"\nmodel = "net_mobilenet"\nsources = [{source}]\n'
    manifest.write_text(f"{manifest.read_text()}\n[[weights]]\n{record}")
    assert check(project, only=["weights"]).findings[0].status == "skipped", "they are not here"
    if not sound:
        file.write_bytes(file.read_bytes()[:-1] + b"\x01")
    report = check(project, only=["weights"], fetch=True)
    assert report.ok is sound, str(report)
    if not sound:
        assert "sha256" in failed(report)["weights"]


def test_only_a_component(tmp_path: Path) -> None:
    project = write_plugin(tmp_path, "arch")
    namespace = project.name.removeprefix("zoo-")
    report = check(project, only=["net_mobilenet", "num_classes"])
    assert {(f.component, f.check) for f in report.findings} == {(f"model {namespace}/net_mobilenet", "num_classes")}
    with pytest.raises(UnknownNameError, match=r"named 'nett'.*Did you mean 'net'"):
        check(project, only=["nett"])


def test_a_broken_manifest_comes_before_what_is_asked_for(tmp_path: Path) -> None:
    project = write_plugin(tmp_path, "arch", ("plugin.toml", "api = 1", "api = = 1"))
    for asked in ("net", "targets"):
        report = check(project, only=[asked])
        assert [finding.check for finding in report.findings] == ["manifest"]
        assert "cannot be read" in failed(report)["manifest"]


def test_it_is_as_if_nothing_had_been(tmp_path: Path) -> None:
    before, known = list(sys.path), registry()
    project = write_plugin(tmp_path, "dataset")
    package = next((project / "src").iterdir()).name
    assert check(project, only=["targets"]).ok
    assert sys.path == before
    assert registry() is known
    assert package not in sys.modules
    (manifest,) = project.rglob("plugin.toml")
    manifest.write_text(manifest.read_text().replace(":Blocks", ":Bricks"))
    assert "no attribute 'Bricks'" in failed(check(project, only=["targets"]))["targets"]


def test_the_folder_of_the_package_will_do(tmp_path: Path) -> None:
    project = write_plugin(tmp_path, "dataset")
    (package,) = (project / "src").iterdir()
    assert check(package, only=["manifest"]).ok
    (project / "pyproject.toml").unlink()
    assert check(package, only=["manifest", "listing"]).ok


def test_what_is_installed_is_found_by_each_of_its_names(install, monkeypatch, tmp_path: Path) -> None:
    text = 'api = 1\nnamespace = "good"\n[[dataset]]\nname = "d"\ntarget = "zoo_fine:D"\nsummary = "s"\n'
    monkeypatch.syspath_prepend(install("zoo_fine", text))
    monkeypatch.chdir(tmp_path)
    for name in ("good", "zoo_fine", "zoo-fine"):
        assert check(name, only=["manifest"]).summary() == "good (zoo-fine 1.0): 1 ok, 0 failed, 0 skipped"


def test_what_is_left_out_says_so(install, monkeypatch) -> None:
    monkeypatch.syspath_prepend(install("zoo_fine", 'api = 1\nnamespace = "good"\n'))
    monkeypatch.setenv("ZOO_PLUGINS", "other")
    assert "ZOO_PLUGINS" in failed(check("good"))["manifest"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "neither a pyproject.toml nor a plugin.toml"),
        ({"pyproject.toml": "[project]\nname = 'a'\n"}, "announces no plugin"),
        ({"pyproject.toml": "[project\n"}, "cannot be read"),
        ({"pyproject.toml": '[project.entry-points."zoo.plugins"]\na = "x"\nb = "y"\n'}, "expected one entry.*has 2"),
        ({"pyproject.toml": '[project.entry-points."zoo.plugins"]\na = "x"\n'}, "there is no folder x"),
    ],
)
def test_a_folder_that_is_no_plugin(tmp_path: Path, files: dict[str, str], message: str) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(PluginError, match=message):
        check(tmp_path)


def test_no_such_plugin(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"no plugin 'pspent'.*Did you mean 'pspnet'"):
        check("pspent")
    with pytest.raises(PluginError, match="not there"):
        check(tmp_path / "nowhere")


def test_a_report_is_json(tmp_path: Path) -> None:
    project = write_plugin(tmp_path, "arch", ("plugin.toml", ":net", ":nett"))
    record = json.loads(json.dumps(check(project, only=["targets"]).to_json()))
    assert record["ok"] is False
    (finding,) = record["findings"]
    assert finding.keys() == {"component", "check", "status", "message", "where", "mend"}
    assert finding["where"].endswith("plugin.toml")


def test_every_check_says_what_it_demands() -> None:
    for kind, checks in CHECKS.items():
        assert kind == "plugin" or kind in KINDS
        for name in checks:
            assert demand(kind, name).endswith("."), (kind, name)


def test_a_golden_pair_is_answered_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from zoo.testing import Subject, check_property, keep_golden

    subject = Subject("unet_l4", options={"channels": [4, 6, 8, 10]}, golden=tmp_path / "g.safetensors")
    with pytest.raises(NotConforming, match="there is no golden pair"):
        check_property("golden", subject)
    keep_golden(subject, tmp_path / "g.safetensors")
    check_property("golden", subject)
    from zoo.heads import ScoreHead

    plain = ScoreHead.forward
    monkeypatch.setattr(ScoreHead, "forward", lambda self, x, size: plain(self, x * 1.1, size))
    with pytest.raises(NotConforming, match="answers differently than before"):
        check_property("golden", subject)
