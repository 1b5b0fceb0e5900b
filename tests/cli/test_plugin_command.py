import json
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from zoo.cli import cli
from zoo.scaffold import KINDS, new


def test_new_writes_and_says_what_next(zoo_command, tmp_path):
    done = zoo_command("plugin", "new", "acme", "--dataset", "--out", "here/acme")
    assert "wrote here/acme" in done.stdout
    assert "src/zoo_acme/plugin.toml" in done.stdout
    assert "zoo plugin check ." in done.stdout
    again = zoo_command("plugin", "new", "acme", "--out", "here/acme", code=1)
    assert again.stderr.strip() == (
        "Error: here/acme exists already and is not empty; give another folder with --out DIR"
    )
    assert (tmp_path / "here/acme/src/zoo_acme/blocks.py").is_file(), "the first one is untouched"


def test_new_takes_one_kind(zoo_command):
    assert "give one of --arch" in zoo_command("plugin", "new", "acme", "--arch", "--encoder", code=2).stderr


def test_new_imports_nothing_heavy(zoo_command):
    done = zoo_command("plugin", "new", "acme", flags=["-X", "importtime"])
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "zoo.scaffold" in imported
    assert not imported & {"torch", "numpy", "timm", "pydantic"}


def test_a_command_that_is_not_there(zoo_command):
    assert "Did you mean 'check'" in zoo_command("plugin", "chek", code=2).stderr


def run(*args, code=0):
    """In this process: another one would import torch each time."""
    done = CliRunner().invoke(cli, ["plugin", "check", *map(str, args)])
    assert done.exit_code == code, done.output
    return done


@pytest.mark.usefixtures("fresh_registry")
def test_check_passes_and_fails(tmp_path, monkeypatch):
    project = new("acme", "arch", tmp_path / "acme")
    good = run(project, "--only", "targets", "--only", "num_classes").stdout
    assert good.splitlines()[0] == "ok       plugin: targets"
    assert good.splitlines()[-1].endswith("0 failed, 0 skipped")
    manifest = project / "src/zoo_acme/plugin.toml"
    manifest.write_text(manifest.read_text().replace(":net", ":nett"))
    monkeypatch.chdir(tmp_path)
    bad = run("./acme", "--only", "targets", code=1).stdout
    assert "what:  architecture 'acme/net' of plugin 'acme' cannot be loaded from 'zoo_acme.net:nett'" in bad
    assert f"where: {manifest}" in bad
    assert "mend:  mend plugin.toml" in bad
    record = json.loads(run(project, "--only", "targets", "--json", code=1).stdout)
    assert (record["plugin"], record["ok"], len(record["findings"])) == ("acme", False, 1)


@pytest.mark.usefixtures("fresh_registry")
@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["pspent"], "there is no plugin 'pspent', and no folder of that name here. Did you mean 'pspnet'"),
        (["./nowhere"], "nowhere is not there; `zoo plugin new NAME` makes a plugin"),
        (["pspnet", "--only", "sises"], "neither a component nor a check named 'sises'. Did you mean 'sizes'"),
        (["fcn", "--only", "fcn8s_staged"], "nothing was checked"),
    ],
)
def test_check_refuses_in_one_line(args, message):
    error = run(*args, code=1).stderr.strip()
    assert message in error
    assert "\n" not in error


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "arch"])
def test_installed_in_a_fresh_environment(kind, tmp_path, root, libraries):
    """`pip install .`, pytest, `zoo plugin check`, with Zoo from the checkout and the libraries that are here.

    For an architecture test_plugin_docs.py does so.
    """
    project = new(f"fresh-{kind}", kind, tmp_path / "project")
    environment = tmp_path / "venv"
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}

    def run(*command, cwd=tmp_path):
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=cwd, env=clean)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run(sys.executable, "-m", "venv", "--without-pip", environment)
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "libraries.pth").write_text(f"{libraries}\n{root}\n")
    python = environment / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check", "install"]
    run(*pip, "--no-deps", "--no-index", "--no-build-isolation", project)
    (package,) = packages.glob("zoo_fresh*[!o]")
    assert (package / "plugin.toml").is_file()
    listed = json.loads(run(python, "-m", "zoo", "plugins", "--json"))
    assert [plugin["status"] for plugin in listed if plugin["name"] == f"fresh_{kind}"] == ["ok"]
    tests = run(python, "-m", "pytest", "-p", "no:cacheprovider", "-q", "tests", cwd=project)
    assert " passed" in tests
    assert "failed" not in tests
    assert "error" not in tests.lower()
    checked = run(python, "-m", "zoo", "plugin", "check", f"zoo-fresh-{kind}", "--only", "targets")
    assert checked.splitlines()[-1] == f"fresh_{kind} (zoo-fresh-{kind} 0.1.0): 1 ok, 0 failed, 0 skipped"
