"""``zoo latency``: a command of a plugin. It is imported when it runs; only then is torch."""

import json

import click


@click.command()
@click.argument("name")
@click.option("--size", default="512x1024", metavar="HxW", show_default=True, help="Size of the picture.")
@click.option("--repeats", default=10, type=click.IntRange(min=1), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def command(name: str, size: str, repeats: int, as_json: bool) -> None:
    """Time the forward pass of model NAME on random pixels: the median of some repeats, on the CPU."""
    import statistics
    import time

    import torch

    import zoo

    height, _, width = size.partition("x")
    if not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise click.BadParameter(f"{size!r}: expected HEIGHTxWIDTH, as 512x1024")
    model = zoo.create_model(name).eval()
    x = torch.zeros(1, model.config.in_channels, int(height), int(width))
    times = []
    with torch.inference_mode():
        for _ in range(repeats + 1):  # the first is a warm-up
            start = time.perf_counter()
            model(x)
            times.append(time.perf_counter() - start)
    record = {"model": model.config.name, "size": [int(height), int(width)]}
    record |= {"milliseconds": round(1000 * statistics.median(times[1:]), 2)}
    click.echo(json.dumps(record) if as_json else f"{record['model']}  {size}  {record['milliseconds']} ms")
