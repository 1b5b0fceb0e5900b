"""Downloads over a real loopback server that can misbehave."""

import hashlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from zoo.errors import ZooError
from zoo.hub.fetching.download import DownloadError, download, progress_on_stderr

CONTENT = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves CONTENT and does wrong what its attributes say.

    Attributes:
        cuts: After how many bytes of the body the next answers break off.
        codes: Status codes of the next answers, before any that works.
        ranges: Whether a range is answered with that range.
        tag: The ETag; with it interrupted downloads can be taken up.
        requests: (Range header, bytes sent) of each answer.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.cuts: list[int] = []
        self.codes: list[int] = []
        self.ranges = True
        self.tag: str | None = '"one"'
        self.length = True
        self.hang = threading.Event()
        self.hangs = False
        self.requests: list[tuple[str | None, int]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/file.bin"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server, asked = self.server, self.headers.get("Range")
        if server.hangs:
            server.hang.wait(20)
            return
        if server.codes:
            server.requests.append((asked, 0))
            self.send_error(server.codes.pop(0))
            return
        start = 0
        if asked and server.ranges and self.headers.get("If-Range") == server.tag:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}")
        else:
            self.send_response(200)
        body = server.content[start:]
        if server.length:
            self.send_header("Content-Length", str(len(body)))
        if server.tag:
            self.send_header("ETag", server.tag)
        self.end_headers()
        if server.cuts:
            body = body[: server.cuts.pop(0)]
        server.requests.append((asked, len(body)))
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Quiet."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr("zoo.hub.fetching.download._PAUSE", 0)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.hang.set()
    server.shutdown()
    server.server_close()
    thread.join()


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("hashes", [{}, {"sha256": SHA256}, {"sha256": SHA256[:8].upper()}, {"md5": MD5}])
def test_a_file_arrives_whole(tmp_path: Path, server: Server, hashes: dict[str, str]) -> None:
    path = tmp_path / "new" / "file.bin"
    assert download(server.url, path, **hashes) == path
    assert path.read_bytes() == CONTENT
    assert left(tmp_path) == ["file.bin"]


def test_what_is_there_is_not_fetched_again(tmp_path: Path, server: Server) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(CONTENT)
    download(server.url, path, sha256=SHA256)
    assert server.requests == []
    path.write_bytes(b"old")
    download(server.url, path, sha256=SHA256)
    assert path.read_bytes() == CONTENT
    download(server.url, path)  # without a hash nobody knows whether it is the same
    assert len(server.requests) == 2


@pytest.mark.parametrize("hashes", [{"sha256": "0" * 64}, {"sha256": "deadbeef"}, {"md5": "0" * 32}])
def test_another_hash_keeps_nothing(tmp_path: Path, server: Server, hashes: dict[str, str]) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(b"what was there before")
    with pytest.raises(DownloadError) as error:
        download(server.url, path, **hashes)
    name, expected = next(iter(hashes.items()))
    found = SHA256 if name == "sha256" else MD5
    assert server.url in str(error.value)
    assert f"{name} {found[: len(expected)]}, expected {expected}" in str(error.value)
    assert path.read_bytes() == b"what was there before"
    assert left(tmp_path) == ["file.bin"]


def test_a_broken_connection_is_taken_up_where_it_stopped(tmp_path: Path, server: Server) -> None:
    server.cuts = [300_000, 200_000]
    download(server.url, tmp_path / "file.bin", sha256=SHA256)
    assert [asked for asked, _ in server.requests] == [None, "bytes=300000-", "bytes=500000-"]
    assert sum(sent for _, sent in server.requests) == len(CONTENT)


@pytest.mark.parametrize("how", ["no tag", "weak tag", "no ranges", "changed"])
def test_it_starts_anew_where_it_cannot_be_taken_up(tmp_path: Path, server: Server, how: str) -> None:
    server.cuts = [300_000]
    server.tag = {"no tag": None, "weak tag": 'W/"one"'}.get(how, '"one"')
    server.ranges = how != "no ranges"
    path = tmp_path / "file.bin"

    def change(done: int, total: int | None) -> None:
        if how == "changed":
            server.tag, server.content = '"two"', CONTENT[::-1]

    download(server.url, path, progress=change)
    assert path.read_bytes() == server.content
    assert server.requests[1][1] == len(CONTENT)


def test_a_connection_that_keeps_breaking_is_given_up(tmp_path: Path, server: Server) -> None:
    server.cuts = [1000, 1000, 1000]
    with pytest.raises(DownloadError, match=r"file\.bin: ended after 3,000 of 1,024,000 bytes \(3 attempts\)"):
        download(server.url, tmp_path / "file.bin")
    assert left(tmp_path) == []


def test_a_server_that_recovers(tmp_path: Path, server: Server) -> None:
    server.codes = [503, 429]
    download(server.url, tmp_path / "file.bin", sha256=SHA256)
    assert len(server.requests) == 3


@pytest.mark.parametrize(("code", "attempts"), [(404, 1), (403, 1), (500, 3)])
def test_errors_of_the_server(tmp_path: Path, server: Server, code: int, attempts: int) -> None:
    server.codes = [code] * 5
    with pytest.raises(DownloadError, match=rf"file\.bin: the server answers {code}"):
        download(server.url, tmp_path / "file.bin")
    assert len(server.requests) == attempts
    assert left(tmp_path) == []


def test_no_server(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        url = f"http://127.0.0.1:{free.getsockname()[1]}/file.bin"
        with pytest.raises(ZooError, match=r"file\.bin: no connection: .*refused"):
            download(url, tmp_path / "file.bin", attempts=1)


def test_a_server_that_says_nothing(tmp_path: Path, server: Server) -> None:
    server.hangs = True
    with pytest.raises(DownloadError, match=r"no connection: .*timed out"):
        download(server.url, tmp_path / "file.bin", timeout=0.2, attempts=1)


def test_a_body_without_a_length(tmp_path: Path, server: Server) -> None:
    server.length = False
    seen = []
    download(server.url, tmp_path / "file.bin", sha256=SHA256, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (len(CONTENT), None)


def test_progress(tmp_path: Path, server: Server) -> None:
    seen = []
    server.cuts = [400_000]
    download(server.url, tmp_path / "file.bin", progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert {total for _, total in seen} == {len(CONTENT)}


def test_progress_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert progress_on_stderr("x") is None
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    show = progress_on_stderr("camvid")
    assert show is not None
    show(500_000, 1_000_000)
    show(1_000_000, 1_000_000)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "camvid: 1.0 of 1.0 MB (100 %)" in captured.err


def test_two_at_once(tmp_path: Path, server: Server) -> None:
    path = tmp_path / "file.bin"
    threads = [threading.Thread(target=download, args=(server.url, path), kwargs={"sha256": SHA256}) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() == CONTENT
    assert left(tmp_path) == ["file.bin"]


def test_a_file_address(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(CONTENT)
    download((tmp_path / "source").as_uri(), tmp_path / "copy", sha256=SHA256)
    with pytest.raises(DownloadError, match="none: "):
        download((tmp_path / "none").as_uri(), tmp_path / "copy", attempts=1)


@pytest.mark.parametrize("url", ["ftp://x/y", "x/y", "", "data:,x"])
def test_other_addresses_are_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(DownloadError, match="addresses start with https://"):
        download(url, tmp_path / "file")


@pytest.mark.parametrize("hashes", [{"sha256": "abc"}, {"sha256": "x" * 64}, {"md5": "abcdef01"}, {"sha256": "a" * 65}])
def test_what_is_no_hash_is_refused(tmp_path: Path, hashes: dict[str, str]) -> None:
    with pytest.raises(DownloadError, match="is no "):
        download("https://127.0.0.1:1/x", tmp_path / "file", **hashes)


def test_a_place_that_cannot_be_written(tmp_path: Path, server: Server) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DownloadError, match=r"file/inside: cannot be written"):
        download(server.url, tmp_path / "file" / "inside")
    with pytest.raises(DownloadError, match="cannot be written"):
        download(server.url, tmp_path)
