"""``zoo compare``."""

from pathlib import Path

import click


@click.command()
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--format",
    "kind",
    type=click.Choice(["text", "markdown", "csv", "html"]),
    help="[default: by the name of --out, otherwise text]",
)
@click.option("--out", metavar="FILE", type=click.Path(path_type=Path), help="Write to a file.")
def command(runs: tuple[Path, ...], kind: str | None, out: Path | None) -> None:
    """Compare runs: losses, mIoU, parameters and time in one table; as HTML with their curves over each other.

    Losses and mIoU are those at the end of a run; "best" is of best.safetensors. Training mIoU is counted on the
    training batches as they were learned from. The test mIoU is that of a file test.json in the run folder:

    \b
    zoo compare run_a run_b
    zoo compare runs/* --out table.html
    zoo eval run_a/best.safetensors --data camvid --split test --out run_a/test.json
    """
    from zoo.errors import ZooError
    from zoo.files import atomic_path
    from zoo.report import formats
    from zoo.report.comparison import read_courses

    suffixes = {".md": "markdown", ".csv": "csv", ".html": "html", ".htm": "html"}
    chosen = kind or (suffixes.get(out.suffix.lower(), "text") if out else "text")
    write = {"text": formats.text, "markdown": formats.markdown, "csv": formats.table, "html": formats.html}[chosen]
    made = write(read_courses(runs))
    if out is None:
        click.echo(made, nl=False)
        return
    try:
        with atomic_path(out) as temporary:
            temporary.write_text(made, encoding="utf-8")
    except OSError as error:
        raise ZooError(f"cannot write {out}: {error.strerror or error}") from None
    click.echo(out)
