"""Several processes end together, whatever happens to one of them."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import ranks_world
import torch
from ranks_world import TIMEOUT, environment, finish, start
from safetensors.torch import load_file

from zoo.training import state

SMALL = ("--steps", "6", "-o", "data.batch_size=6", "-o", "data.crop=16", "-o", "data.workers=0", "--device", "cpu")
SAVING = (*SMALL, "-o", "run.save_every=1")


@pytest.fixture
def zoo(tmp_path: Path) -> Callable[..., list[str]]:
    """What makes Python run a command of Zoo with the tiny world in it."""
    plugin = tmp_path / "world.py"
    plugin.write_text("from ranks_world import install\ninstall()\n")
    return lambda *arguments: ["-m", "zoo", "--plugin", str(plugin), "train", "tiny", *map(str, arguments)]


def lines(text: str) -> list[str]:
    """What was printed, without what torch itself logs."""
    own = (line for line in text.splitlines() if line)
    return [line for line in own if not line.startswith(("[W", "[E", "[I", "[rank", "[Gloo"))]


def wait_for(condition: Callable[[], bool], processes: Sequence[subprocess.Popen[str]]) -> None:
    end = time.monotonic() + TIMEOUT
    while not condition() and time.monotonic() < end and all(process.poll() is None for process in processes):
        time.sleep(0.05)
    assert condition(), finish(processes)


def test_an_error_of_one_is_an_error_of_all(tmp_path):
    """The process that fails raises its own error, the others one that says whose it was; then they train on."""
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "recipe.toml").write_text("")
    runs = {
        "taken!": (),
        "small!": ("data.batch_size=1",),
        "pattern!": ("optim.freeze=['nothing.*']",),
        "groups!": ("optim.groups=[{match=['nothing.*']}]",),
        "broken!": ("data.name=broken",),
        "nan!": ("optim.name=sgd", "optim.lr=1e30", "schedule.warmup=0", "run.save_every=1"),
        "full!": ("run.save_every=1",),
        "good": ("run.steps=2",),
    }
    arguments = [f"{name}={';'.join(options)}" for name, options in runs.items()]
    (code, *outs), (other_code, *others) = finish(start(2, [ranks_world.__file__, str(tmp_path), *arguments]))
    assert (code, other_code) == (0, 0), (outs, others)
    lead, other = ([json.loads(line) for line in lines(text[0])] for text in (outs, others))
    assert lead, outs
    assert [record[0] for record in lead] == [record[0] for record in other] == [*runs][:-1]
    assert all(record[3] for record in (*lead, *other))
    said = {record[0]: record[1:3] for record in lead}
    heard = {record[0]: record[1:3] for record in other}
    assert "already holds a run" in said["taken!"][1]
    assert heard["taken!"] == ["RunError", f"process 0: {said['taken!'][1]}"]
    assert "batch_size is 1 for 2 processes" in said["small!"][1]
    assert "'nothing.*'" in said["pattern!"][1]
    assert "'nothing.*'" in said["groups!"][1]
    assert said["broken!"] == ["RunError", "process 1: scene 7 cannot be read"]
    assert heard["broken!"] == ["DataError", "scene 7 cannot be read"]
    assert "the loss is" in said["nan!"][1]
    assert "seed 0, pictures train/" in said["nan!"][1]
    assert "No space left" in said["full!"][1]
    assert (tmp_path / "good" / "report.html").is_file()
    assert not (tmp_path / "small").exists()


def test_a_mistake_is_printed_once(zoo, tmp_path):
    (code, output, errors), (other_code, *silent) = finish(
        start(2, zoo("--data", "colored", "--out", tmp_path / "run", "-o", "data.bach_size=3"))
    )
    assert (code, other_code) == (1, 1)
    assert "Did you mean 'batch_size'?" in errors
    assert not output
    assert [lines(text) for text in silent] == [[], []]
    assert not (tmp_path / "run").exists()


def test_a_signal_to_one_stops_all(zoo, tmp_path):
    out = tmp_path / "run"
    processes = start(2, zoo("--data", "colored", "--out", out, *SMALL, "--steps", "100000", "-o", "run.log_every=1"))
    log = out / "metrics.jsonl"
    wait_for(lambda: log.exists() and log.read_bytes().count(b'"train"') > 2, processes)
    processes[1].send_signal(signal.SIGTERM)
    (code, _, errors), (other_code, *silent) = finish(processes)
    assert (code, other_code) == (143, 143)
    saved = state.read_state(out / "state.pt")["progress"]["step"]
    (line,) = lines(errors)
    assert line.startswith(f"Stopped after step {saved}, everything is saved.")
    assert [lines(text) for text in silent] == [[], []]


def test_who_is_left_alone_ends(zoo, tmp_path):
    """Without a launcher that would end it."""
    out = tmp_path / "run"
    processes = start(
        2,
        zoo("--data", "mortal", "--out", out, *SAVING),
        MORTAL="1",
        AFTER=str(out / "state.pt"),
    )
    (code, _, errors), (other_code, *_) = finish(processes)
    assert (code, other_code) == (1, -signal.SIGKILL)
    (line,) = lines(errors)
    assert line.startswith("Error: process 0 of 2 has lost another one")
    assert state.read_state(out / "state.pt")["progress"]["step"] >= 1


@pytest.mark.slow
@pytest.mark.parametrize(("mortal", "workers"), [("0", 0), ("1", 1)])
def test_a_killed_process_is_replaced(zoo, tmp_path, mortal, workers):
    """By torchrun; the run goes on by itself, and ends as if nothing had been; what loads pictures goes along."""
    options = (*SAVING, "-o", f"data.workers={workers}")
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--max-restarts", "3"]
    launcher += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0", "--local-addr", "127.0.0.1"]
    command = zoo("--data", "mortal", "--out", tmp_path / "killed", *options)
    done = subprocess.run(
        [sys.executable, *launcher, *command],
        env=environment(MORTAL=mortal, AFTER=str(tmp_path / "killed" / "state.pt")),
        capture_output=True, text=True, timeout=TIMEOUT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "resumed after step" in done.stdout
    finish(start(2, zoo("--data", "mortal", "--out", tmp_path / "quiet", *options)))
    one, two = (load_file(tmp_path / name / "last.safetensors") for name in ("killed", "quiet"))
    assert all(torch.equal(tensor, two[name]) for name, tensor in one.items())


def hosts() -> bool:
    """Whether this machine lets us make two hosts out of it."""
    if shutil.which("ip") is None or not hasattr(os, "geteuid") or os.geteuid() != 0:
        return False
    name = f"zoo{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode == 0
    if made:
        subprocess.run(["ip", "netns", "del", name], check=False)
    return made


@pytest.fixture
def network():
    """Two network namespaces that a cable connects, and their addresses."""
    if not hosts():
        pytest.skip("network namespaces need root and the program ip")
    mark = os.getpid() % 10000
    names = [f"zoo{mark}a", f"zoo{mark}b"]
    addresses = {names[0]: "10.231.17.1", names[1]: "10.231.17.2"}

    def ip(*arguments: str) -> None:
        subprocess.run(["ip", *arguments], check=True, capture_output=True)

    try:
        for name in names:
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("link", "add", f"v{names[0]}", "netns", names[0], "type", "veth", "peer", f"v{names[1]}", "netns", names[1])
        for name, address in addresses.items():
            ip("-n", name, "address", "add", f"{address}/24", "dev", f"v{name}")
            ip("-n", name, "link", "set", f"v{name}", "up")
        yield addresses
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


@pytest.mark.slow
def test_two_hosts(network, zoo, tmp_path):
    """They meet by c10d; each has a folder of its own, and only the first one's is written to."""
    first = next(iter(network.values()))
    processes = []
    for name, address in network.items():
        launcher = ["-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1", "--rdzv-backend", "c10d"]
        launcher += ["--rdzv-endpoint", f"{first}:29411", "--rdzv-id", "both", "--local-addr", address]
        launcher += ["--rdzv-conf", f"is_host={int(address == first)}"]
        command = zoo("--data", "colored", "--out", tmp_path / name, *SMALL)
        processes.append(
            subprocess.Popen(
                ["ip", "netns", "exec", name, sys.executable, *launcher, *command],
                env=environment(GLOO_SOCKET_IFNAME=f"v{name}"),
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
        )  # fmt: skip
    results = finish(processes)
    assert [code for code, *_ in results] == [0, 0], results
    written = [tmp_path / name for name in network if (tmp_path / name).exists()]
    assert len(written) == 1
    finish(start(2, zoo("--data", "colored", "--out", tmp_path / "here", *SMALL)))
    one, two = (load_file(folder / "last.safetensors") for folder in (written[0], tmp_path / "here"))
    assert all(torch.equal(tensor, two[name]) for name, tensor in one.items())
