"""``zoo data check``."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import click


@click.command()
@click.argument("data", metavar="NAME|FOLDER")
@click.option("--split", "splits", multiple=True, help="Only this split; may be repeated.  [default: all]")
@click.option("--root", metavar="FOLDER", help="Where a registered data set lies.")
@click.option("--download", is_flag=True, help="Fetch a registered data set if it is not there.")
@click.option("-o", "options", metavar="data.values={…}", multiple=True, help="File value = label, as for training.")
@click.option("--workers", type=click.IntRange(min=1), help="Threads that read.  [default: as there are cores]")
@click.option("--sheet", metavar="FILE.png", type=click.Path(path_type=Path), help="Write a picture of samples.")
@click.option("--samples", type=click.IntRange(min=1), default=12, show_default=True, help="How many on the sheet.")
@click.option("--write-data-toml", "write", is_flag=True, help="Write a data.toml into the folder, to be completed.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def command(
    data: str,
    splits: tuple[str, ...],
    root: str | None,
    download: bool,
    options: tuple[str, ...],
    workers: int | None,
    sheet: Path | None,
    samples: int,
    write: bool,
    as_json: bool,
) -> None:
    """Read every picture and every mask, and report sizes, classes and all that is wrong.

    Exits with 1 where there is a problem: missing or damaged files, sizes that differ, values or colours that are no
    label, masks of 0 and 255 of which nobody said what they mean, pictures that two splits share.

    \b
    zoo data check my_folder
    zoo data check camvid --split val --json
    zoo data check my_folder --sheet samples.png
    """
    from zoo.cli._progress import progress
    from zoo.data.checking.check import check
    from zoo.errors import OptionError, ZooError
    from zoo.training.recipe import DataTable, Tables, build, override

    tables: Tables = {"model": {"name": "none"}, "data": {"name": data}}
    for option in options:
        if not option.startswith("data.values"):
            raise OptionError(f"-o takes data.values={{…}} here; got {option!r}")
        tables = override(tables, option)
    table: DataTable = build(tables, source="settings").data
    values = table.values or None
    if sheet is not None and not sheet.parent.is_dir():
        raise ZooError(f"cannot write {sheet}: there is no folder {sheet.parent}")
    with progress("pictures and masks") as moved:
        report = check(
            data, splits or None, values=values, root=root, download=download, workers=workers, progress=moved
        )
    click.echo(json.dumps(report.to_json(), ensure_ascii=False, indent=2) if as_json else report.to_text())
    failed = not report.ok
    if write:
        from zoo.data.checking.describe import write_description

        failed |= not _done(lambda: write_description(report), Path(report.where) / "data.toml")
    if sheet is not None:
        from zoo.data.checking.sheet import write_sheet

        failed |= not _done(lambda: write_sheet(sheet, report, data, samples=samples, values=values, root=root), sheet)
    if failed:
        sys.exit(1)


def _done(action: Callable[[], object], path: Path) -> bool:
    """Write a file and say so; what went wrong is one line, for the report stands in any case."""
    from zoo.errors import ZooError

    try:
        action()
    except ZooError as error:
        click.echo(f"Error: {error}", err=True)
        return False
    click.echo(f"Wrote {path}", err=True)
    return True
