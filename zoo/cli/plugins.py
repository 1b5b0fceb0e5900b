"""``zoo plugins``."""

import json

import click

from zoo.cli._text import table
from zoo.discovery import Plugin
from zoo.manifest import KINDS
from zoo.registry import local_specs, registry


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def command(as_json: bool) -> None:
    """Show every plugin: what it brings, and whether it works.

    ZOO_PLUGINS=none leaves all but the built-in ones out, ZOO_PLUGINS=a,b all but those two; ZOO_STRICT=1 makes
    a broken plugin fatal.
    """
    rows = [(plugin, _components(plugin)) for plugin in registry().plugins]
    if as_json:
        records = [
            {
                "name": plugin.name,
                "status": plugin.status,
                "origin": plugin.origin,
                "components": components,
                "error": plugin.error,
            }
            for plugin, components in rows
        ]
        click.echo(json.dumps(records, indent=2, ensure_ascii=False))
        return
    click.echo(
        table(
            (
                plugin.name,
                plugin.status,
                plugin.origin,
                plugin.error or ", ".join(f"{n} {kind}" for kind, n in brings.items()),
            )
            for plugin, brings in rows
        )
    )


def _components(plugin: Plugin) -> dict[str, int]:
    """How many components of each kind a plugin brings."""
    specs = [*(plugin.manifest.specs if plugin.manifest else ()), *local_specs(plugin.name)]
    counts = {kind: sum(spec.kind == kind for spec in specs) for kind in KINDS}
    return {kind: number for kind, number in counts.items() if number}
