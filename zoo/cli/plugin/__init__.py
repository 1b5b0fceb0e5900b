"""``zoo plugin``: writing plugins. Each command is a file of this folder."""

import click

from zoo.cli._group import LazyGroup

_COMMANDS = {
    "new": "Write a distribution to begin with: code, manifest, tests.",
    "check": "Hold a plugin to everything that Zoo promises of it.",
}


@click.group(cls=LazyGroup, package=__name__, of=_COMMANDS)
def command() -> None:
    """For authors of plugins; `zoo plugins` shows those that are installed.

    \b
    zoo plugin new acme                    begin one, in ./zoo-acme
    zoo plugin check ./zoo-acme            is it as good as built-in?
    """
