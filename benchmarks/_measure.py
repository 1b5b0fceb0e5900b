"""What the benchmarks share: fresh processes, interleaved repeats, medians, one table."""

import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any


def run(code: str) -> dict[str, Any]:
    """Run Python code in a fresh process; its last line of output is a JSON object."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"a benchmark process failed:\n{done.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def interleaved(codes: Mapping[str, str], repeats: int) -> dict[str, dict[str, float]]:
    """Run each code `repeats` times, taking turns (the machine may be shared), and take medians of every number."""
    results: dict[str, list[dict[str, float]]] = {name: [] for name in codes}
    for _ in range(repeats):
        for name, code in codes.items():
            results[name].append(run(code))
    return {
        name: {key: statistics.median(result[key] for result in runs) for key in runs[0]}
        for name, runs in results.items()
    }


def show(title: str, rows: Sequence[Sequence[str]]) -> None:
    """Print a table."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    print(title)
    for row in rows:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def verdict(what: str, measured: float, limit: float, *, at_most: bool) -> bool:
    """Print whether a measured ratio keeps its promise."""
    kept = measured <= limit if at_most else measured >= limit
    print(f"  {'ok  ' if kept else 'MISS'} {what}: {measured:.2f}× ({'at most' if at_most else 'at least'} {limit}×)")
    return kept
