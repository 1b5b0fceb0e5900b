"""Trains on the tiny world, as one of several processes: ``python ranks_world.py OUT NAME=OPTION,OPTION …``.

Each NAME is a run folder inside OUT, and its options are those of a recipe; ``+`` at its end resumes, and ``!`` says
that it fails: what is raised is printed. The model ``deep`` is ``tiny`` with a block in it. Of the data
set ``mortal``, process $MORTAL of torchrun's first attempt dies once there is a file $AFTER.
"""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parent
TIMEOUT = 300  # only so that a test never hangs


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def environment(**more: str) -> dict[str, str]:
    """What processes need to import Zoo and these helpers, and to be quick."""
    path = os.pathsep.join((str(TESTS.parent), str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])))
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", **more}


def start(size: int, command: Sequence[str], **more: str) -> list[subprocess.Popen[str]]:
    """Start a command as `size` processes that know of each other, without a launcher; with Python's arguments."""
    port = str(free_port())
    return [
        subprocess.Popen(
            [sys.executable, *command],
            env=environment(
                RANK=str(rank), WORLD_SIZE=str(size), LOCAL_RANK=str(rank), LOCAL_WORLD_SIZE=str(size),
                MASTER_ADDR="127.0.0.1", MASTER_PORT=port, **more,
            ) if size > 1 else environment(**more),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank in range(size)
    ]  # fmt: skip


def finish(processes: Sequence[subprocess.Popen[str]]) -> list[tuple[int, str, str]]:
    """Wait for all of them: exit code, output, error output of each.

    Raises:
        AssertionError: They take too long; it says what each of them has printed.
    """
    end = time.monotonic() + TIMEOUT
    outputs, late = [], []
    for process in processes:
        try:
            outputs.append(process.communicate(timeout=max(0, end - time.monotonic())))
        except subprocess.TimeoutExpired as error:
            late.append(process.pid)
            outputs.append((str(error.stdout), str(error.stderr)))
    ended = {process.pid: process.poll() for process in processes}
    for process in processes:
        process.kill()
    assert not late, (ended, outputs)
    return [(process.returncode, *output) for process, output in zip(processes, outputs, strict=True)]


def train_all(out: Path, size: int, runs: Mapping[str, Sequence[str]]) -> None:
    """Train every run of `runs` as `size` processes, one after the other."""
    arguments = [f"{name}={';'.join(options)}" for name, options in runs.items()]
    for code, output, errors in finish(start(size, [str(Path(__file__)), str(out), *arguments])):
        assert code == 0, output + errors


def install() -> None:
    """Register the tiny world, a model with a block in it, and data that go wrong on one of several processes."""
    import training_world
    from torch import nn

    from zoo.errors import DataError
    from zoo.registry import register

    rank = os.environ.get("RANK")

    class Broken(training_world.Colored):
        def __getitem__(self, index: int) -> Any:
            if rank == "1" and self.split == "train":
                raise DataError("scene 7 cannot be read")
            return super().__getitem__(index)

    class Mortal(training_world.Colored):
        def __getitem__(self, index: int) -> Any:
            first = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0"
            if first and rank == os.environ.get("MORTAL", "none") and Path(os.environ["AFTER"]).exists():
                os.kill(os.getpid(), signal.SIGKILL)
            return super().__getitem__(index)

    def deep(num_classes: int, in_channels: int = 3, *, dropout: float = 0.0) -> Any:
        made = training_world.tiny(num_classes, in_channels, dropout=dropout)
        block = nn.Sequential(nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 1))
        made.encoder.conv.append(block)
        return made

    training_world.install()
    register("model", "deep")(deep)
    register("dataset", "broken")(Broken)
    register("dataset", "mortal")(Mortal)


def _full(*_: Any, **__: Any) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def take_part(out: Path, runs: Mapping[str, Sequence[str]]) -> None:
    """Train every run of `runs`, as the process that this is."""
    import torch
    from training_world import recipe

    from zoo.registry import forget, registering_as
    from zoo.training import state
    from zoo.training.loop import train
    from zoo.training.parallel.team import joined

    threads, writes = torch.get_num_threads(), state.atomic_path
    torch.set_num_threads(1)
    with registering_as("world"):
        install()
    try:
        with joined() as team:
            for name, options in runs.items():
                state.atomic_path = _full if name == "full!" else writes  # type: ignore[assignment]
                folder, resume = out / name.rstrip("+!"), name.endswith("+")
                try:
                    train(recipe(*options), folder, resume=resume)
                except Exception as error:
                    if not name.endswith("!"):
                        raise
                    print(json.dumps([name, type(error).__name__, str(error), team.told]))
    finally:
        state.atomic_path = writes
        forget("world")
        torch.set_num_threads(threads)


def main(out: Path, runs: Sequence[str]) -> None:
    """Take part in what the command line says."""
    named = (run.partition("=") for run in runs)
    take_part(out, {name: [*filter(None, options.split(";"))] for name, _, options in named})


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
