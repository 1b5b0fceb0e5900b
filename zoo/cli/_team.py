"""A command that several processes run together."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import click

from zoo.errors import ZooError

Value = TypeVar("Value")


@contextmanager
def in_team(settings: Callable[[], Value]) -> Iterator[tuple[bool, Value]]:
    """Join the other processes for the length of a block; yield whether this one prints, and the lead's settings.

    An error that all of them know of is printed by the lead alone; all end with the same exit code.

    Args:
        settings: What was asked for; called on the lead only, for it may read files that other hosts do not have.

    Raises:
        ZooError: As `settings` or the block raises it.
    """
    from zoo.training.parallel.team import joined

    with joined() as team:
        if not team.lead:
            warnings.simplefilter("ignore")
        try:
            with team.together():
                value = settings() if team.lead else None
            yield team.lead, team.share(value)  # type: ignore[misc]  # the lead's
        except (ZooError, click.ClickException) as error:
            if team.silent(error):
                raise SystemExit(error.exit_code if isinstance(error, click.ClickException) else 1) from None
            raise
