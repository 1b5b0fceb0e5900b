"""``zoo list``."""

import json

import click

from zoo.cli._text import table
from zoo.compatibility import fits
from zoo.errors import OptionError
from zoo.manifest import KINDS
from zoo.quantities import count
from zoo.registry import registry
from zoo.signature import takes_encoder


def _kind(ctx: click.Context, parameter: click.Parameter, value: str) -> str:
    kind = {"data set": "dataset", "data-set": "dataset", "weight": "weights"}.get(value, value.removesuffix("s"))
    kind = value if value in KINDS else kind
    if kind not in KINDS:
        raise click.BadParameter(f"{value!r} is none of {', '.join(KINDS)}")
    return kind


@click.command()
@click.argument("pattern", default="*")
@click.option("--kind", default="model", callback=_kind, metavar="KIND", help=f"One of {', '.join(KINDS)}.")
@click.option("--for", "architecture", metavar="ARCH", help="Only encoders that this architecture or model can use.")
@click.option("--plugin", metavar="NAME", help="Only what this plugin brings.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def command(pattern: str, kind: str, architecture: str | None, plugin: str | None, as_json: bool) -> None:
    """List components whose name fits PATTERN (shell wildcards; all by default).

    \b
    zoo list "fcn8s*"
    zoo list --kind encoder --for fcn8s "resnet*"
    """
    specs = registry().find(kind, pattern, plugin)
    if architecture is not None:
        if kind != "encoder":
            raise OptionError(f"--for goes with --kind encoder, not with --kind {kind}")
        named = registry().lookup("model", architecture)
        preset = named.meta.get("architecture") if named else None
        target = registry().get("architecture", preset or architecture, named.plugin if named else None)
        if not takes_encoder(target):
            raise OptionError(f"{target.name} has a trunk of its own and takes no encoder")
        specs = [spec for spec in specs if fits(target, spec)]
    if as_json:
        click.echo(json.dumps([spec.to_json() for spec in specs], indent=2, ensure_ascii=False))
        return
    if not specs:
        click.echo(f"nothing of kind {kind} fits {pattern!r}", err=True)
        return
    click.echo(table((spec.name, count(spec.meta.get("parameters")), spec.summary) for spec in specs))
