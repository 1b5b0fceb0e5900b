"""``zoo hub pull``."""

import json

import click


@click.command()
@click.argument("names", metavar="MODEL.TAG...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object: name → file.")
def command(names: tuple[str, ...], as_json: bool) -> None:
    """Fetch published weights and verify them; what is here already is verified again.

    Files of other libraries are converted to safetensors on arrival.

    \b
    zoo hub pull deeplabv3_resnet50.coco_voc
    """
    from zoo.hub.hubs import find_record
    from zoo.hub.pull import pull

    records = [find_record(name) for name in names]
    found = {}
    for record in records:
        found[record.name] = str(pull(record))
        if not as_json:
            click.echo(f"{record.name}: {found[record.name]}")
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
