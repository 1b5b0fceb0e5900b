"""Fetching from servers that mean well: the cache, resuming, mirrors, offline."""

import hashlib
import logging
import os
import threading
from pathlib import Path

import pytest
from loopback import CONTENT, SHA256, Web, error, left, serve

from zoo.hub.fetching.fetch import fetch
from zoo.hub.fetching.file import DownloadError, RemoteFile

SHA1 = hashlib.sha1(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT).hexdigest()


def wanted(*urls: str, name: str = "file.bin", **known: object) -> RemoteFile:
    return RemoteFile(name, urls, **(known or {"bytes": len(CONTENT), "sha256": SHA256}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "known",
    [
        {"bytes": len(CONTENT), "sha256": SHA256},
        {"sha256": SHA256[:8].upper()},
        {"md5": ("0" * 32, MD5)},
        {"sha1": (SHA1,), "md5": (MD5,), "sha256": SHA256[:12]},
        {"bytes": len(CONTENT)},
        {"bytes": None},
    ],
)
def test_a_file_arrives_whole(tmp_path: Path, web: Web, known: dict[str, object]) -> None:
    path = fetch(wanted(web.url(), name="nets/fcn/file.bin", **known), tmp_path / "new")
    assert path == tmp_path / "new" / "nets" / "fcn" / "file.bin"
    assert path.read_bytes() == CONTENT
    assert left(tmp_path) == ["new/nets/fcn/file.bin"]


def test_an_empty_file(tmp_path: Path, web: Web) -> None:
    web.content = b""
    file = wanted(web.url(), bytes=0, sha256=hashlib.sha256(b"").hexdigest())
    assert fetch(file, tmp_path).read_bytes() == b""
    assert fetch(file, tmp_path).read_bytes() == b""
    assert left(tmp_path) == ["file.bin"]
    assert len(web.seen) == 1


def test_what_is_there_and_right_is_not_fetched(tmp_path: Path, web: Web) -> None:
    for _ in range(3):
        fetch(wanted(web.url()), tmp_path)
    assert len(web.seen) == 1


def test_a_file_without_a_digest_is_fetched_once_or_when_asked(tmp_path: Path, web: Web) -> None:
    file = RemoteFile("index.json", (web.url("index.json"),))
    web.content = b"{}"
    fetch(file, tmp_path)
    web.content = b'{"schema": 1}'
    assert fetch(file, tmp_path).read_bytes() == b"{}"
    assert fetch(file, tmp_path, refresh=True).read_bytes() == web.content
    web.misbehave(error(404), path="index.json")
    with pytest.raises(DownloadError, match=r"index\.json: the server answers 404"):
        fetch(file, tmp_path, refresh=True)
    assert (tmp_path / "index.json").read_bytes() == web.content, "what is there stays where nothing better comes"


@pytest.mark.parametrize("how", ["flipped", "short", "long", "empty"])
def test_a_damaged_file_is_replaced(tmp_path: Path, web: Web, how: str, caplog: pytest.LogCaptureFixture) -> None:
    path = fetch(wanted(web.url()), tmp_path)
    before = path.stat()
    flipped = bytearray(CONTENT)
    flipped[77_777] ^= 1
    path.write_bytes({"flipped": bytes(flipped), "short": CONTENT[:-1], "long": CONTENT + b"x", "empty": b""}[how])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with caplog.at_level(logging.WARNING, "zoo"):
        assert fetch(wanted(web.url()), tmp_path).read_bytes() == CONTENT
    assert [record.getMessage().startswith(f"{path} has ") for record in caplog.records] == [True]
    assert left(tmp_path) == ["file.bin"]
    assert len(web.seen) == 2


def test_a_damaged_file_is_not_replaced_by_something_wrong(tmp_path: Path, web: Web) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(b"what was there")
    web.content = CONTENT[::-1]
    with pytest.raises(DownloadError, match="has sha256 "):
        fetch(wanted(web.url()), tmp_path)
    assert path.read_bytes() == b"what was there"
    assert left(tmp_path) == ["file.bin"]


def test_a_broken_connection_is_taken_up_where_it_stopped(tmp_path: Path, web: Web) -> None:
    web.misbehave(serve(cut=100_000), serve(cut=50_000))
    assert fetch(wanted(web.url()), tmp_path).read_bytes() == CONTENT
    assert [seen.range for seen in web.seen] == [None, "bytes=100000-", "bytes=150000-"]


def test_a_long_way_with_many_breaks(tmp_path: Path, web: Web) -> None:
    """Attempts that get ahead do not count; else a large file would never come over a bad line."""
    web.content = CONTENT * 30
    web.misbehave(*[serve(cut=1_100_000)] * 7)
    file = wanted(web.url(), sha256=hashlib.sha256(web.content).hexdigest())
    assert fetch(file, tmp_path, attempts=2).read_bytes() == web.content
    assert len(web.seen) == 8


def test_the_next_call_goes_on_where_the_last_gave_up(tmp_path: Path, web: Web) -> None:
    web.misbehave(serve(cut=100_000), serve(cut=50_000))
    with pytest.raises(DownloadError, match=r"ended after 150,000 .*\(2 attempts\); 150,000 bytes are kept"):
        fetch(wanted(web.url()), tmp_path, attempts=2)
    assert (tmp_path / "file.bin").exists() is False
    fetch(wanted(web.url()), tmp_path)
    assert [seen.range for seen in web.seen] == [None, "bytes=100000-", "bytes=150000-"]
    assert web.seen[-1].headers["If-Range"] == '"one"'
    assert left(tmp_path) == ["file.bin"]


@pytest.mark.parametrize("tag", ['"one"', 'W/"one"', None])
def test_what_has_changed_at_the_server_starts_anew(tmp_path: Path, web: Web, tag: str | None) -> None:
    """With an ETag the server notices; without one the digest of the whole does."""
    web.tag = tag
    web.misbehave(serve(b"x" * len(CONTENT), cut=100_000))
    with pytest.raises(DownloadError):
        fetch(wanted(web.url()), tmp_path, attempts=1)
    web.tag = '"two"' if tag == '"one"' else tag
    assert fetch(wanted(web.url()), tmp_path, attempts=1).read_bytes() == CONTENT
    assert left(tmp_path) == ["file.bin"]


def test_a_rest_whose_digest_nobody_knows_is_not_trusted(tmp_path: Path, web: Web) -> None:
    web.misbehave(serve(cut=100_000))
    with pytest.raises(DownloadError):
        fetch(wanted(web.url(), bytes=len(CONTENT)), tmp_path, attempts=1)
    assert left(tmp_path) == []
    fetch(wanted(web.url(), bytes=len(CONTENT)), tmp_path)
    assert [seen.range for seen in web.seen] == [None, None]


@pytest.mark.parametrize("kind", ["garbage", "longer", "complete", "one byte"])
def test_whatever_lies_in_the_partial_file_the_end_is_right(tmp_path: Path, web: Web, kind: str) -> None:
    web.misbehave(serve(cut=100_000))
    with pytest.raises(DownloadError):
        fetch(wanted(web.url()), tmp_path, attempts=1)
    (part,) = tmp_path.glob(".*.part")
    part.write_bytes(
        {"garbage": b"\0" * 100_000, "longer": CONTENT + b"x", "complete": CONTENT, "one byte": b"x"}[kind]
    )
    for note in tmp_path.glob(".*.json"):
        note.write_text('{"source": ')
    web.seen.clear()
    assert fetch(wanted(web.url()), tmp_path, attempts=1).read_bytes() == CONTENT
    assert left(tmp_path) == ["file.bin"]
    assert (not web.seen) == (kind == "complete")


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Range": "bytes 0-307199/307200"},
        {"Content-Range": "bytes 100000-307199/400000"},
        {"Content-Range": "bytes 100000-200000/307200"},
        {"Content-Range": "nonsense"},
        {},
    ],
)
def test_a_range_that_was_not_asked_for_is_not_joined(tmp_path: Path, web: Web, headers: dict[str, str]) -> None:
    assert len(CONTENT) == 307_200
    web.misbehave(serve(cut=100_000), error(206, **{k.replace("-", "_"): v for k, v in headers.items()}))
    assert fetch(wanted(web.url()), tmp_path).read_bytes() == CONTENT
    assert [seen.range for seen in web.seen] == [None, "bytes=100000-", None]


def test_mirrors_are_tried_in_order(tmp_path: Path, web: Web, mirror: Web) -> None:
    web.misbehave(error(404), path="a")
    web.misbehave(error(410), path="b")
    file = wanted(web.url("a"), web.url("b"), mirror.url(), web.url("never"))
    assert fetch(file, tmp_path).read_bytes() == CONTENT
    assert [seen.path for seen in web.seen] == ["/a", "/b"], "an answer such as 404 is final: no second attempt"
    assert len(mirror.seen) == 1


def test_a_mirror_goes_on_where_another_stopped(tmp_path: Path, web: Web, mirror: Web) -> None:
    web.misbehave(serve(cut=100_000), error(404))
    mirror.tag = '"its own"'
    assert fetch(wanted(web.url(), mirror.url()), tmp_path, attempts=2).read_bytes() == CONTENT
    assert [seen.range for seen in mirror.seen] == ["bytes=100000-"]
    assert "If-Range" not in mirror.seen[0].headers


def test_a_mirror_with_another_content_is_asked_for_the_whole_then(tmp_path: Path, web: Web, mirror: Web) -> None:
    web.misbehave(serve(b"x" * len(CONTENT), cut=100_000), error(404))
    assert fetch(wanted(web.url(), mirror.url()), tmp_path, attempts=2).read_bytes() == CONTENT
    assert [seen.range for seen in mirror.seen] == ["bytes=100000-", None]


def test_every_failure_is_told(tmp_path: Path, web: Web) -> None:
    web.misbehave(error(404), path="a")
    web.misbehave(error(503), always=True, path="b")
    web.misbehave(serve(CONTENT[::-1]), path="c")
    with pytest.raises(DownloadError) as caught:
        fetch(wanted(web.url("a"), web.url("b"), web.url("c")), tmp_path, attempts=2)
    message = str(caught.value)
    assert message.startswith("file.bin cannot be fetched: ")
    assert f"{web.url('a')}: the server answers 404 Not Found; " in message
    assert f"{web.url('b')}: the server answers 503 Service Unavailable (2 attempts); " in message
    assert f"{web.url('c')}: has sha256 " in message
    assert "\n" not in message
    assert left(tmp_path) == []


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
def test_a_server_that_recovers(tmp_path: Path, web: Web, code: int) -> None:
    web.misbehave(error(code), error(code))
    fetch(wanted(web.url()), tmp_path)
    assert len(web.seen) == 3


def test_pauses_grow_and_heed_the_server(tmp_path: Path, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("zoo.hub.fetching.fetch._PAUSE", 1.0)
    monkeypatch.setattr("zoo.hub.fetching.fetch.time.sleep", slept.append)
    web.misbehave(error(503), error(503), error(503), error(429, Retry_After="7"), error(429, Retry_After="999999"))
    fetch(wanted(web.url()), tmp_path, attempts=6)
    assert slept == [1, 2, 4, 8, 60]
    slept.clear()
    web.misbehave(error(429, Retry_After="7"), error(503, Retry_After="tomorrow"), path="two")
    fetch(wanted(web.url("two"), name="two"), tmp_path)
    assert slept == [7, 2]


def test_progress(tmp_path: Path, web: Web) -> None:
    seen: list[tuple[int, int | None]] = []
    web.misbehave(serve(cut=100_000), serve(length=None))
    fetch(wanted(web.url()), tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert {total for _, total in seen} == {len(CONTENT)}
    assert seen[-1] == (len(CONTENT), len(CONTENT))


def test_threads_fetch_once(tmp_path: Path, web: Web) -> None:
    paths: list[Path] = []
    threads = [threading.Thread(target=lambda: paths.append(fetch(wanted(web.url()), tmp_path))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert paths == [tmp_path / "file.bin"] * 6
    assert len(web.seen) == 1
    assert left(tmp_path) == ["file.bin"]


@pytest.mark.parametrize("name", ["ZOO_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline(tmp_path: Path, web: Web, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    file = wanted(web.url("a"), web.url("b"))
    monkeypatch.setenv(name, "1")
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("a connection was opened"))
    folder = tmp_path / "absent"
    with pytest.raises(DownloadError) as caught:
        fetch(file, folder)
    for part in (web.url("a"), web.url("b"), str(folder / "file.bin"), SHA256, "307,200 bytes", name):
        assert part in str(caught.value)
    assert not folder.exists()
    folder.mkdir()
    (folder / "file.bin").write_bytes(CONTENT)
    assert fetch(file, folder).read_bytes() == CONTENT
    (folder / "file.bin").write_bytes(CONTENT[::-1])
    with pytest.raises(DownloadError, match=rf"has sha256 .*, expected {SHA256}, and {name} forbids"):
        fetch(file, folder)
    assert left(folder) == ["file.bin"]


def test_offline_files_of_this_machine_are_still_taken(
    tmp_path: Path, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_OFFLINE", "yes")
    (tmp_path / "source").write_bytes(CONTENT)
    file = wanted(web.url(), str(tmp_path / "source"))
    assert fetch(file, tmp_path / "cache").read_bytes() == CONTENT
    assert web.seen == []


def test_a_file_without_any_address(tmp_path: Path, online: None) -> None:
    with pytest.raises(DownloadError, match="is not there, and no address is known"):
        fetch(wanted(), tmp_path)
