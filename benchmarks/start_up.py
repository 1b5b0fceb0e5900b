"""How long `zoo list` takes, beside bare Python, click alone, and the listings of timm and SMP.

    python benchmarks/start_up.py

Promise: at most 2.5 × click alone, at least 40 × faster than either library's listing.
"""

import statistics
import subprocess
import sys
import time

from _measure import show, verdict

_CLICK = "import click\n@click.command()\ndef hello(): click.echo('x')\nhello()"
COMMANDS = {
    "bare Python": ["-c", ""],
    "click alone": ["-c", _CLICK],
    "zoo list": ["-m", "zoo", "list"],
    "zoo list --json": ["-m", "zoo", "list", "--json"],
    "zoo --help": ["-m", "zoo", "--help"],
    "zoo info fcn8s_vgg16": ["-m", "zoo", "info", "fcn8s_vgg16"],
    "zoo list --kind encoder": ["-m", "zoo", "list", "--kind", "encoder"],
    "timm.list_models()": ["-c", "import timm; print(timm.list_models())"],
    "SMP, list of encoders": [
        "-c",
        "import segmentation_models_pytorch as smp; print(smp.encoders.get_encoder_names())",
    ],
}


def main(repeats: int = 7) -> int:
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(repeats):
        for name, arguments in COMMANDS.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
            times[name].append(time.perf_counter() - start)
    median = {name: statistics.median(values) for name, values in times.items()}
    click = median["click alone"]
    show(
        f"start-up, medians of {repeats} interleaved runs",
        [(name, f"{1000 * seconds:.0f} ms", f"{seconds / click:.2f} × click") for name, seconds in median.items()],
    )
    listing = median["zoo list"]
    kept = [
        verdict("zoo list against click alone", listing / click, 2.5, at_most=True),
        verdict("timm's listing against zoo list", median["timm.list_models()"] / listing, 40, at_most=False),
        verdict("SMP's listing against zoo list", median["SMP, list of encoders"] / listing, 40, at_most=False),
    ]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
