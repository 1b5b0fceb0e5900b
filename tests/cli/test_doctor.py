import json
import sys

import pytest
from click.testing import CliRunner

from zoo.cli import _checkup, doctor

MANIFEST = (
    'api = 1\nnamespace = "{0}"\n[[architecture]]\nname = "net"\ntarget = "zoo_{0}.net:net"\nsummary = "A net"\n'
    '[[model]]\nname = "small"\narchitecture = "net"\nencoder = "vgg16"\nsummary = "A small one"\n'
)


@pytest.mark.slow
def test_a_healthy_installation(zoo_command):
    text = zoo_command("doctor").stdout
    assert "all is well" in text
    for word in ("zoo 0.", "Python 3.", "torch 2.", "fcn ok"):
        assert word in text


@pytest.fixture
def in_process(monkeypatch, fresh_registry):
    """Runs the command here, where torch is imported already, with other folders on the path."""
    monkeypatch.setattr(doctor, "_LIBRARIES", ("torch", "click"))

    def run(*args, path=()):
        monkeypatch.setattr(sys, "path", [*map(str, path), *sys.path])
        return CliRunner().invoke(doctor.command, args)

    return run


def _of(report, plugin):
    return [problem for problem in report["problems"] if plugin in problem["what"]]


def test_broken_plugins_get_their_traceback_and_cure(in_process, install):
    bodies = {
        "importing": "import nothing_of_that_name",
        "leaving": "raise SystemExit(3)",
        "lacking": "nett = 1",
        "swallowing": "def net(encoder, num_classes, **options): ...",
        "good": "def net(encoder, num_classes): ...",
    }
    for name, body in bodies.items():
        install(f"zoo_{name}", MANIFEST.format(name), code="", modules={"net": body})
    dangling = MANIFEST.format("dangling").replace('"vgg16"', '"vgg_16"')
    install("zoo_dangling", dangling, code="", modules={"net": bodies["good"]})
    done = in_process("--json", path=[install("zoo_garbled", "not = = toml")])
    assert done.exit_code == 1
    report = json.loads(done.stdout)
    assert {name: report["plugins"][name] for name in ("good", "importing", "zoo_garbled")} == {
        "good": "ok",
        "importing": "ok",
        "zoo_garbled": "broken",
    }
    assert _of(report, "good") == []
    for name, said in {
        "importing": "ModuleNotFoundError",
        "leaving": "SystemExit",
        "lacking": "AttributeError",
        "swallowing": "**kwargs",
        "dangling": "'vgg16'",
        "garbled": "cannot be read",
    }.items():
        (problem,) = _of(report, name)
        assert said in problem["error"], name
        assert "uninstall" in problem["cure"]
    assert "nothing_of_that_name" in _of(report, "importing")[0]["traceback"]


def test_a_missing_library_is_a_problem(in_process, monkeypatch):
    monkeypatch.setattr(doctor, "_LIBRARIES", ("torch", "nothing_of_that_name"))
    done = in_process()
    assert done.exit_code == 1
    assert "nothing_of_that_name is broken" in done.stdout
    assert "pip install" in done.stdout


def test_a_single_file_plugin_that_breaks(in_process, tmp_path):
    from zoo.registry import load_file

    (tmp_path / "mine.py").write_text("1 / 0")
    load_file(str(tmp_path / "mine.py"))
    done = in_process()
    assert done.exit_code == 1
    assert "ZeroDivisionError" in done.stdout
    assert "mine.py" in done.stdout


def test_a_broken_table_of_a_family(in_process, install):
    manifest = 'api = 1\nnamespace = "many"\n[[family]]\nkind = "encoder"\ntarget = "zoo_many:x"\nsummary = "s"\n'
    site = install("zoo_many", manifest + 'table = "table.json"\n')
    (site / "zoo_many" / "table.json").write_text("not json")
    done = in_process("--json", path=[site])
    report = json.loads(done.stdout)
    assert done.exit_code == 1
    assert any("table.json" in problem["error"] for problem in report["problems"])


def test_a_family_whose_target_is_gone(in_process, install):
    manifest = 'api = 1\nnamespace = "many"\n[[family]]\nkind = "encoder"\ntarget = "zoo_many:x"\nsummary = "s"\n'
    site = install("zoo_many", manifest + 'table = "table.json"\n', code="")
    (site / "zoo_many" / "table.json").write_text('{"entries": {"m1": {}}}')
    done = in_process("--json", path=[site])
    assert done.exit_code == 1
    assert any("zoo_many:x" in problem["error"] for problem in json.loads(done.stdout)["problems"])


WAITING = """
import socket
server = socket.create_server(("127.0.0.1", 0))
socket.create_connection(server.getsockname()).recv(1)
"""


def test_what_hangs_or_ends_the_process_is_named_and_the_rest_is_checked(in_process, install, monkeypatch):
    """One waits for an answer of a network, one leaves no time for a goodbye."""
    monkeypatch.setattr(_checkup, "PATIENCE", 4.0)
    install("zoo_leaving", MANIFEST.format("leaving"), code="", modules={"net": "import os\nos._exit(7)"})
    install("zoo_waiting", MANIFEST.format("waiting"), code="", modules={"net": WAITING})
    install("zoo_zlast", MANIFEST.format("zlast"), code="", modules={"net": "1 / 0"})
    path = install("zoo_good", MANIFEST.format("good"), code="", modules={"net": "def net(encoder, num_classes): ..."})
    done = in_process("--json", path=[path])
    report = json.loads(done.stdout)
    assert done.exit_code == 1
    assert _of(report, "good") == []
    for name, said in {
        "leaving": "exit code 7",
        "waiting": "more than 4 seconds",
        "zlast": "ZeroDivisionError",
    }.items():
        (problem,) = _of(report, name)
        assert said in problem["error"], name
        assert problem["what"] == f"architecture {name}/net of plugin {name}"
        assert f"uninstall zoo-{name} 1.0" in problem["cure"]
