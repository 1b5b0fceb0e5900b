"""``zoo plugin new``."""

import click

from zoo.scaffold import new


@click.command()
@click.argument("name")
@click.option("--arch", "kinds", flag_value="arch", multiple=True, help="With an architecture (the default).")
@click.option("--encoder", "kinds", flag_value="encoder", multiple=True, help="With an encoder.")
@click.option("--decoder", "kinds", flag_value="decoder", multiple=True, help="With a decoder, and a net of it.")
@click.option("--dataset", "kinds", flag_value="dataset", multiple=True, help="With a data set.")
@click.option("--out", metavar="DIR", help="Where to write it; by default ./zoo-NAME. Nothing is overwritten.")
def command(name: str, kinds: tuple[str, ...], out: str | None) -> None:
    """Write a complete distribution that brings a plugin called NAME.

    It can be installed and its tests pass at once: a small component that works, its manifest, tests that run the
    conformance kit, a README.

    \b
    zoo plugin new acme
    zoo plugin new acme-data --dataset --out plugins/acme-data
    """
    if len(set(kinds)) > 1:
        raise click.UsageError("give one of --arch, --encoder, --decoder and --dataset; add the others by hand")
    folder = new(name, kinds[0] if kinds else "arch", out)
    click.echo(f"wrote {folder}")
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        click.echo(f"  {path.relative_to(folder)}")
    click.echo(f'\nnext:\n  cd {folder}\n  pip install -e ".[test]"\n  pytest\n  zoo plugin check .')
