"""The command line. Each command is a file of this folder; it is imported when it is run, not when it is listed."""

import io
import sys

import click

from zoo import __version__
from zoo.cli._group import LazyGroup

_COMMANDS = {
    "list": "List models, encoders, data sets and everything else there is.",
    "info": "Show what is known of a model, a component or a weight file.",
    "train": "Train a model on a data set.",
    "eval": "Measure a weight file on a data set.",
    "report": "Write the report of a run: curves, classes, pictures.",
    "compare": "Compare runs in one table, or on a page with their curves.",
    "predict": "Segment pictures with a weight file.",
    "export": "Write a model to a file that runs without Zoo: ONNX, torch.export.",
    "bench": "Measure how fast models are, beside another library's if wanted.",
    "data": "Check a data set: every picture, every mask.",
    "hub": "Published weights: list, fetch, verify, publish, convert, serve.",
    "demo": "See it work: pictures that come with Zoo, segmented with weights that come with Zoo.",
    "plugin": "For authors: begin a plugin, check one.",
    "plugins": "Show the plugins and how they fare.",
    "doctor": "Check the installation and every plugin; say what to do.",
}


def _run_files(ctx: click.Context, _: click.Parameter, paths: tuple[str, ...]) -> tuple[str, ...]:
    """Take in what the files register, while the options are read: a file may bring the command that is asked for."""
    if paths and not ctx.resilient_parsing:
        from zoo import registry

        for path in paths:
            registry.load_file(path)
    return paths


@click.group(
    cls=LazyGroup,
    package=__name__,
    of=_COMMANDS,
    open=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, "--version", package_name="zoo", message="zoo %(version)s")
@click.option(
    "--plugin",
    "plugins",
    metavar="FILE",
    multiple=True,
    is_eager=True,  # so that --help behind it shows the commands of the file
    callback=_run_files,
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


def main() -> None:
    """Entry point of the `zoo` command."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without "×" must not bring a listing down
    cli(prog_name="zoo")
