"""``zoo hub verify``."""

import json
import sys

import click

from zoo.cli._text import printable, table


@click.command()
@click.argument("names", metavar="[MODEL.TAG|HUB]...", nargs=-1)
@click.option("--hub", metavar="ADDRESS", help="Only this hub: a folder, https://…, hf://org/repo.")
@click.option("--fetch", is_flag=True, help="Fetch what is not here yet; otherwise it is left out.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array: name, status, what is wrong.")
def command(names: tuple[str, ...], hub: str | None, fetch: bool, as_json: bool) -> None:
    """Hash the files of all records again, load the models, and replay their golden pairs.

    Exits with 1 if anything is wrong. Weights that are not on this machine are left out, unless named or --fetch.

    \b
    zoo hub verify
    zoo hub verify my_hub
    """
    from zoo.hub.hubs import Hub, all_records, find_record, is_hub
    from zoo.hub.verify import verify

    jobs = [(find_record(name), True) for name in names if not is_hub(name)]
    for address in [*(name for name in names if is_hub(name)), *([hub] if hub is not None else [])]:
        jobs += [(record, fetch) for record in Hub(address).records()]
    if not names and hub is None:
        jobs = [(record, fetch) for record in all_records()]
    outcomes = []
    for record, wanted in jobs:
        outcome = verify(record, fetch=wanted)
        outcomes.append(outcome)
        if not as_json and outcome.status != "not here":
            click.echo(table([[printable(outcome.name), outcome.status, printable(outcome.message)]]))
    wrong = [outcome for outcome in outcomes if outcome.status == "wrong"]
    if as_json:
        click.echo(json.dumps([outcome._asdict() for outcome in outcomes], indent=2, ensure_ascii=False))
    else:
        good = sum(outcome.status == "ok" for outcome in outcomes)
        absent = len(outcomes) - good - len(wrong)
        click.echo(f"{good} right, {len(wrong)} wrong, {absent} not on this machine")
    if wrong:
        sys.exit(1)
