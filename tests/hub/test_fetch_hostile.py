"""Fetching from servers that are broken or mean harm: an error in time, or the next mirror, never a wrong file."""

import http.client
import socket
from pathlib import Path

import pytest
from loopback import (
    CONTENT,
    SHA256,
    Behaviour,
    Web,
    dripping_headers,
    endless,
    endless_headers,
    error,
    left,
    redirect,
    serve,
    silent,
)

from zoo.hub.fetching.fetch import fetch
from zoo.hub.fetching.file import DownloadError, RemoteFile

PAGE = b"\n<!DOCTYPE html><html><body>Sign in to continue</body></html>"
FLIPPED = CONTENT[:200_000] + bytes([CONTENT[200_000] ^ 1]) + CONTENT[200_001:]

HOSTILE: dict[str, tuple[Behaviour, str]] = {
    "truncated": (serve(cut=150_000, ranges=False), r"ended after 150,000 of 307,200 bytes"),
    "nothing of the body": (serve(cut=0), r"ended after 0 of 307,200 bytes"),
    "truncated without a length": (serve(CONTENT[:150_000], length=None), r"ended after 150,000 of 307,200"),
    "shorter": (serve(CONTENT[:150_000]), r"has 150,000 bytes, expected 307,200"),
    "longer": (serve(CONTENT + b"x"), r"has 307,201 bytes, expected 307,200"),
    "longer without a length": (serve(CONTENT + b"x", length=None), r"sends more than 307,200 bytes"),
    "a length that is too small": (serve(length=1000), r"has 1,000 bytes, expected 307,200"),
    "a length that is absurd": (serve(length=10**18), r"has 1,000,000,000,000,000,000 bytes, expected"),
    "a length that is none": (serve(FLIPPED, length="many"), r"has sha256 \w+, expected \w+"),
    "a flipped bit": (serve(FLIPPED), rf"has sha256 \w+, expected {SHA256}; it has changed there"),
    "a page": (serve(PAGE, headers={"Content-Type": "text/html"}), r"has 61 bytes, expected 307,200"),
    "a page without a length": (serve(PAGE, length=None), r"ended after 61 of 307,200"),
    "compressed": (serve(headers={"Content-Encoding": "gzip"}), r"compressed \(gzip\)"),
    "never ending": (endless, r"sends more than 307,200 bytes"),
    "not found": (error(404), r"the server answers 404"),
    "forbidden": (error(403), r"the server answers 403"),
    "failing": (error(500), r"the server answers 500"),
    "no content": (error(204), r"the server answers 204"),
    "a range nobody asked for": (error(206), r"the server answers 206"),
    "not modified": (error(304), r"the server answers 304"),
    "silent": (silent, r"no connection: timed out"),
    "a drip": (serve(pace=0.02), r"stalled after \d+ bytes|timed out"),
    "a drip of headers": (dripping_headers, r"no connection: timed out"),
    "endless headers": (endless_headers, r"the headers of the answer do not end"),
    "hangs up": (lambda answer: answer.connection.close(), r"no connection: "),
    "no HTTP": (lambda answer: answer.wfile.write(b"SSH-2.0-OpenSSH_9\r\n"), r"no connection: "),
    "a broken chunk": (
        lambda answer: answer.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nabc"),
        r"broke off after \d+ bytes|ended after",
    ),
    "a chunk of nonsense": (
        lambda answer: answer.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc"),
        r"broke off after 0 bytes",
    ),
    "redirects to itself": (lambda answer: redirect(answer.path)(answer), r"redirects in circles"),
    "redirects to a file": (redirect("file:///etc/passwd"), r"redirects to file:///etc/passwd, which is not on the"),
    "redirects to ftp": (redirect("ftp://127.0.0.1/x"), r"which is not on the web"),
    "redirects nowhere": (error(302), r"the server answers 302 and does not say where"),
    "redirects to no address": (redirect("http://127.0.0.1:port/"), r"is no address|no connection"),
}


SLOW = ("silent", "a drip", "a drip of headers")


def patience(how: str) -> float:
    """Short where the time has to run out, and too long for a busy machine where it must not."""
    return 0.5 if how in SLOW else 60


def wanted(*urls: str) -> RemoteFile:
    return RemoteFile("file.bin", urls, bytes=len(CONTENT), sha256=SHA256)


@pytest.mark.parametrize("how", HOSTILE)
def test_an_error_and_no_file(tmp_path: Path, web: Web, how: str) -> None:
    behaviour, message = HOSTILE[how]
    web.misbehave(behaviour, always=True)
    with pytest.raises(DownloadError, match=r"file\.bin: .*?" + f"({message})"):
        fetch(wanted(web.url()), tmp_path, attempts=2, timeout=patience(how))
    assert not (tmp_path / "file.bin").exists()
    assert all(name.endswith((".part", ".part.json")) for name in left(tmp_path))
    web.behaviours.clear()
    assert fetch(wanted(web.url()), tmp_path).read_bytes() == CONTENT, "nothing that is left harms the next try"
    assert left(tmp_path) == ["file.bin"]


@pytest.mark.parametrize("how", HOSTILE)
def test_the_next_mirror_helps(tmp_path: Path, web: Web, mirror: Web, how: str) -> None:
    web.misbehave(HOSTILE[how][0], always=True)
    file, attempts = wanted(web.url(), mirror.url()), 2 if how in SLOW else 1
    assert fetch(file, tmp_path, attempts=attempts, timeout=patience(how)).read_bytes() == CONTENT
    assert left(tmp_path) == ["file.bin"]


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        (serve(PAGE, headers={"Content-Type": "text/html; charset=utf-8"}), "sends a web page in place"),
        (serve(b"\xef\xbb\xbf<html>", headers={"Content-Type": "application/octet-stream"}), "is a web page in place"),
        (serve(b'  <!DOCTYPE HTML PUBLIC "x">', length=None), "is a web page in place"),
    ],
)
def test_a_page_where_nothing_is_known_of_the_file(
    tmp_path: Path, web: Web, behaviour: Behaviour, message: str
) -> None:
    web.misbehave(behaviour, always=True)
    with pytest.raises(DownloadError, match=message):
        fetch(RemoteFile("index.json", (web.url(),)), tmp_path)
    assert left(tmp_path) == []
    web.misbehave(behaviour, path="card.html")
    fetch(RemoteFile("card.html", (web.url("card.html"),)), tmp_path)
    assert left(tmp_path) == ["card.html"]


def test_a_page_of_which_only_the_digest_is_known(tmp_path: Path, web: Web) -> None:
    web.misbehave(serve(PAGE, headers={"Content-Type": "text/html"}))
    with pytest.raises(DownloadError, match="and is a web page"):
        fetch(RemoteFile("file.bin", (web.url(),), md5=("0" * 32,)), tmp_path)
    assert left(tmp_path) == []


def test_a_digest_knows_better_than_a_content_type(tmp_path: Path, web: Web) -> None:
    web.misbehave(serve(headers={"Content-Type": "text/html"}))
    assert fetch(RemoteFile("file.bin", (web.url(),), sha256=SHA256), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("behaviour", [endless, serve(), serve(length=None)])
def test_a_limit_where_the_size_is_not_known(tmp_path: Path, web: Web, behaviour: Behaviour) -> None:
    web.misbehave(behaviour, always=True)
    with pytest.raises(DownloadError, match=r"more than 100,000( bytes)?"):
        fetch(RemoteFile("index.json", (web.url(),)), tmp_path, limit=100_000)
    assert left(tmp_path) == []


def test_there_is_a_limit_of_our_own(tmp_path: Path, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.hub.fetching.transfer.LIMIT", 1_000_000)
    web.misbehave(endless)
    with pytest.raises(DownloadError, match="sends more than 1,000,000 bytes"):
        fetch(RemoteFile("file.bin", (web.url(),), sha256=SHA256), tmp_path)
    assert left(tmp_path) == []


def test_a_slow_server_that_gets_there(tmp_path: Path, web: Web) -> None:
    """Slow is not stalled: every byte late, but enough of them in time."""
    web.content = b"zoo" * 20
    web.misbehave(serve(pace=0.01, length=None))
    fetch(RemoteFile("file.bin", (web.url(),), bytes=60), tmp_path, timeout=60, attempts=1)


def test_redirects_are_followed(tmp_path: Path, web: Web, mirror: Web) -> None:
    web.misbehave(serve(cut=100_000), redirect("/other"))
    web.misbehave(redirect(mirror.url("there/file.bin?a=b c"), 308), path="other")
    assert fetch(wanted(web.url()), tmp_path).read_bytes() == CONTENT
    assert [seen.path for seen in mirror.seen] == ["/there/file.bin?a=b%20c"]
    assert mirror.seen[0].range == "bytes=100000-", "what was asked for is asked for there too"


def test_redirects_between_two_servers_end(tmp_path: Path, web: Web, mirror: Web) -> None:
    web.misbehave(redirect(mirror.url()), always=True)
    mirror.misbehave(redirect(web.url()), always=True)
    with pytest.raises(DownloadError, match="redirects in circles, or more than 10 times"):
        fetch(wanted(web.url()), tmp_path)
    assert len(web.seen) + len(mirror.seen) == 11


def test_a_redirect_with_an_endless_body(tmp_path: Path, web: Web) -> None:
    def answer(self: object) -> None:
        self.wfile.write(b"HTTP/1.1 302 Found\r\nLocation: /other\r\n\r\n")  # type: ignore[attr-defined]
        endless(self)  # type: ignore[arg-type]

    web.misbehave(answer)
    assert fetch(wanted(web.url()), tmp_path).read_bytes() == CONTENT


def test_no_server(tmp_path: Path, online: None) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        url = f"http://127.0.0.1:{free.getsockname()[1]}/file.bin"
        with pytest.raises(DownloadError, match=r"no connection: .*refused\)?.* \(2 attempts\)|no connection"):
            fetch(wanted(url), tmp_path, attempts=2)
    with pytest.raises(DownloadError, match="no connection"):
        fetch(wanted("http://name.invalid/file.bin"), tmp_path, attempts=1)
    assert left(tmp_path) == []


def test_errors_of_reading_in_the_middle(tmp_path: Path, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reset connection is an interruption like any other."""

    read = http.client.HTTPResponse.read1
    calls: list[int] = []

    def breaking(self: http.client.HTTPResponse, size: int = -1) -> bytes:
        calls.append(size)
        if len(calls) == 3:
            raise ConnectionResetError(104, "Connection reset by peer")
        return read(self, min(size, 65536))

    monkeypatch.setattr(http.client.HTTPResponse, "read1", breaking)
    assert fetch(wanted(web.url()), tmp_path).read_bytes() == CONTENT
    assert len(web.seen) == 2
    assert web.seen[1].range is not None
