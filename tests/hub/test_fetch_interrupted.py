"""Downloads that are killed, and several at once: real processes, real signals."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from loopback import CONTENT, SHA256, Web, left, serve

from zoo.hub.fetching.cache import leftovers
from zoo.hub.fetching.fetch import fetch
from zoo.hub.fetching.file import RemoteFile

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and forks")

ONE = """
import sys
from zoo.hub.fetching.fetch import fetch
from zoo.hub.fetching.file import RemoteFile
url, folder, size, sha256 = sys.argv[1:]
print(fetch(RemoteFile("file.bin", (url,), bytes=int(size), sha256=sha256), folder))
"""

# Dies at the n-th line that is executed in Zoo, for every n-th of them; then fetches again, without dying. Forks spare
# the start of an interpreter for each.
MANY = """
import json, os, signal, sys
from pathlib import Path
from zoo.hub.fetching import fetch as module, transfer
from zoo.hub.fetching.cache import leftovers
from zoo.hub.fetching.fetch import fetch
from zoo.hub.fetching.file import RemoteFile

url, folder, size, sha256, first, step, before = sys.argv[1:]
file = RemoteFile("file.bin", (url,), bytes=int(size), sha256=sha256)
folder = Path(folder)
path = folder / "file.bin"
transfer._CHUNK = 32768
module._PAUSE = 0

def die_at(last):
    count = 0
    def trace(frame, event, argument):
        nonlocal count
        if f"{os.sep}zoo{os.sep}hub{os.sep}" not in frame.f_code.co_filename:
            return None
        if event == "line":
            count += 1
            if count == last:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace
    sys.settrace(trace)

def killed_at(last):
    child = os.fork()
    if not child:
        die_at(last)
        fetch(file, folder)
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])

faults, deaths, n = [], 0, int(first)
while True:
    path.unlink(missing_ok=True)
    if before:
        path.write_bytes(b"damaged")
    if not killed_at(n):
        break
    deaths += 1
    there = path.read_bytes() if path.exists() else None
    if there not in (None, b"damaged") and file.mistake(path):
        faults.append([n, "a wrong file in its place"])
    fetch(file, folder)
    if file.mistake(path):
        faults.append([n, "a wrong file after the next fetch"])
    leftovers(folder, remove=True)
    junk = sorted(other.name for other in folder.iterdir() if other != path)
    if junk:
        faults.append([n, junk])
    n += int(step)
print(json.dumps({"deaths": deaths, "faults": faults}))
"""


def arguments(web: Web, folder: Path) -> list[str]:
    return [web.url(), str(folder), str(len(CONTENT)), SHA256]


def environment() -> dict[str, str]:
    root = str(Path(__file__).resolve().parents[2])
    return {**os.environ, "PYTHONPATH": root, "PYTHONWARNINGS": "ignore"}


@pytest.fixture
def start(web: Web, tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts a process that fetches; all are ended with the test."""
    processes: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        processes.append(
            subprocess.Popen(
                [sys.executable, "-c", ONE, *arguments(web, tmp_path)],
                env=environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return processes[-1]

    yield start
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.communicate()


def until(condition: Callable[[], object]) -> None:
    """Wait for it; a minute is for ever."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def arrived(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob(".file.bin.*.part"))


@pytest.mark.parametrize(("first", "before"), [(1, ""), (4, "damaged")])
def test_killed_at_many_points(tmp_path: Path, web: Web, first: int, before: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MANY, *arguments(web, tmp_path), str(first), "8", before],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["faults"] == []
    assert result["deaths"] > 50


def test_killed_in_mid_download_again_and_again(
    tmp_path: Path, web: Web, start: Callable[[], subprocess.Popen[str]]
) -> None:
    """Each process goes on from where the one before it died; every byte is sent once."""
    points = [1, 70_000, 200_000, len(CONTENT) - 1]
    web.misbehave(*[serve(cut=to - since, hold=web.stop) for since, to in zip([0, *points], points, strict=False)])
    for point in points:
        process = start()
        until(lambda point=point: arrived(tmp_path) >= point)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not (tmp_path / "file.bin").exists()
        assert arrived(tmp_path) == point
    process = start()
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert Path(out.strip()).read_bytes() == CONTENT
    assert [seen.range for seen in web.seen] == [None, *(f"bytes={point}-" for point in points)]
    assert left(tmp_path) == ["file.bin"]


def test_two_processes_fetch_once(tmp_path: Path, web: Web, start: Callable[[], subprocess.Popen[str]]) -> None:
    go = threading.Event()
    web.misbehave(serve(cut=100_000, hold=go))
    first = start()
    until(lambda: arrived(tmp_path) == 100_000)
    others = [start(), start()]
    for other in others:
        assert other.stderr is not None
        assert "waiting for another download of" in other.stderr.readline()
    go.set()
    for process in (first, *others):
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        assert Path(out.strip()).read_bytes() == CONTENT
    assert len(web.seen) == 1
    assert left(tmp_path) == ["file.bin"]


def test_whoever_waits_takes_over_from_one_that_is_killed(
    tmp_path: Path, web: Web, start: Callable[[], subprocess.Popen[str]]
) -> None:
    web.misbehave(serve(cut=100_000, hold=web.stop))
    first = start()
    until(lambda: arrived(tmp_path) == 100_000)
    second = start()
    assert second.stderr is not None
    assert "waiting" in second.stderr.readline()
    assert leftovers(tmp_path, remove=True) == {}, "what is in use is no leftover"
    first.kill()
    out, _ = second.communicate(timeout=60)
    assert Path(out.strip()).read_bytes() == CONTENT
    assert [seen.range for seen in web.seen] == [None, "bytes=100000-"]
    assert left(tmp_path) == ["file.bin"]


def test_stopped_by_the_user(tmp_path: Path, web: Web) -> None:
    def stop(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    file = RemoteFile("file.bin", (web.url(),), bytes=len(CONTENT), sha256=SHA256)
    with pytest.raises(KeyboardInterrupt):
        fetch(file, tmp_path, progress=stop)
    came = arrived(tmp_path)
    assert came
    assert sum(leftovers(tmp_path).values()) > came
    fetch(file, tmp_path)
    assert web.seen[-1].range == f"bytes={came}-"
    assert left(tmp_path) == ["file.bin"]
