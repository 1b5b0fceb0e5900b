"""A static web server over a hub's folder, with ranges, so that interrupted downloads from it are continued."""

import email.utils
import html
import os
import re
import socket
import stat
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, unquote, urlsplit

from zoo.errors import ZooError
from zoo.hub.index import FILE
from zoo.hub.publishing.placing import PAGE

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".md": "text/markdown; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".toml": "text/plain; charset=utf-8",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".css": "text/css; charset=utf-8",
}
_OTHER = "application/octet-stream"
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_CHUNK = 1 << 20
_PATIENCE = 60.0  # seconds without a byte from or to a client


class Server(ThreadingHTTPServer):
    """Serves a folder; `serve_forever` until `shutdown`.

    Args:
        folder: What to serve; it must have an index.
        host: The address to listen at; 127.0.0.1 is reached from this machine only.
        port: 0 takes a free one.

    Raises:
        ZooError: It is no hub, or the port cannot be had.
    """

    daemon_threads = True

    def __init__(self, folder: str | os.PathLike[str], host: str = "127.0.0.1", port: int = 8080) -> None:
        self.folder = Path(folder).expanduser().resolve()
        if not (self.folder / FILE).is_file():
            raise ZooError(
                f"{folder} is no hub: there is no {FILE} in it; `zoo hub publish RUN --to {folder}` makes one"
            )
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__((host, port), _Answer)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ZooError(f"cannot listen at {host}, port {port}: {reason}; choose another --port or --host") from None

    @property
    def address(self) -> str:
        """Where it can be reached from this machine, or by its name."""
        host, port = self.server_address[:2]
        name = str(host)
        if name in ("0.0.0.0", "::"):
            name = socket.gethostname()
        return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass over clients that go away; anything else is shown."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Answer(BaseHTTPRequestHandler):
    """One connection."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version = "zoo"
    sys_version = ""
    timeout = _PATIENCE

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a line for each of a thousand requests helps nobody."""

    def _answer(self, *, body: bool) -> None:
        try:
            path = self._path()
            if path.is_dir():
                place = urlsplit(self.path).path
                if not place.endswith("/"):
                    return self._redirect(place.rpartition("/")[2] + "/")
                if not (path / PAGE).is_file():
                    return self._list(path, body)
                path = path / PAGE
            file = path.open("rb")
        except (ValueError, OSError):
            return self._refuse(HTTPStatus.NOT_FOUND, body)
        with file:
            self._send(file, path, body)

    def _path(self) -> Path:
        """The file that is asked for; raises `ValueError` where it is none that is served.

        Hidden files are not: half-written ones and locks have such names.
        """
        parts = [unquote(part, errors="strict") for part in urlsplit(self.path).path.split("/")]
        names = [part for part in parts if part]
        if any(name.startswith(".") or set(name) & set("/\\:\0") for name in names):
            raise ValueError("a name that leads elsewhere")
        path = self.server.folder.joinpath(*names).resolve()
        if not path.is_relative_to(self.server.folder):
            raise ValueError("a link that leads out of the folder")
        return path

    def _send(self, file: IO[bytes], path: Path, body: bool) -> None:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            return self._refuse(HTTPStatus.NOT_FOUND, body)
        tag = f'"{found.st_mtime_ns:x}-{found.st_size:x}-{found.st_ino:x}"'
        changed = email.utils.formatdate(found.st_mtime, usegmt=True)
        common = {"ETag": tag, "Last-Modified": changed, "Accept-Ranges": "bytes", "Cache-Control": "no-cache"}
        if tag in [known.strip().removeprefix("W/") for known in self.headers.get("If-None-Match", "").split(",")]:
            return self._head(HTTPStatus.NOT_MODIFIED, common, 0)
        kind = _TYPES.get(path.suffix.lower(), _OTHER)
        try:
            span = self._range(found.st_size, tag, changed)
        except ValueError:
            return self._refuse(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, body, f"bytes */{found.st_size}")
        start, end = span or (0, found.st_size)
        if span is not None:
            common["Content-Range"] = f"bytes {start}-{end - 1}/{found.st_size}"
        status = HTTPStatus.OK if span is None else HTTPStatus.PARTIAL_CONTENT
        self._head(status, {**common, "Content-Type": kind, "X-Content-Type-Options": "nosniff"}, end - start)
        if body:
            self._copy(file, start, end)

    def _copy(self, file: IO[bytes], start: int, end: int) -> None:
        file.seek(start)
        left = end - start
        while left:
            chunk = file.read(min(_CHUNK, left))
            if not chunk:  # it became shorter; the client sees that the body is cut
                self.close_connection = True
                return
            self.wfile.write(chunk)
            left -= len(chunk)

    def _range(self, size: int, tag: str, changed: str) -> tuple[int, int] | None:
        """From where to where; None for the whole. Raises `ValueError` where the file has no such bytes."""
        asked = _RANGE.fullmatch(self.headers.get("Range", "").strip())
        condition = self.headers.get("If-Range")
        if (
            asked is None
            or asked[0] == "bytes=-"
            or (condition is not None and condition.strip() not in (tag, changed))
        ):
            return None
        if not asked[1]:
            start, end = max(size - int(asked[2]), 0), size
        else:
            start, end = int(asked[1]), min(int(asked[2]) + 1, size) if asked[2] else size
            if asked[2] and int(asked[2]) < start:
                return None
        if start >= end:
            raise ValueError("beyond the end")
        return start, end

    def _list(self, folder: Path, body: bool) -> None:
        """A folder without a page of its own."""
        names = sorted(path.name + "/" * path.is_dir() for path in folder.iterdir() if not path.name.startswith("."))
        items = "".join(f'<li><a href="{quote(name)}">{html.escape(name)}</a></li>\n' for name in names)
        self._text(HTTPStatus.OK, f"<!DOCTYPE html>\n<title>Files</title>\n<ul>\n{items}</ul>\n", body)

    def _redirect(self, place: str) -> None:
        self._head(HTTPStatus.MOVED_PERMANENTLY, {"Location": place}, 0)

    def _refuse(self, status: HTTPStatus, body: bool, span: str | None = None) -> None:
        extra = {} if span is None else {"Content-Range": span}
        self._text(status, f"{status.value} {status.phrase}\n", body, extra, "text/plain; charset=utf-8")

    def _text(
        self,
        status: HTTPStatus,
        text: str,
        body: bool,
        extra: dict[str, str] | None = None,
        kind: str = _TYPES[".html"],
    ) -> None:
        content = text.encode()
        self._head(status, {**(extra or {}), "Content-Type": kind}, len(content))
        if body:
            self.wfile.write(content)

    def _head(self, status: HTTPStatus, headers: dict[str, str], length: int) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Length", str(length))
        self.end_headers()
