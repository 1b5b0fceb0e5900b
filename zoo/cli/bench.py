"""``zoo bench``."""

import csv
import json
import sys
from typing import Any

import click

from zoo.cli._size import size_option
from zoo.cli._speed import BACKENDS, DTYPES


@click.command()
@click.argument("models", metavar="MODEL...", nargs=-1, required=True)
@click.option("--against", type=click.Choice(["torchvision", "smp"]), help="The same net of that library, beside ours.")
@click.option(
    "--size", metavar="HxW", default="512x512", show_default=True, callback=size_option, help="Of the pictures."
)
@click.option("--batch", type=click.IntRange(min=1), default=1, show_default=True, help="Pictures at once.")
@click.option("--classes", type=click.IntRange(min=1), default=21, show_default=True, help="Classes of the models.")
@click.option("--backend", type=click.Choice(BACKENDS), help="Optimize ours; without it ours runs as it is.")
@click.option("--dtype", type=click.Choice(DTYPES), default="float32", show_default=True, help="What ours computes in.")
@click.option("--rounds", type=click.IntRange(min=1), default=5, show_default=True, help="Medians of so many.")
@click.option("--threads", type=click.IntRange(min=1), help="Threads of a CPU; by default torch's choice.")
@click.option("--no-memory", is_flag=True, help="Leave out peak memory, for which each model runs in a process more.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values.")
def command(
    models: tuple[str, ...],
    against: str | None,
    size: tuple[int, int],
    batch: int,
    classes: int,
    backend: str | None,
    dtype: str,
    rounds: int,
    threads: int | None,
    no_memory: bool,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Measure how fast models are: latency, pictures per second, peak memory, parameters, operations.

    From a normalised picture to a label map, on the CPU, with random weights. With --against, the same net of another
    library runs with the same weights in the same process, in turn with ours.

    \b
    zoo bench fcn8s_vgg16 unet_l4 --backend eager
    zoo bench deeplabv3_resnet50 --against torchvision --backend eager --dtype bfloat16
    zoo bench smp/unet@smp/resnet34 --against smp --backend onnx --json
    """
    from zoo.errors import OptionError

    if as_json and as_csv:
        raise OptionError("--json and --csv: give one of them")

    import torch

    from zoo.speed.bench import Order, measure

    if threads is not None:
        torch.set_num_threads(threads)
    order = Order(against, classes, size, batch, backend, dtype, rounds, not no_memory)
    records = [record for name in models for record in measure(name, order)]
    if as_json:
        click.echo(json.dumps(records, indent=2))
    elif as_csv:
        writer = csv.DictWriter(sys.stdout, fieldnames=list(records[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)
    else:
        click.echo(_table(records))


def _table(records: list[dict[str, Any]]) -> str:
    from zoo.cli._text import size as amount
    from zoo.cli._text import table
    from zoo.quantities import count

    head = ("model", "library", "backend", "dtype", "ms", "images/s", "peak memory", "parameters", "GFLOPs", "")
    rows = [
        (
            record["model"],
            record["library"],
            record["backend"],
            record["dtype"],
            f"{record['milliseconds']:.1f}",
            f"{record['images_per_second']:.2f}",
            amount(record["peak_memory"]) or "–",
            count(record["parameters"]),
            f"{record['flops'] / 1e9:.1f}",
            "" if record["times_faster"] is None else f"{record['times_faster']:.2f}× faster",
        )
        for record in records
    ]
    return table([head, *rows])
