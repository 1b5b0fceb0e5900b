"""A group of commands that are files of a package."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from zoo.errors import ZooError, did_you_mean


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports only the one that runs.

    Args:
        package: Where they are: command ``x`` is ``package.x:command``.
        of: Name → one line of help.
    """

    def __init__(self, *args: Any, package: str, of: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.package = package
        self.of = of

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.of]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.of:
            return None
        command = import_module(f"{self.package}.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.of and not args[0].startswith("-"):
            raise click.UsageError(f"there is no command {args[0]!r}.{did_you_mean(args[0], self.of)}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([*self.of.items()])

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except ZooError as error:
            raise click.ClickException(str(error)) from error
        except KeyboardInterrupt:  # click would exit with 1, as for an error
            click.echo("stopped", err=True)
            ctx.exit(130)
