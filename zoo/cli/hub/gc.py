"""``zoo hub gc``."""

import json

import click

from zoo.cli._text import size


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.option("--all", "everything", is_flag=True, help="Empty the cache of weights; all of it can be fetched again.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object: files with their sizes.")
def command(dry_run: bool, everything: bool, as_json: bool) -> None:
    """Remove what the cache no longer needs.

    That is: files that no record of any hub asks for, files of other libraries that have been converted, and what
    interrupted downloads have left. A hub that cannot be reached keeps its files.
    """
    from zoo.hub.fetching.cache import cache_folder
    from zoo.hub.garbage import collect

    found = collect(everything=everything, remove=not dry_run)
    if as_json:
        record = {"removed": not dry_run, "files": {str(path): count for path, count in found.items()}}
        click.echo(json.dumps(record, indent=2, ensure_ascii=False))
        return
    for path, count in found.items():
        click.echo(f"{size(count)}  {path}")
    what = "would be removed" if dry_run else "removed"
    click.echo(f"{len(found)} files, {size(sum(found.values())) or '0 B'}, {what} from {cache_folder()}")
