"""Fetching where the disk is full, or the folder cannot be written."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from loopback import CONTENT, SHA256, Web, left, serve

from zoo.hub.fetching import partial
from zoo.hub.fetching.fetch import fetch
from zoo.hub.fetching.file import DownloadError, RemoteFile

# Fetches once after each step.
SCRIPT = """
import sys
from zoo.errors import ZooError
from zoo.hub.fetching.fetch import fetch
from zoo.hub.fetching.file import RemoteFile
url, folder, size, sha256, *steps = sys.argv[1:]
for step in steps:
    exec(step)
    try:
        print("got", fetch(RemoteFile("file.bin", (url,), bytes=int(size) or None, sha256=sha256), folder))
    except ZooError as error:
        print("error", error)
"""


def wanted(web: Web) -> RemoteFile:
    return RemoteFile("file.bin", (web.url(),), bytes=len(CONTENT), sha256=SHA256)


def command(web: Web, folder: Path, *steps: str, size: int = len(CONTENT)) -> list[str]:
    return [sys.executable, "-c", SCRIPT, web.url(), str(folder), str(size), SHA256, *(steps or [""])]


def run(arguments: list[str]) -> str:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def mounted(tmp_path: Path) -> Callable[..., list[str]]:
    """Wraps a command so that it sees a file system of its own at a folder, which goes with it."""

    def wrap(arguments: list[str], folder: Path, *script: str) -> list[str]:
        folder.mkdir(exist_ok=True)
        lines = " && ".join((*script, 'exec "$@"'))
        return ["unshare", "-rm", "sh", "-c", lines, "sh", *arguments]

    try:
        probe = wrap(["true"], tmp_path / "probe", f"mount -t tmpfs none {tmp_path / 'probe'}")
        if subprocess.run(probe, capture_output=True).returncode:
            pytest.skip("file systems cannot be mounted here")
    except FileNotFoundError:
        pytest.skip("there is no unshare here")
    return wrap


def test_a_disk_that_is_too_small_is_noticed_before(
    tmp_path: Path, web: Web, mounted: Callable[..., list[str]]
) -> None:
    folder = tmp_path / "small"
    out = run(mounted(command(web, folder), folder, f"mount -t tmpfs -o size=128k none {folder}"))
    assert out.startswith(f"error {folder}/file.bin: the disk is full: 307,200 bytes more needed, 131,072 free")
    assert left(folder) == []


def test_a_disk_that_fills_up_on_the_way(tmp_path: Path, web: Web, mounted: Callable[..., list[str]]) -> None:
    """Where the size is not known beforehand. What came is kept; when there is room, the download goes on."""
    folder = tmp_path / "small"
    web.misbehave(serve(length=None))
    grow = f"import subprocess; subprocess.run(['mount', '-o', 'remount,size=2m', {str(folder)!r}], check=True)"
    out = run(mounted(command(web, folder, "", grow, size=0), folder, f"mount -t tmpfs -o size=128k none {folder}"))
    failed, succeeded = out.splitlines()
    assert failed.startswith(f"error {folder}/file.bin: the disk is full: more needed, ")
    assert succeeded == f"got {folder}/file.bin"
    assert (web.seen[1].range or "").startswith("bytes=")


def test_a_file_that_may_not_grow(tmp_path: Path, web: Web) -> None:
    """A limit of the process, as a quota would be; needs no privileges."""
    pytest.importorskip("resource")
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))"
    out = run(command(web, tmp_path, limit))
    assert out.startswith(f"error {tmp_path}/file.bin: the disk is full: 207,200 bytes more needed, ")
    assert fetch(wanted(web), tmp_path).read_bytes() == CONTENT
    assert web.seen[1].range == "bytes=100000-"
    assert left(tmp_path) == ["file.bin"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_write_that_fails(tmp_path: Path, web: Web, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def fails(self: partial.Partial, data: bytes) -> None:
        raise OSError(number, os.strerror(number))

    path = tmp_path / "file.bin"
    path.write_bytes(b"damaged")
    with monkeypatch.context() as patch:
        patch.setattr(partial.Partial, "write", fails)
        message = "the disk is full: 307,200 bytes more needed" if number == errno.ENOSPC else "cannot be written"
        with pytest.raises(DownloadError, match=message):
            fetch(wanted(web), tmp_path)
    assert path.read_bytes() == b"damaged"
    assert fetch(wanted(web), tmp_path).read_bytes() == CONTENT
    assert left(tmp_path) == ["file.bin"]


def test_a_note_that_cannot_be_written_does_no_harm(tmp_path: Path, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(Path, "write_text", fails)
    web.misbehave(serve(cut=100_000))
    assert fetch(wanted(web), tmp_path).read_bytes() == CONTENT


def test_a_cache_that_can_only_be_read(tmp_path: Path, web: Web, mounted: Callable[..., list[str]]) -> None:
    folder = tmp_path / "cache"
    folder.mkdir()
    (folder / "file.bin").write_bytes(CONTENT)
    only_read = [f"mount --bind {folder} {folder}", f"mount -o remount,bind,ro {folder}"]
    assert run(mounted(command(web, folder), folder, *only_read)) == f"got {folder}/file.bin\n"
    assert web.seen == []
    for damage in (lambda: (folder / "file.bin").write_bytes(b"x"), (folder / "file.bin").unlink):
        damage()
        out = run(mounted(command(web, folder), folder, *only_read))
        assert out.startswith(f"error {folder}/file.bin: cannot be written: Read-only file system; set ZOO_CACHE")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_without_permission(tmp_path: Path, web: Web) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(DownloadError, match="cannot be written: Permission denied; set ZOO_CACHE"):
            fetch(wanted(web), tmp_path)
    finally:
        tmp_path.chmod(0o700)


def test_a_folder_that_cannot_be(tmp_path: Path, web: Web) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DownloadError, match=r"file/inside/file\.bin: cannot be written: .*; set ZOO_CACHE to a folder"):
        fetch(wanted(web), tmp_path / "file" / "inside")
    (tmp_path / "file.bin").mkdir()
    with pytest.raises(DownloadError, match=r"file\.bin: cannot be written: it is a folder"):
        fetch(wanted(web), tmp_path)
    if Path("/proc/version").exists():
        with pytest.raises(DownloadError, match=r"cannot be written: .*; set ZOO_CACHE"):
            fetch(wanted(web), "/proc/zoo")
    assert web.seen == []


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="no way to refuse links")
def test_links_in_place_of_our_own_files_are_not_followed(tmp_path: Path, web: Web) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(b"precious")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / ".file.bin.lock").symlink_to(precious)
    with pytest.raises(DownloadError, match="cannot be written"):
        fetch(wanted(web), tmp_path / "cache")
    (tmp_path / "cache" / ".file.bin.lock").unlink()
    unfinished = partial.Partial(tmp_path / "cache" / "file.bin", wanted(web), shared=True)
    unfinished.remove()
    unfinished.path.symlink_to(precious)
    with pytest.raises(DownloadError, match="cannot be written"):
        fetch(wanted(web), tmp_path / "cache")
    assert precious.read_bytes() == b"precious"
