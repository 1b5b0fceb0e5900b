"""How long `zoo list` takes with 200 installed plugins, beside one: with manifests as it knew them, and at first sight.

    python benchmarks/many_plugins.py

Promise: less than twice as long with 200 as with one.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _measure import show, verdict

MANY = 200
_COMPONENTS = """
[[architecture]]
name = "net"
target = "{package}.net:net"
summary = "The net of plugin {number}"
encoder = "resnet18"
needs = {{ strides = [8, 32] }}
papers = ["Somebody: Something (2020)"]

[[model]]
name = "net_resnet50"
architecture = "net"
encoder = "resnet50"
parameters = 12345678
summary = "The net of plugin {number} on ResNet-50"

[[encoder]]
name = "trunk"
target = "{package}.net:Trunk"
summary = "The trunk of plugin {number}"
offers = {{ strides = [2, 4, 8, 16, 32], output_strides = [8, 16, 32] }}
"""


def install(site: Path, count: int) -> None:
    """Lay out so many distributions, each with a plugin of three components, as pip would."""
    for number in range(count):
        package = f"zoo_many{number:03d}"
        (site / package).mkdir(parents=True)
        (site / package / "__init__.py").write_text("raise RuntimeError('imported')\n")
        head = f'api = 1\nnamespace = "many{number:03d}"\nsummary = "Plugin {number}"\n'
        (site / package / "plugin.toml").write_text(head + _COMPONENTS.format(package=package, number=number))
        info = site / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[zoo.plugins]\nmany{number:03d} = {package}\n")


def listing(site: Path, cache: Path) -> float:
    """Seconds that one `zoo list` takes."""
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "zoo", "list"],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONPATH": path, "ZOO_CACHE": str(cache)},
    )
    seconds = time.perf_counter() - start
    assert done.stdout.count(b"many") >= sum(1 for _ in site.glob("zoo_many*.dist-info"))
    return seconds


def main(repeats: int = 9) -> int:
    times: dict[tuple[str, int], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        sites = {count: Path(folder, f"site{count}") for count in (1, MANY)}
        for count, site in sites.items():
            install(site, count)
        time.sleep(3)  # files that were written a moment ago are not remembered
        for _ in range(repeats):
            for count, site in sites.items():
                kept, none = Path(folder, f"cache{count}"), Path(folder, "file")
                none.touch()  # a cache that cannot be written: every manifest is parsed
                for state, cache in (("known", kept), ("at first sight", none)):
                    times.setdefault((state, count), []).append(listing(site, cache))
        for count, site in sites.items():  # the first of them filled the cache
            times["known", count] = [*times["known", count][1:], listing(site, Path(folder, f"cache{count}"))]
    median = {key: statistics.median(values) for key, values in times.items()}
    show(
        f"zoo list, medians of {repeats} interleaved runs",
        [
            (f"{count} plugins, {state}", f"{1000 * seconds:.0f} ms", f"{seconds / median[state, 1]:.2f} × one")
            for (state, count), seconds in sorted(median.items())
        ],
    )
    ratio = median["known", MANY] / median["known", 1]
    return 0 if verdict(f"zoo list with {MANY} plugins against one", ratio, 2.0, at_most=True) else 1


if __name__ == "__main__":
    sys.exit(main())
