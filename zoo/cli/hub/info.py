"""``zoo hub info``."""

import json
from typing import Any

import click


@click.command()
@click.argument("name", metavar="MODEL.TAG")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def command(name: str, as_json: bool) -> None:
    """Show what is known of published weights: files, numbers with their protocol, licences, where they lie.

    \b
    zoo hub info fcn8s_vgg16.voc
    """
    from zoo.cli._record import lines
    from zoo.hub.hubs import find_record
    from zoo.hub.pull import here

    record = find_record(name)
    record.check()
    place = here(record)
    shown: dict[str, Any] = {**record.to_json(), "hub": record.hub, "here": str(place) if place is not None else None}
    if as_json:
        click.echo(json.dumps(shown, indent=2, ensure_ascii=False))
    else:
        click.echo("\n".join(lines({key: value for key, value in shown.items() if value not in (None, {}, [], ())})))
