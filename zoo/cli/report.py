"""``zoo report``."""

from pathlib import Path

import click


@click.command()
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--data", metavar="NAME|FOLDER", help="Take the pictures from here.  [default: the run's own data]")
@click.option("--root", metavar="FOLDER", help="Where a registered data set lies.")
@click.option("--pictures", type=click.IntRange(0, 20), default=2, show_default=True, help="Of each kind.")
@click.option("--out", metavar="FILE", type=click.Path(path_type=Path), help="[default: RUN/report.html]")
def command(run: Path, data: str | None, root: str | None, pictures: int, out: Path | None) -> None:
    """Write the report of a run: one HTML file with curves, classes, pictures, recipe and environment.

    A run writes one by itself when it ends or is stopped; one in stages, a page for each stage and one over all. This
    writes them again; where a run has not kept the evaluation of its best weights, or with --data, they are measured
    first.

    \b
    zoo report run
    zoo report run --data camvid --pictures 5 --out look.html
    """
    from zoo.cli._progress import progress
    from zoo.errors import ZooError
    from zoo.report.comparison import stages_of
    from zoo.report.report import write_report
    from zoo.report.stages import write_stages_report

    stages = stages_of(run)
    if out is not None and stages:
        raise ZooError(f"{run} has {len(stages)} stages with a report each, and one over all; leave out --out")
    try:
        for folder in stages or [run]:
            with progress("pictures") as told:
                path = write_report(folder, data=data, root=root, out=out, each=pictures, progress=told)
            click.echo(path)
        if stages:
            click.echo(write_stages_report(run))
    except OSError as error:
        raise ZooError(f"cannot write the report of {run}: {error.strerror or error}; choose a --out") from None
