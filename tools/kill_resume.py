"""Kill a training run with SIGKILL at random moments, resume it each time, and compare it with an uninterrupted one.

    python tools/kill_resume.py --kills 25

The run has two stages and everything that could go astray: dropout, augmentation, worker processes, an average of the
weights, accumulated batches, RMSprop, a moving learning rate, saves between evaluations. Weights, optimiser, average
and log must agree bit for bit (on a CPU), or this exits with 1. Needs a system that can fork.
"""

import argparse
import json
import mmap
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PHASES = ("starting", "start", "resume", "stage", "step", "train", "evaluating", "eval", "end")
_TIMES = ("seconds", "images_per_second", "peak_memory")


def tables(data: Path, steps: int) -> dict[str, Any]:
    """The recipe."""
    return {
        "model": {"name": "unet_l4", "options": {"channels": [4, 8, 8, 8]}},
        "data": {"name": str(data), "batch_size": 3, "crop": 24, "workers": 2},
        "optim": {"name": "rmsprop", "lr": 1e-3, "clip": 1.0, "bias_lr": 2.0},
        "schedule": {"name": "cosine", "warmup": 3},
        "run": {"steps": steps, "eval_every": 7, "save_every": 3, "log_every": 5, "ema": 0.9, "accumulate": 2},
        "stage": [{"name": "first"}, {"name": "second", "optim": {"lr": 5e-4, "freeze": ["encoder.enc1.*"]}}],
    }


def write_data(folder: Path) -> None:
    """Some noisy pictures with two classes and some pixels without any."""
    import numpy as np
    from PIL import Image

    numbers = np.random.default_rng(0)
    for split, count in (("train", 16), ("val", 12)):
        for kind in ("images", "masks"):
            (folder / kind / split).mkdir(parents=True)
        for place in range(count):
            mask = np.kron(numbers.integers(0, 2, (4, 4)), np.ones((8, 8), int)).astype(np.uint8)
            picture = (100 * mask[..., None] + numbers.integers(0, 120, (32, 32, 3))).astype(np.uint8)
            mask[numbers.random(mask.shape) < 0.1] = 255
            Image.fromarray(picture).save(folder / "images" / split / f"{place:02}.png")
            Image.fromarray(mask).save(folder / "masks" / split / f"{place:02}.png")


def start(recipe: Mapping[str, Any], out: Path, phase: mmap.mmap, errors: Path) -> int:
    """Train in a child process, from wherever the folder stands; returns the child's id."""
    child = os.fork()
    if child:
        return child
    try:
        os.setpgrp()
        with errors.open("w") as stream:
            os.dup2(stream.fileno(), 2)
            from zoo.training.staged import train_stages

            def report(record: Mapping[str, Any]) -> None:
                phase[0] = PHASES.index(record["kind"]) if record["kind"] in PHASES else 0

            train_stages(dict(recipe), out, resume=(out / "recipe.toml").is_file(), report=report)
        os._exit(0)
    except BaseException:
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


def wait(child: int, limit: float | None, errors: Path) -> bool:
    """Wait for a child; after `limit` seconds, kill it. Returns whether it was killed."""
    end = None if limit is None else time.monotonic() + limit
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            if status != 0:
                raise SystemExit(f"a run failed on its own:\n{errors.read_text()}")
            return False
        if end is not None and time.monotonic() >= end:
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            return os.WIFSIGNALED(status)
        time.sleep(0.001)


def differences(one: Path, other: Path) -> list[str]:
    """What of two finished runs is not the same."""
    import torch

    found = []
    for stage in ("first", "second", "."):
        for name in ("best.safetensors", "last.safetensors"):
            if (one / stage / name).read_bytes() != (other / stage / name).read_bytes():
                found.append(f"{stage}/{name}")
    for stage in ("first", "second"):
        states = [torch.load(run / stage / "state.pt", weights_only=True) for run in (one, other)]
        found += [f"{stage}/state.pt: {key}" for key in states[0] if not _equal(states[0][key], states[1].get(key))]
        logs = [_log(run / stage / "metrics.jsonl") for run in (one, other)]
        if logs[0] != logs[1]:
            apart = [record for record in [*logs[0], *logs[1]] if not (record in logs[0] and record in logs[1])]
            found.append(f"{stage}/metrics.jsonl: {len(logs[0])} and {len(logs[1])} lines; {apart[:2]}")
    return found


def _equal(one: Any, other: Any) -> bool:
    import torch

    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_equal(value, other[key]) for key, value in one.items())
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_equal, one, other))
    return bool(one == other)


def _log(path: Path) -> list[dict[str, Any]]:
    records = [json.loads(line) for line in path.read_text().splitlines()]
    return [
        {key: value for key, value in record.items() if key not in _TIMES}
        for record in records
        if record["kind"] in ("train", "eval")
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--steps", type=int, default=60, help="steps of each stage")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    arguments = parser.parse_args()

    import torch

    import zoo.training.staged  # noqa: F401  (here, so that the children need not)

    torch.set_num_threads(1)  # a child has none of its parent's threads
    moments, phase = random.Random(arguments.seed), mmap.mmap(-1, 1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_data(folder / "data")
        recipe, errors = tables(folder / "data", arguments.steps), folder / "errors"
        began = time.monotonic()
        wait(start(recipe, folder / "straight", phase, errors), None, errors)
        length = time.monotonic() - began
        print(f"uninterrupted: {length:.1f} s", flush=True)
        kills, runs, where, faults = 0, 0, Counter[str](), []
        while kills < arguments.kills:
            out = folder / f"killed{runs}"
            runs, finished = runs + 1, False
            while not finished:
                phase[0] = 0
                limit = moments.uniform(0, 0.4 * length) if kills < arguments.kills else None
                killed = wait(start(recipe, out, phase, errors), limit, errors)
                finished = not killed
                if killed:
                    kills += 1
                    half = list(out.rglob(".*.pt")) + list(out.rglob(".*.safetensors"))
                    name = "inside a save" if half else f"after '{PHASES[phase[0]]}'"
                    where[name] += 1
            faults += [f"run {runs}: {line}" for line in differences(folder / "straight", out)]
        print(f"{kills} kills in {runs} runs: " + ", ".join(f"{count} {name}" for name, count in where.most_common()))
    if faults:
        raise SystemExit("not the same as uninterrupted:\n" + "\n".join(faults))
    print("every run is the uninterrupted one, bit for bit")


if __name__ == "__main__":
    main()
