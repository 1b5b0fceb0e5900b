"""A group of commands that are files of a package."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import click

from zoo.errors import PluginError, ZooError, did_you_mean


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports only the one that runs.

    Args:
        package: Where they are: command ``x`` is ``package.x:command``.
        of: Name → one line of help.
        open: Whether plugins may bring further ones, ``[[command]]`` in their manifests. None takes a name of `of`.
    """

    def __init__(self, *args: Any, package: str, of: Mapping[str, str], open: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.package = package
        self.of = of
        self.open = open

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.of, *self._brought()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self.of:
            command = import_module(f"{self.package}.{cmd_name}").command
            assert isinstance(command, click.Command)
            return command
        return _of_plugin(cmd_name) if self.open else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.of and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            known = self.list_commands(ctx)
            raise click.UsageError(f"there is no command {args[0]!r}.{did_you_mean(args[0], known)}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([*self.of.items()])
        if brought := self._brought():
            with formatter.section("Commands of plugins"):
                formatter.write_dl([*brought.items()])

    def _brought(self) -> dict[str, str]:
        """Name → one line of help of the commands that plugins bring; by its bare name each one that can be."""
        if not self.open:
            return {}
        from zoo.registry import registry

        specs = registry().find("command")
        bare = [spec.name.rpartition("/")[2] for spec in specs]
        return {
            name if bare.count(name) == 1 and name not in self.of else spec.name: spec.summary
            for name, spec in zip(bare, specs, strict=True)
        }

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        with _in_a_line(ctx):  # an option may run a plugin's file
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        with _in_a_line(ctx):
            return super().invoke(ctx)


@contextmanager
def _in_a_line(ctx: click.Context) -> Iterator[None]:
    """Say in a line what a user can mend, and that somebody stopped it."""
    try:
        yield
    except ZooError as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:  # click would exit with 1, as for an error
        click.echo("stopped", err=True)
        ctx.exit(130)


def _of_plugin(name: str) -> click.Command | None:
    from zoo.registry import registry

    spec = registry().lookup("command", name)
    if spec is None:
        return None
    command = spec.load()
    if not isinstance(command, click.Command):
        raise PluginError(
            f"the command {spec.name!r} of plugin {spec.plugin!r} ({spec.target}) is a {type(command).__name__}; "
            "expected a click command"
        )
    return command
