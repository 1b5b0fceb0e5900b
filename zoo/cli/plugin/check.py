"""``zoo plugin check``."""

import json
import sys
from typing import TYPE_CHECKING

import click

from zoo.cli._text import printable

if TYPE_CHECKING:
    from zoo.testing import Finding


@click.command()
@click.argument("package", metavar="PACKAGE|PATH")
@click.option("--only", "only", metavar="NAME", multiple=True, help="Only this component or this check; repeatable.")
@click.option("--fetch", is_flag=True, help="Fetch published weights that are not here, and verify them.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: ok, and every finding.")
def command(package: str, only: tuple[str, ...], fetch: bool, as_json: bool) -> None:
    """Hold a plugin to everything that Zoo promises of it.

    PACKAGE is the namespace, package or distribution of an installed plugin; PATH is the folder of one that need not
    be installed. Each failure says what is wrong, where, and how to mend it. Exits with 1 if there is any.

    \b
    zoo plugin check zoo_acme
    zoo plugin check ./zoo-acme --only net
    zoo plugin check . --only export --json
    """
    from zoo.testing import check

    report = check(package, only=only, fetch=fetch, progress=None if as_json else _show)
    if as_json:
        click.echo(json.dumps(report.to_json(), indent=2, ensure_ascii=False))
    else:
        click.echo(printable(report.summary()))
    if not report.findings:
        raise click.ClickException("nothing was checked: the component named by --only has no checks of its own")
    if not report.ok:
        sys.exit(1)


def _show(finding: "Finding") -> None:
    click.echo("\n".join(printable(line) for line in finding.lines()))
