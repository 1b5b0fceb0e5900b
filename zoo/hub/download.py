"""Fetching one file: whole and verified, or not at all."""

import hashlib
import http.client
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from zoo.errors import ZooError
from zoo.files import atomic_path

Progress = Callable[[int, int | None], None]
"""Called with the bytes so far and the bytes in all, where the server says how many."""

_CHUNK = 1 << 18
_PAUSE = 1.0
_SCHEMES = ("https", "http", "file")


class DownloadError(ZooError):
    """A file that could not be fetched, or is not the one that was expected."""


def _persist(transfer: "_Transfer", attempts: int) -> None:
    for attempt in range(1, attempts + 1):
        try:
            return transfer.attempt()
        except _InterruptedError as error:
            if attempt == attempts:
                tried = f" ({attempts} attempts)" if attempts > 1 else ""
                raise DownloadError(f"{transfer.url}: {error}{tried}") from None
            time.sleep(_PAUSE * attempt)


class _InterruptedError(Exception):
    """The connection broke, or the server asks to come again; another attempt may do."""


def download(
    url: str,
    path: str | os.PathLike[str],
    *,
    sha256: str | None = None,
    md5: str | None = None,
    timeout: float = 30.0,
    attempts: int = 3,
    progress: Progress | None = None,
) -> Path:
    """Fetch `url` into the file `path`, which appears only when it is complete and its hash is right.

    A broken connection is taken up again where it stopped, if the server can. A file that is there and has
    the expected hash is not fetched again.

    Args:
        url: ``https://``, ``http://`` or ``file://``.
        path: Where the file goes; missing folders are made.
        sha256: Expected hash, all of it or its first 8 or more hex digits.
        md5: Expected hash, for old archives that publish no other.
        timeout: Seconds without an answer after which an attempt ends.
        attempts: How often to try where trying again may help.
        progress: Called now and then.

    Raises:
        DownloadError: No connection, an error of the server, an incomplete file, another hash, or `path`
            cannot be written.
    """
    path = Path(path)
    for name, given, digits in (("sha256", sha256, range(8, 65)), ("md5", md5, range(32, 33))):
        if given is not None and (len(given) not in digits or set(given.lower()) - set("0123456789abcdef")):
            raise DownloadError(f"{given!r} is no {name} hash ({digits[0]} or more hex digits)")
    if urlsplit(url).scheme not in _SCHEMES:
        raise DownloadError(f"{url}: addresses start with {', '.join(f'{scheme}://' for scheme in _SCHEMES)}")
    try:
        if (sha256 or md5) and path.is_file() and _mistake(path, sha256, md5) is None:
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary:
            with temporary.open("wb") as file:
                _persist(_Transfer(url, file, timeout, progress), attempts)
            mistake = _mistake(temporary, sha256, md5)
            if mistake:
                raise DownloadError(f"{url}: {mistake}; it has changed there, or on its way; nothing was kept")
    except OSError as error:
        raise DownloadError(f"{path}: cannot be written: {error.strerror or error}") from None
    return path


def progress_on_stderr(name: str) -> Progress | None:
    """A progress line on the terminal; None where stderr is none."""
    if not sys.stderr.isatty():
        return None
    shown = [0.0]

    def show(done: int, total: int | None) -> None:
        now = time.monotonic()
        if now - shown[0] < 0.1 and done != total:
            return
        shown[0] = now
        of = f" of {total / 1e6:.1f} MB ({100 * done // max(total, 1)} %)" if total else " MB"
        print(f"\r{name}: {done / 1e6:.1f}{of}", end="\n" if done == total else "", file=sys.stderr, flush=True)

    return show


class _Transfer:
    """One file on its way; `attempt` is called until it returns.

    Attributes:
        done: Bytes that are there.
        tag: What identifies the content on the server, so that a rest of it can be asked for; empty if nothing does.
    """

    def __init__(self, url: str, file: IO[bytes], timeout: float, progress: Progress | None) -> None:
        self.url = url
        self.file = file
        self.timeout = timeout
        self.progress = progress
        self.done = 0
        self.tag = ""

    def attempt(self) -> None:
        """Fetch what is missing; raises `_InterruptedError` where another attempt may help."""
        with self._open() as response:
            if not response.headers.get("Content-Range", "").startswith(f"bytes {self.done}-"):
                self.done = 0  # the whole file comes again
            self.file.seek(self.done)
            self.file.truncate()
            length = response.headers.get("Content-Length", "")
            total = self.done + int(length) if length.isdigit() else None
            tag = response.headers.get("ETag", "")
            self.tag = "" if tag.startswith("W/") else tag
            while chunk := self._read(response):
                self.file.write(chunk)
                self.done += len(chunk)
                if self.progress is not None:
                    self.progress(self.done, total)
        if total is not None and self.done < total:  # a closed connection looks like the end of the file
            raise _InterruptedError(f"ended after {self.done:,} of {total:,} bytes")

    def _open(self) -> http.client.HTTPResponse:
        request = urllib.request.Request(self.url, headers={"User-Agent": "zoo"})
        if self.done and self.tag:
            request.add_header("Range", f"bytes={self.done}-")
            request.add_header("If-Range", self.tag)
        try:
            response: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=self.timeout)
            return response
        except urllib.error.HTTPError as error:
            message = f"the server answers {error.code} {error.reason}"
            if error.code in (408, 429) or error.code >= 500:
                raise _InterruptedError(message) from None
            raise DownloadError(f"{self.url}: {message}") from None
        except urllib.error.URLError as error:
            raise _InterruptedError(f"no connection: {error.reason}") from None
        except (OSError, http.client.HTTPException) as error:
            raise _InterruptedError(f"no connection: {error or type(error).__name__}") from None

    def _read(self, response: http.client.HTTPResponse) -> bytes:
        try:
            return response.read(_CHUNK)
        except (OSError, http.client.HTTPException) as error:
            raise _InterruptedError(f"broke off after {self.done:,} bytes: {error or type(error).__name__}") from None


def _mistake(path: Path, sha256: str | None, md5: str | None) -> str | None:
    """What is wrong with a file's hash, or None."""
    for name, expected in (("sha256", sha256), ("md5", md5)):
        if expected is not None:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, name).hexdigest()
            if not found.startswith(expected.lower()):
                return f"has {name} {found[: len(expected)]}, expected {expected}"
    return None
