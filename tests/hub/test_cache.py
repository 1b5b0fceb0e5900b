"""Where fetched files are kept, and whether connections are allowed."""

from pathlib import Path

import pytest
from loopback import CONTENT, SHA256, Web, left, serve

from zoo.hub.fetching.cache import cache_folder, leftovers, offline, offline_switch
from zoo.hub.fetching.fetch import fetch
from zoo.hub.fetching.file import DownloadError, RemoteFile
from zoo.hub.fetching.lock import locked


def test_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    for name in ("ZOO_CACHE", "TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert cache_folder() == tmp_path / ".cache" / "zoo"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "zoo"
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    assert cache_folder() == tmp_path / "torch" / "zoo"
    monkeypatch.setenv("ZOO_CACHE", "~/own")
    assert cache_folder() == tmp_path / "own"
    monkeypatch.setenv("ZOO_CACHE", "")
    assert cache_folder() == tmp_path / "torch" / "zoo"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZOO_CACHE", "relative")
    assert cache_folder() == tmp_path / "relative"
    assert not any(tmp_path.iterdir()), "asking makes no folder"


@pytest.mark.parametrize("name", ["ZOO_OFFLINE", "HF_HUB_OFFLINE"])
@pytest.mark.parametrize(
    ("value", "expected"),
    [("1", True), ("true", True), ("YES", True), (" on ", True), ("0", False), ("", False), ("off", False)],
)
def test_offline(online: None, monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: bool) -> None:
    assert not offline()
    monkeypatch.setenv(name, value)
    assert offline() is expected
    assert offline_switch() == (name if expected else None)


def test_leftovers(tmp_path: Path, web: Web) -> None:
    content = (tmp_path / "nets" / "whole.bin", tmp_path / ".other.part", tmp_path / "x.part")
    content[0].parent.mkdir()
    for path in content:
        path.write_bytes(b"not ours")
    file = RemoteFile("nets/file.bin", (web.url(),), bytes=len(CONTENT), sha256=SHA256)
    web.misbehave(serve(cut=100_000))
    with pytest.raises(DownloadError):
        fetch(file, tmp_path, attempts=1)
    found = leftovers(tmp_path)
    assert [path.suffix for path in found] == [".part", ".json"]
    assert max(found.values()) == 100_000
    before = left(tmp_path)
    with locked(tmp_path / "nets" / "file.bin"):
        assert leftovers(tmp_path, remove=True) == {}
    assert left(tmp_path) == before
    (tmp_path / "nets" / ".file.bin.lock").touch()
    assert leftovers(tmp_path, remove=True) == found
    assert left(tmp_path) == sorted(path.relative_to(tmp_path).as_posix() for path in content)
    assert leftovers(tmp_path / "absent") == {}


def test_a_lock(tmp_path: Path) -> None:
    path = tmp_path / "file"
    waited: list[bool] = []
    with locked(path, waiting=lambda: waited.append(True)) as ours:
        assert ours
        with locked(path, wait=False) as again:
            assert not again
    assert waited == []
    with locked(path, wait=False) as free:
        assert free
    with locked(path, wait=False, make=False) as free:
        assert free
        assert left(tmp_path) == []
    with pytest.raises(FileNotFoundError), locked(tmp_path / "absent" / "file"):
        pass


def test_a_file_system_without_locks(tmp_path: Path, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then every process works for itself, and nothing is left of what fails."""
    fcntl = pytest.importorskip("fcntl")

    def flock(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    file = RemoteFile("file.bin", (web.url(),), sha256=SHA256)
    web.misbehave(serve(cut=100_000), serve(cut=100_000))
    with pytest.raises(DownloadError):
        fetch(file, tmp_path, attempts=1)
    assert fetch(file, tmp_path).read_bytes() == CONTENT
    assert [seen.range for seen in web.seen] == [None, None, "bytes=100000-"]
    assert set(left(tmp_path)) <= {"file.bin", ".file.bin.lock"}
