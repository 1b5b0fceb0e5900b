"""docs/plugins.md is a tutorial that works: its commands are run and its files written, in order, as a reader would."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from zoo.manifest import API, KINDS, OLDEST_API

ROOT = Path(__file__).parents[1]
TUTORIAL = ROOT / "docs" / "plugins.md"


class Block(NamedTuple):
    language: str
    text: str

    @property
    def file(self) -> str | None:
        """The file that it is, where its first line says so."""
        found = re.match(r"# (\S+/\S+\.(?:py|toml))\n", self.text)
        return found[1] if found and self.language in ("python", "toml") else None


def blocks() -> list[Block]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", TUTORIAL.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [Block(*pair) for pair in found]


@pytest.fixture
def shell(tmp_path, libraries):
    """Runs a script where the one before it ended, in a fresh environment with Zoo from the checkout."""
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "libraries.pth").write_text(f"{libraries}\n{ROOT}\n")
    python, commands = environment / "bin" / "python", environment / "bin"
    pip = f"{sys.executable} -m pip --python {python} --disable-pip-version-check"
    for name, line in {
        "zoo": f'{python} -m zoo "$@"',
        "pytest": f'{python} -m pytest -p no:cacheprovider "$@"',
        "pip": f'c=$1; shift; {pip} "$c" --quiet --no-deps --no-index --no-build-isolation "$@"',
    }.items():
        (commands / name).write_text(f"#!/bin/sh\n{line}\n")
        (commands / name).chmod(0o755)
    work = tmp_path / "work"
    work.mkdir()
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    env |= {"PATH": f"{commands}{os.pathsep}{env['PATH']}", "ZOO_STRICT": "1"}
    here = [work]

    def run(script: str) -> str:
        end = tmp_path / "end"
        body = f"set -e\n({script}\npwd > {end}\n)"
        done = subprocess.run(["bash", "-c", body], capture_output=True, text=True, cwd=here[0], env=env)
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
        here[0] = Path(end.read_text().strip())
        return done.stdout

    return run, lambda: here[0]


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="the tutorial is written for a POSIX shell")
def test_the_tutorial_works(shell):
    run, here = shell
    outputs = []
    for block in blocks():
        if block.file is not None:
            path = here() / block.file
            assert path.parent.is_dir(), f"{block.file} belongs to a folder that is not there"
            path.write_text(block.text, encoding="utf-8")
        elif block.language == "sh":
            outputs.append(run(block.text))
    assert "acme/net" in outputs[0]
    assert "needs\n" in outputs[1]
    assert "it is right to complain" in outputs[1]
    assert "0 failed" in outputs[2]
    assert " passed" in outputs[2]
    assert " passed" in outputs[3]


def test_it_has_what_the_test_runs():
    found = blocks()
    assert sum(block.language == "sh" for block in found) >= 6
    assert {block.file for block in found} >= {
        "src/zoo_acme/net.py",
        "src/zoo_acme/plugin.toml",
        "tests/test_net.py",
    }


def test_it_speaks_of_every_kind():
    text = TUTORIAL.read_text(encoding="utf-8") + reference().DOCUMENT.read_text(encoding="utf-8")
    assert all(f"[[{kind}]]" in text for kind in KINDS)


def test_the_range_of_apis_is_the_code_s():
    text = TUTORIAL.read_text(encoding="utf-8")
    assert (OLDEST_API, API) == (1, 1), "say in docs/plugins.md what changed, and mend this test"
    assert "accepts `api = 1`\nand no other" in text


def reference():
    path = ROOT / "tools" / "make_plugin_reference.py"
    spec = importlib.util.spec_from_file_location("make_plugin_reference", path)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    return tool


def test_the_reference_is_up_to_date():
    tool = reference()
    assert tool.DOCUMENT.read_text(encoding="utf-8") == tool.document(), "run tools/make_plugin_reference.py"
