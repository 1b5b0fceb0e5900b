"""``zoo data``: data sets. Each command is a file of this folder."""

import click

from zoo.cli._group import LazyGroup

_COMMANDS = {
    "check": "Read every picture and mask of a data set, and report all that is wrong.",
}


@click.group(cls=LazyGroup, package=__name__, of=_COMMANDS)
def command() -> None:
    """Data sets: registered ones (zoo list --kind dataset) and folders.

    \b
    zoo data check my_folder                              is it fit for training?
    zoo data check my_folder --sheet samples.png          and does it look right?
    zoo data check my_folder --write-data-toml            begin a description of its classes
    """
