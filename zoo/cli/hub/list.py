"""``zoo hub list``."""

import json
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import click

from zoo.cli._text import printable, size, table

if TYPE_CHECKING:
    from zoo.hub.record import Record


@click.command()
@click.argument("pattern", metavar="[PATTERN|HUB]", default="*")
@click.option("--hub", metavar="ADDRESS", help="Only this hub: a folder, https://…, hf://org/repo.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array of the records.")
def command(pattern: str, hub: str | None, as_json: bool) -> None:
    """List published weights whose name fits PATTERN (shell wildcards; all by default), or all of a hub."""
    from zoo.hub.hubs import Hub, all_records, is_hub

    if hub is None and is_hub(pattern):
        hub, pattern = pattern, "*"
    records = Hub(hub).records() if hub is not None else list(all_records())
    chosen = sorted(
        (record for record in records if fnmatchcase(record.name, pattern) or fnmatchcase(record.model, pattern)),
        key=lambda record: record.name,
    )
    if as_json:
        rows = [record.to_json() | {"hub": record.hub} for record in chosen]
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    if not chosen:
        click.echo(f"no published weights fit {pattern!r}", err=True)
        return
    click.echo(table([_row(record) for record in chosen]))


def _row(record: "Record") -> list[str]:
    metrics = record.table.get("metrics")
    miou = metrics.get("miou") if isinstance(metrics, dict) else None
    score = f"{100 * miou:.1f} % mIoU" if isinstance(miou, int | float) else ""
    return [printable(record.name), size(record.bytes), score, printable(record.hub), printable(record.summary)]
