"""``zoo predict``."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from zoo.inference.prediction import Prediction

_FEW = 10
"""Up to so many pictures have a line each; more are only counted."""


@click.command()
@click.argument("checkpoint", metavar="CHECKPOINT|MODEL.TAG")
@click.argument("pictures", metavar="IMAGE|FOLDER...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out",
    metavar="DIR",
    default="predicted",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Where the results go.",
)
@click.option("--force", is_flag=True, help="Replace results that are there already.")
@click.option("--device", default="auto", show_default=True, help="Where to compute: cpu, cuda, cuda:1, mps …")
@click.option("--amp", is_flag=True, help="Compute in bfloat16: faster where the hardware has it.")
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
    device: str,
    amp: bool,
    alpha: float,
    as_json: bool,
) -> None:
    """Segment pictures, or all pictures of a folder, with a weight file or published weights.

    Each becomes DIR/<name>.png, whose values are the labels and whose palette shows the classes, and
    DIR/<name>_overlay.png to look at. A picture that cannot be read is reported, and the others are done.

    \b
    zoo predict run/best.safetensors photo.jpg
    zoo predict fcn8s_vgg16.voc holiday/ --out seen --json
    """
    from zoo.inference.outputs import plan, prepare

    jobs, refused = plan(pictures, out, force=force)
    failed = [(str(path), f"{path}: {reason}") for path, reason in refused]
    for _, message in failed:
        click.echo(f"Error: {message}", err=True)

    import zoo
    from zoo.cli._progress import progress
    from zoo.errors import DataError
    from zoo.inference.forward import choose_device
    from zoo.inference.predictor import predict

    where = choose_device(device)
    model = zoo.load(checkpoint)
    prepare(out)
    done: list[dict[str, Any]] = []
    with progress("pictures") as report:
        for number, job in enumerate(jobs, start=1):
            try:
                prediction = predict(model, job.source, device=where, amp=amp)
            except DataError as error:
                failed.append((str(job.source), str(error)))
                click.echo(f"Error: {error}", err=True)
            else:
                prediction.save(job.labels, overlay=True, alpha=alpha)
                done.append(_record(prediction, job.source, job.labels, job.overlay))
                if len(jobs) <= _FEW and not as_json:
                    click.echo(f"{job.source}: {_shares(prediction)}")
            if report is not None:
                report(number, len(jobs))
    if as_json:
        failures = [{"picture": picture, "error": message} for picture, message in failed]
        click.echo(json.dumps({"checkpoint": checkpoint, "pictures": done, "failed": failures}, ensure_ascii=False))
    else:
        trouble = f", {len(failed)} failed" if failed else ""
        click.echo(f"{len(done)} {'picture' if len(done) == 1 else 'pictures'} in {out}{trouble}")
    if failed:
        sys.exit(1)


def _record(prediction: "Prediction", source: Path, labels: Path, overlay: Path) -> dict[str, Any]:
    height, width = prediction.labels.shape
    return {
        "picture": str(source),
        "labels": str(labels),
        "overlay": str(overlay),
        "height": height,
        "width": width,
        "area": prediction.area,
    }


def _shares(prediction: "Prediction") -> str:
    shown = prediction.biggest(4)
    rest = "" if len(prediction.biggest(5)) <= 4 else ", …"
    return ", ".join(f"{name} {share:.0%}" for name, share in shown) + rest
