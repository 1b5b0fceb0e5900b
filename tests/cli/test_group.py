"""The group itself: unknown commands, and what an interruption looks like from outside."""

import click
import pytest
from click.testing import CliRunner

from zoo import cli
from zoo.cli import list as list_command

FILE = """
import click
import zoo


@zoo.register("command", "greet")
@click.command()
@click.argument("name")
def greet(name):
    'Say hello to NAME.'
    click.echo(f"hello {name}")
"""


def test_an_unknown_command_gets_a_suggestion():
    done = CliRunner().invoke(cli.cli, ["prdict"])
    assert done.exit_code == 2
    assert "Did you mean 'predict'?" in done.output


def test_help_names_every_command():
    done = CliRunner().invoke(cli.cli, ["--help"])
    assert done.exit_code == 0
    for name in ("list", "info", "train", "eval", "predict", "demo", "plugins", "doctor"):
        assert f"\n  {name} " in done.output


def test_an_interruption_exits_with_130(monkeypatch):
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(list_command, "command", click.Command("list", callback=interrupted))
    done = CliRunner().invoke(cli.cli, ["list"])
    assert done.exit_code == 130
    assert "stopped" in done.output


@pytest.mark.usefixtures("fresh_registry")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["greet", "Ada"], "hello Ada\n"),
        (["mine/greet", "Ada"], "hello Ada\n"),
        (["--help"], "Commands of plugins:\n  greet  Say hello to NAME.\n"),
    ],
)
def test_a_file_may_bring_a_command(tmp_path, arguments, said):
    (tmp_path / "mine.py").write_text(FILE)
    done = CliRunner().invoke(cli.cli, ["--plugin", str(tmp_path / "mine.py"), *arguments])
    assert done.exit_code == 0, done.output
    assert said in done.output


@pytest.mark.usefixtures("fresh_registry")
def test_a_file_that_fails_is_one_line_where_that_is_fatal(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_STRICT", "1")
    (tmp_path / "mine.py").write_text("1 / 0")
    done = CliRunner().invoke(cli.cli, ["--plugin", str(tmp_path / "mine.py"), "list"])
    assert (done.exit_code, type(done.exception)) == (1, SystemExit)
    assert done.output.startswith("Error: plugin 'mine'")
    assert len(done.output.splitlines()) == 1
