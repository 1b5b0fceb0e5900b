"""Asking a web server for a file, with patience that ends and secrets that stay where they belong."""

import http.client
import io
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import urljoin, urlsplit

from zoo import __version__
from zoo.hub.fetching.address import token, web_address

_SLOWEST = 1024  # bytes per second below which a transfer counts as stalled
_LONGEST_ANSWER = 1 << 20  # bytes of headers
_REDIRECTIONS = 10


class RedirectionError(Exception):
    """A redirection that leads nowhere."""


class Patience:
    """How long to wait: for the whole of an answer's beginning, then for every so many bytes of its body.

    Only the time spent waiting for the server counts. A limit on each wait alone would never end where a byte comes
    now and then.
    """

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self._least = max(int(_SLOWEST * timeout), 1)
        self.expect_answer()

    def expect_answer(self) -> None:
        """From here on the beginning of an answer has to arrive in time, however many bytes it has."""
        self._body, self._waited, self._got = False, 0.0, 0

    def expect_body(self) -> None:
        """From here on some bytes have to arrive in that time, again and again."""
        self._body, self._waited, self._got = True, 0.0, 0

    def receive(self, sock: socket.socket, raw: io.RawIOBase, buffer: memoryview) -> int | None:
        """Read what is there into the buffer; raises `TimeoutError`."""
        left = self.timeout - self._waited
        if not self._body and self._got > _LONGEST_ANSWER:
            raise OSError("the headers of the answer do not end")
        if left <= 0:
            raise TimeoutError("timed out")
        sock.settimeout(left)
        before = time.monotonic()
        count = raw.readinto(buffer)
        self._waited += time.monotonic() - before
        self._got += count or 0
        if self._body and self._got >= self._least:
            self._waited, self._got = 0.0, 0
        return count


def open_url(address: str, headers: Mapping[str, str], patience: Patience) -> http.client.HTTPResponse:
    """Ask for an address, through the proxies of the environment, and return the answer; its body is yet to be read.

    Redirections are followed, though not from https to http. Each server is told only the secrets that are its own.

    Raises:
        urllib.error.HTTPError: An answer with an error code.
        RedirectionError: A redirection that leads nowhere or is not followed.
        OSError: No connection, or no answer in time.
        http.client.HTTPException: An answer that makes no sense.
    """
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        _PlainHandler(patience),
        _SecureHandler(patience),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    for _ in range(_REDIRECTIONS + 1):
        request = urllib.request.Request(address, headers={**headers, "User-Agent": f"zoo/{__version__}"})
        if secret := token(address):
            request.add_unredirected_header("Authorization", f"Bearer {secret}")
        try:
            response = opener.open(request, timeout=patience.timeout)
        except urllib.error.HTTPError as error:
            if error.code not in (301, 302, 303, 307, 308):
                raise
            error.close()
            address = _next_address(address, error)
        else:
            patience.expect_body()
            return cast(http.client.HTTPResponse, response)
    raise RedirectionError(f"the server redirects in circles, or more than {_REDIRECTIONS} times")


def _next_address(address: str, error: urllib.error.HTTPError) -> str:
    given = error.headers.get("Location", "")
    if not given:
        raise RedirectionError(f"the server answers {error.code} and does not say where to")
    following = web_address(urljoin(address, given.encode("iso-8859-1", "replace").decode("utf-8", "replace")))
    scheme = urlsplit(following).scheme
    if scheme not in ("http", "https"):
        raise RedirectionError(f"the server redirects to {following}, which is not on the web")
    if scheme == "http" and urlsplit(address).scheme == "https":
        raise RedirectionError(f"the server redirects from https to {following}")
    return following


class _WatchedInput(io.RawIOBase):
    """The incoming side of a socket, read with `Patience`."""

    def __init__(self, sock: socket.socket, patience: Patience) -> None:
        self._sock = sock
        self._patience = patience
        self._raw = cast(io.RawIOBase, sock.makefile("rb", buffering=0))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        return self._patience.receive(self._sock, self._raw, buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _WatchedSocket:
    """A socket whose `makefile` watches; everything else is the socket's own."""

    def __init__(self, sock: socket.socket, patience: Patience) -> None:
        self._sock = sock
        self._patience = patience

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_WatchedInput(self._sock, self._patience))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class _Watched(http.client.HTTPConnection):
    def __init__(self, host: str, *, patience: Patience, **others: Any) -> None:
        super().__init__(host, **others)
        self._patience = patience

    def connect(self) -> None:
        self._patience.expect_answer()
        super().connect()
        self.sock: Any = _WatchedSocket(self.sock, self._patience)


class _WatchedSecure(_Watched, http.client.HTTPSConnection):
    """The same over TLS."""


class _PlainHandler(urllib.request.HTTPHandler):
    def __init__(self, patience: Patience) -> None:
        super().__init__()
        self._patience = patience

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Watched, req, patience=self._patience)  # type: ignore[arg-type]


class _SecureHandler(urllib.request.HTTPSHandler):
    def __init__(self, patience: Patience) -> None:
        super().__init__()
        self._patience = patience

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_WatchedSecure, req, patience=self._patience)  # type: ignore[arg-type]
