"""``zoo predict``."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli._speed import faster, speed_options
from zoo.cli._test_time import test_time_options
from zoo.cli._weights import pipeline_options

if TYPE_CHECKING:
    from zoo.inference.batch import Asking, Outcome
    from zoo.inference.outputs import Job
    from zoo.model import SegmentationModel

_FEW = 10
"""Up to so many pictures have a line each; more are only counted."""


def _tile(ctx: click.Context, param: click.Parameter, value: str) -> int | str | None:
    if value in ("auto", "none"):
        return None if value == "none" else value
    if not value.isdecimal():
        raise click.BadParameter(f"{value!r}: expected the side of a tile in pixels, auto or none")
    return int(value)


@click.command()
@click.argument("checkpoint", metavar="CHECKPOINT|MODEL.TAG|URL|PIPELINE")
@click.argument(
    "pictures", metavar="IMAGE|FOLDER|'PATTERN'...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option(
    "--out",
    metavar="DIR",
    default="predicted",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Where the results go.",
)
@click.option("--force", is_flag=True, help="Replace results that are there already.")
@click.option("--continue", "go_on", is_flag=True, help="Go on: skip what this model made of the same picture before.")
@click.option("--probabilities", is_flag=True, help="Write NAME.npz too: probabilities (K, H, W) in float16.")
@click.option("--polygons", is_flag=True, help="Write NAME.geojson with all regions, and NAME.csv with areas, too.")
@click.option("--sheet", is_flag=True, help="Write contact_sheet.png: all overlays on one page.")
@click.option(
    "--tile",
    metavar="PIXELS|auto|none",
    callback=_tile,
    default="auto",
    show_default=True,
    help="Cut pictures into tiles of this side; auto: 1024 for pictures of more than 4 million pixels.",
)
@test_time_options
@pipeline_options
@click.option("--device", default="auto", show_default=True, help="Where to compute: cpu, cuda, cuda:1, mps …")
@click.option("--amp", is_flag=True, help="Compute in bfloat16: faster where the hardware has it.")
@speed_options
@click.option(
    "--alpha",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help="Strength of the colours in the overlay.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object: files, sizes, share of every class.")
def command(
    checkpoint: str,
    pictures: tuple[Path, ...],
    out: Path,
    force: bool,
    go_on: bool,
    probabilities: bool,
    polygons: bool,
    sheet: bool,
    tile: int | str | None,
    scales: tuple[float, ...] | None,
    mirror: bool,
    window: tuple[int, int] | None,
    overlap: float | int | str,
    output_stride: int | None,
    weights: tuple[str, ...],
    boxes: Path | None,
    device: str,
    amp: bool,
    backend: str | None,
    dtype: str | None,
    alpha: float,
    as_json: bool,
) -> None:
    """Segment pictures, or all pictures of a folder, with a weight file, published weights or a pipeline.

    Each becomes DIR/<name>.png, whose values are the labels and whose palette shows the classes, and
    DIR/<name>_overlay.png to look at. A picture that cannot be read is reported, and the others are done.
    A run that was stopped goes on with --continue.

    \b
    zoo predict run/best.safetensors photo.jpg
    zoo predict fcn8s_vgg16.voc holiday/ --out seen --json
    zoo predict run/best.safetensors 'holiday/**/*.jpg' --scales 0.75,1,1.25 --mirror
    zoo predict run/best.safetensors map.tif --tile 1024 --overlap 256
    zoo predict edeconvnet_crf photo.jpg --weights fcn8s=run/best.safetensors
    """
    from zoo.inference.outputs import Wanted, plan, prepare
    from zoo.inference.test_time import TestTime

    test_time = TestTime.asked(
        scales=scales, mirror=mirror, window=window, overlap=overlap, output_stride=output_stride
    )
    wanted = Wanted(probabilities=probabilities, polygons=polygons)
    pages = out / "contact_sheet.png" if sheet else None
    jobs, refused = plan(pictures, out, force=force or go_on, wanted=wanted, page=pages)
    failed = [(str(path), f"{path}: {reason}") for path, reason in refused]
    for _, message in failed:
        click.echo(f"Error: {message}", err=True)

    if not jobs and not as_json:
        click.echo(f"0 pictures in {out}, {len(failed)} failed")
        sys.exit(1)
    from zoo.cli._weights import open_model
    from zoo.inference.batch import Asking
    from zoo.inference.forward import choose_device
    from zoo.inference.predictor import placed

    where = choose_device(device)
    model = faster(placed(open_model(checkpoint, weights, boxes), where, test_time), backend, dtype)
    prepare(out)
    asking = Asking(test_time, tile, overlap, amp, alpha)
    work = _Work(model, asking, quiet=as_json or len(jobs) > _FEW)
    try:
        work.run(jobs, go_on=go_on, force=force)
        if pages is not None:
            work.lay_out(pages)
    except KeyboardInterrupt:
        click.echo(
            f"stopped: {len(work.done)} of {len(jobs)} pictures are done. Go on with the same command and --continue.",
            err=True,
        )
        sys.exit(130)
    failed += work.failed
    if as_json:
        failures = [{"picture": picture, "error": message} for picture, message in failed]
        records = [_record(outcome, work.classes) for outcome in work.done]
        click.echo(json.dumps({"checkpoint": checkpoint, "pictures": records, "failed": failures}, ensure_ascii=False))
    else:
        before = f" ({work.skipped} before)" if work.skipped else ""
        trouble = f", {len(failed)} failed" if failed else ""
        click.echo(f"{len(work.done)} {'picture' if len(work.done) == 1 else 'pictures'}{before} in {out}{trouble}")
    if failed:
        sys.exit(1)


class _Work:
    """Pictures done one by one, what became of them, and what was wrong."""

    def __init__(self, model: "SegmentationModel", asking: "Asking", *, quiet: bool) -> None:
        from zoo.labels import class_names

        self.model, self.asking, self.quiet = model, asking, quiet
        self.classes = class_names(model.config.classes, model.config.num_classes)
        self.done: list[Outcome] = []
        self.failed: list[tuple[str, str]] = []
        self.skipped = 0

    def run(self, jobs: "list[Job]", *, go_on: bool, force: bool) -> None:
        """Do them all, in order. With `go_on` what was made alike before is left as it is."""
        from zoo.cli._progress import progress
        from zoo.errors import DataError
        from zoo.inference.batch import already, predict_file
        from zoo.inference.outputs import refuse_existing

        how = self.asking.how(self.model)
        there = {job: already(job, how) for job in jobs} if go_on else {}
        if go_on and not force:
            refuse_existing((job for job in jobs if there[job] is None), going_on=True)
        with progress("pictures") as report:
            for number, job in enumerate(jobs):
                found = there.get(job)
                if found is not None:
                    self.skipped += 1
                    self.done.append(found)
                    continue

                def tiles(done: int, total: int, number: int = number) -> None:
                    if report is not None:
                        report(number + done / total, len(jobs))

                try:
                    self._note(predict_file(self.model, job, self.asking, how, progress=tiles))
                except DataError as error:
                    self.failed.append((str(job.source), str(error)))
                    click.echo(f"Error: {error}", err=True)
                if report is not None:
                    report(number + 1, len(jobs))

    def lay_out(self, path: Path) -> None:
        """Write the contact sheet; of many pictures several."""
        from zoo.inference.batch import write_sheets

        if self.done:
            write_sheets(path, self.done, self.model.config)

    def _note(self, outcome: "Outcome") -> None:
        self.done.append(outcome)
        if outcome.note:
            click.echo(f"Warning: {outcome.note}", err=True)
        if not self.quiet:
            click.echo(f"{outcome.job.source}: {_shares(outcome.area(self.classes))}")


def _record(outcome: "Outcome", classes: tuple[str, ...]) -> dict[str, Any]:
    files = {kind: str(path) for kind, path in outcome.job.files.items()}
    height, width = outcome.size
    about = {"picture": str(outcome.job.source), **files, "height": height, "width": width}
    return {**about, "area": outcome.area(classes)}


def _shares(area: dict[str, float]) -> str:
    ranked = sorted(((share, name) for name, share in area.items() if share > 0), key=lambda item: -item[0])
    return ", ".join(f"{name} {share:.0%}" for share, name in ranked[:4]) + (", …" if len(ranked) > 4 else "")
