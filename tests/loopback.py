"""A web server on this machine that serves files and misbehaves as it is told."""

import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

CONTENT = bytes(range(256)) * 1200
SHA256 = hashlib.sha256(CONTENT).hexdigest()

Behaviour = Callable[["Answer"], None]


class Seen(NamedTuple):
    """A request, as it arrived."""

    path: str
    headers: Mapping[str, str]

    @property
    def range(self) -> str | None:
        return self.headers.get("Range")


class Web(ThreadingHTTPServer):
    """Serves CONTENT at every path, unless told otherwise.

    Attributes:
        behaviours: Path → what answers there; a list answers once with each and then serves the content.
        seen: The requests so far.
        stop: Set when the test is over: behaviours that wait, wait for this.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.content = CONTENT
        self.tag: str | None = '"one"'
        self.behaviours: dict[str, Behaviour | list[Behaviour]] = {}
        self.seen: list[Seen] = []
        self.stop = threading.Event()

    def url(self, path: str = "file.bin") -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{path}"

    def misbehave(self, *how: Behaviour, path: str = "file.bin", always: bool = False) -> None:
        self.behaviours[f"/{path}"] = how[0] if always else list(how)

    def handle_error(self, *_: object) -> None:
        """A client that has had enough is no error."""


class Answer(BaseHTTPRequestHandler):
    server: Web

    def do_GET(self) -> None:
        self.server.seen.append(Seen(self.path, dict(self.headers.items())))
        path = self.path.partition("?")[0]
        behaviour = self.server.behaviours.get(path, serve())
        if isinstance(behaviour, list):
            behaviour = behaviour.pop(0) if behaviour else serve()
        behaviour(self)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@contextmanager
def web() -> Iterator[Web]:
    server = Web()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stop.set()
        server.shutdown()
        server.server_close()
        thread.join()


def serve(
    content: bytes | None = None,
    *,
    cut: int | None = None,
    length: int | str | None = -1,
    tag: str | None = "",
    ranges: bool = True,
    headers: Mapping[str, str] = {},
    hold: threading.Event | None = None,
    pace: float = 0,
) -> Behaviour:
    """Serves bytes, by default the server's.

    Args:
        content: The bytes.
        cut: After how many bytes of the body the connection is closed (or held).
        length: The Content-Length that is claimed; None for none.
        tag: The ETag; None for none.
        ranges: Whether a range is answered with that range.
        headers: More headers.
        hold: Waits for this at `cut`, then sends the rest.
        pace: Seconds between single bytes.
    """

    def answer(self: Answer) -> None:
        whole = self.server.content if content is None else content
        mark = self.server.tag if tag == "" else tag
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(asked[1]) if asked and ranges and self.headers.get("If-Range", mark) == mark else 0
        if start >= len(whole) and start:
            self.send_response(416)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(whole) - 1}/{len(whole)}")
        body = whole[start:]
        if length is not None:
            self.send_header("Content-Length", str(len(body) if length == -1 else length))
        if mark:
            self.send_header("ETag", mark)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if pace:
            for i in range(len(body)):
                self.wfile.write(body[i : i + 1])
                time.sleep(pace)
                if self.server.stop.is_set():
                    break
            return
        self.wfile.write(body[:cut])
        if hold is not None:
            while not (hold.wait(0.05) or self.server.stop.is_set()):
                pass
            self.wfile.write(body[cut:])

    return answer


def error(code: int, **headers: str) -> Behaviour:
    def answer(self: Answer) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    return answer


def redirect(url: str, code: int = 302) -> Behaviour:
    return error(code, Location=url)


def silent(self: Answer) -> None:
    """Takes the request and says nothing."""
    self.server.stop.wait(60)


def dripping_headers(self: Answer) -> None:
    """Sends a header that goes on for ever, a byte now and then."""
    self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while not self.server.stop.wait(0.02):
        self.wfile.write(b"x")


def endless_headers(self: Answer) -> None:
    """Says "100 Continue" for ever, as fast as it can."""
    while not self.server.stop.is_set():
        self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)


def endless(self: Answer) -> None:
    """Sends a body without a length that never ends."""
    self.send_response(200)
    self.end_headers()
    while not self.server.stop.is_set():
        self.wfile.write(b"\0" * 65536)


def left(folder: Path) -> list[str]:
    """The files in a folder, hidden ones too."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
