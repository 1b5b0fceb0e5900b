"""The command line. Each command is a file of this folder; it is imported when it is run, not when it is listed."""

import io
import sys
from importlib import import_module

import click

from zoo import __version__
from zoo.errors import ZooError, did_you_mean

_COMMANDS = {
    "list": "List models, encoders, data sets and everything else there is.",
    "info": "Show what is known of a model, a component or a weight file.",
    "train": "Train a model on a data set.",
    "eval": "Measure a weight file on a data set.",
    "predict": "Segment pictures with a weight file.",
    "demo": "Train, measure and look at a small model, in about three minutes.",
    "plugins": "Show the plugins and how they fare.",
    "doctor": "Check the installation and every plugin; say what to do.",
}


class _LazyGroup(click.Group):
    """A group that knows its commands by name and imports only the one that runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*_COMMANDS]  # `list` is a module of this package once that command has run

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command = import_module(f"zoo.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(f"there is no command {args[0]!r}.{did_you_mean(args[0], _COMMANDS)}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([*_COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except ZooError as error:
            raise click.ClickException(str(error)) from error
        except KeyboardInterrupt:  # click would exit with 1, as for an error
            click.echo("stopped", err=True)
            ctx.exit(130)


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, "--version", package_name="zoo", message="zoo %(version)s")
@click.option(
    "--plugin",
    "plugins",
    metavar="FILE",
    multiple=True,
    help="Run a Python file first and use what it registers; may be repeated.",
)
def cli(plugins: tuple[str, ...]) -> None:
    """A zoo of semantic segmentation models.

    \b
    zoo demo                                             see it work
    zoo list "fcn*"                                      what there is
    zoo train fcn8s@resnet18 --data FOLDER --out RUN     train on your own pictures
    zoo eval RUN/best.safetensors --data FOLDER          measure
    zoo predict RUN/best.safetensors photo.jpg --out OUT use
    """
    if plugins:
        from zoo import registry

        for path in plugins:
            registry.load_file(path)


def main() -> None:
    """Entry point of the `zoo` command."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without "×" must not bring a listing down
    cli(prog_name="zoo")
