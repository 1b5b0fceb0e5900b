"""The group itself: unknown commands, and what an interruption looks like from outside."""

import click
from click.testing import CliRunner

from zoo import cli
from zoo.cli import list as list_command


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
