"""What `zoo plugin new` writes; that it can be installed is in test_plugin_command.py."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import zoo
from zoo.errors import PluginError
from zoo.manifest import read_manifest
from zoo.scaffold import KINDS, names_of, new


@pytest.mark.parametrize("given", ["acme", "zoo-acme", "zoo_acme", "ACME", "Zoo.Acme"])
def test_one_name_in_all_its_forms(given: str) -> None:
    assert names_of(given) == ("zoo-acme", "zoo_acme", "acme")


def test_a_longer_name() -> None:
    assert names_of("Road.Nets--2") == ("zoo-road-nets-2", "zoo_road_nets_2", "road_nets_2")
    assert names_of("class").package == "zoo_class", "a word of Python's is none behind zoo_"


@pytest.mark.parametrize(
    "name", ["", "-acme", "acme-", "ac me", "a/b", "../up", "häuser", "a" * 61, "acme\n", "zoo", "__"]
)
def test_a_name_that_cannot_be(name: str, tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"cannot be the name|name of the core"):
        new(name, out=tmp_path / "x")
    assert not list(tmp_path.glob("*")) or os.listdir(tmp_path) == ["cache"]


def test_a_name_is_suggested() -> None:
    with pytest.raises(PluginError, match="Try 'road-nets'"):
        names_of("road nets")


@pytest.mark.parametrize("name", ["fcn", "zoo-unet"])
def test_a_namespace_that_is_taken(name: str) -> None:
    with pytest.raises(PluginError, match=r"belongs to a plugin that is here already .built-in.*'my-"):
        names_of(name)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_whole_and_tidy(kind: str, tmp_path: Path) -> None:
    folder = new("acme-nets", kind, tmp_path / "made")
    project = tomllib.loads((folder / "pyproject.toml").read_text())
    assert project["project"]["name"] == "zoo-acme-nets"
    assert project["project"]["entry-points"]["zoo.plugins"] == {"acme_nets": "zoo_acme_nets"}
    assert project["project"]["dependencies"] == [f"zoo-segmentation>={zoo.__version__}"]
    manifest = read_manifest(folder / "src/zoo_acme_nets/plugin.toml")
    assert manifest.namespace == "acme_nets"
    assert {spec.kind for spec in manifest.specs} >= {kind.replace("arch", "architecture")}
    texts = {path: path.read_text() for path in folder.rglob("*") if path.is_file()}
    assert {path.name for path in texts} >= {"README.md", ".gitignore", "test_plugin.py", "__init__.py"}
    assert (kind == "arch") == any(spec.kind == "recipe" for spec in manifest.specs)
    for path, text in texts.items():
        assert not re.search(r"@(distribution|package|namespace|version)@", text), f"{path}: a placeholder is left"
        assert text.endswith("\n")
    if os.name == "posix":
        assert folder.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("kind", KINDS)
def test_ruff_finds_nothing(kind: str, tmp_path: Path) -> None:
    folder = new("acme", kind, tmp_path / "made")
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--no-cache", "."], capture_output=True, text=True, cwd=folder
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_is_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert new("acme") == Path("zoo-acme")
    for out in (None, "file", "link"):
        if out == "file":
            Path(out).write_text("mine")
        elif out == "link":
            Path(out).symlink_to("nowhere")
        with pytest.raises(PluginError, match="exists already"):
            new("acme", out=out)
    assert Path("file").read_text() == "mine"
    Path("empty").mkdir()
    assert (new("acme", out="empty") / "pyproject.toml").is_file()
    Path("here").mkdir()
    monkeypatch.chdir("here")
    assert new("acme", out=".") == Path()
    assert Path("pyproject.toml").is_file()
    assert Path.cwd().samefile(tmp_path / "here"), "the folder is the one that it was"
    assert not list(tmp_path.glob(".*-*")), "no half-written folder is left"


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PluginError, match="cannot be written"):
        new("acme", out=tmp_path / "file" / "acme")


def test_no_such_template() -> None:
    with pytest.raises(PluginError, match="there is no template 'head'"):
        new("acme", "head")
