"""Moving the bytes of one address into a partial file: one attempt."""

import errno
import http.client
import re
import shutil
import stat
import urllib.error
from collections.abc import Callable
from pathlib import Path
from typing import IO

from zoo.hub.fetching.address import local_path, token, web_address
from zoo.hub.fetching.connection import Patience, RedirectionError, open_url
from zoo.hub.fetching.file import DownloadError, RemoteFile
from zoo.hub.fetching.partial import Partial

Progress = Callable[[int, int | None], None]
"""Called with the bytes so far and the bytes in all, where that is known."""

LIMIT = 16 << 30
"""How many bytes are taken where neither the file's record nor the server says how many there are."""

PAGES = (".html", ".htm")
"""Names that a web page may be stored under."""

_CHUNK = 1 << 18
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_MOST_PATIENT = 60.0


class RefusedError(Exception):
    """This address does not have the file; trying again does not help."""


class InterruptedTransferError(Exception):
    """The connection broke, or the server asks to come again; another attempt may do.

    Attributes:
        after: Seconds that the server asks to wait.
    """

    def __init__(self, message: str, after: float = 0.0) -> None:
        super().__init__(message)
        self.after = after


class DiskFullError(Exception):
    """There is no room for the file."""


class Transfer:
    """A file on its way from one address; `attempt` is called until it returns."""

    def __init__(
        self,
        url: str,
        partial: Partial,
        file: RemoteFile,
        *,
        timeout: float,
        limit: int | None,
        progress: Progress | None,
    ) -> None:
        self.url = url
        self._partial = partial
        self._file = file
        self._timeout = timeout
        self._limit = limit
        self._progress = progress

    def attempt(self) -> None:
        """Fetch what is missing.

        Raises:
            InterruptedTransferError: Another attempt may help.
            RefusedError: It does not.
            DiskFullError: There is less room than the file needs.
            OSError: The partial file cannot be written.
        """
        try:
            path = local_path(self.url)
            if path is None:
                self._from_web(web_address(self.url))
            else:
                self._from_disk(path)
        except DownloadError as error:
            raise RefusedError(str(error).removeprefix(f"{self.url}: ")) from None

    def _from_disk(self, path: Path) -> None:
        try:
            status = path.stat()
            source = path.open("rb") if stat.S_ISREG(status.st_mode) else None
        except (OSError, ValueError) as error:
            raise RefusedError(getattr(error, "strerror", None) or str(error)) from None
        if source is None:
            raise RefusedError("is no file")
        with source:
            self._check_total(status.st_size)
            self._partial.restart(self.url, "")
            self._take(lambda size: _read_local(source, size), status.st_size)

    def _from_web(self, address: str) -> None:
        partial, patience = self._partial, Patience(self._timeout)
        start = partial.done if partial.continues(self.url) else 0
        with self._open(address, start, patience) as response:
            tag = _tag(response, date=self._file.recognisable)
            total = response.length
            if start and response.status == 206:
                total = _joins(response, start, self._file.bytes)
                if total is None:
                    return self._from_web_anew(address)
                self._check_total(total)
                partial.go_on(self.url, tag)
            elif response.status == 200:
                self._check_content(response)
                self._check_total(total)
                partial.restart(self.url, tag)
            else:
                raise RefusedError(f"the server answers {response.status} {response.reason}".rstrip())
            self._take(lambda size: _read(response, size, partial), total)

    def _from_web_anew(self, address: str) -> None:
        """Where the server does not go on at the place that it was asked for."""
        self._partial.restart("", "")
        self._from_web(address)

    def _open(self, address: str, start: int, patience: Patience) -> http.client.HTTPResponse:
        headers = {}
        if start:
            headers["Range"] = f"bytes={start}-"
            if self._partial.tag and self._partial.source == self.url:
                headers["If-Range"] = self._partial.tag
        try:
            return open_url(address, headers, patience)
        except urllib.error.HTTPError as error:
            error.close()
            message = f"the server answers {error.code} {error.reason}".rstrip()
            if error.code == 416 and start:  # the server's file ends before that
                self._partial.restart("", "")
                return self._open(address, 0, patience)
            if error.code in (408, 429) or error.code >= 500:
                raise InterruptedTransferError(message, _retry_after(error)) from None
            hint = ""
            if error.code == 401 and self.url.startswith("hf:"):
                hint = " (HF_TOKEN does not open it)" if token(address) else " (HF_TOKEN is not set)"
            raise RefusedError(message + hint) from None
        except RedirectionError as error:
            raise RefusedError(str(error)) from None
        except (http.client.InvalidURL, UnicodeError, ValueError) as error:
            raise RefusedError(f"is no address: {error}") from None
        except urllib.error.URLError as error:
            raise InterruptedTransferError(f"no connection: {error.reason}") from None
        except (OSError, http.client.HTTPException) as error:
            raise InterruptedTransferError(f"no connection: {error or type(error).__name__}") from None

    def _check_content(self, response: http.client.HTTPResponse) -> None:
        coding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if coding not in ("", "identity"):
            raise RefusedError(f"the server sends it compressed ({coding}), which was not asked for")
        page = response.headers.get_content_type() == "text/html" and self._partial.target.suffix not in PAGES
        if page and not self._file.recognisable:  # some servers say so of every file: a digest knows better
            raise RefusedError("the server sends a web page in place of the file")

    def _check_total(self, total: int | None) -> None:
        """Refuse what cannot be the file, or does not fit on the disk, before it is fetched."""
        expected = self._file.bytes
        if total is None:
            total = expected
        elif expected is not None and total != expected:
            raise RefusedError(f"has {total:,} bytes, expected {expected:,}")
        if total is None:
            return
        if expected is None and self._limit is not None and total > self._limit:
            raise RefusedError(f"has {total:,} bytes, more than {self._limit:,}")
        if total - self._partial.done > self._free():
            raise self._full(total)

    def _take(self, read: Callable[[int], bytes], total: int | None) -> None:
        partial = self._partial
        whole = total if total is not None else self._file.bytes
        most = next(size for size in (whole, self._limit, LIMIT) if size is not None)
        while chunk := read(min(_CHUNK, most - partial.done + 1)):  # one more than there should be
            if partial.done + len(chunk) > most:
                partial.restart("", "")
                raise RefusedError(f"sends more than {most:,} bytes")
            try:
                partial.write(chunk)
            except OSError as error:
                raise self._full(whole) if error.errno in _FULL else error from None
            if self._progress is not None:
                self._progress(partial.done, whole)
        if whole is not None and partial.done < whole:  # a closed connection looks like the end of the file
            raise InterruptedTransferError(f"ended after {partial.done:,} of {whole:,} bytes")

    def _free(self) -> int:
        return shutil.disk_usage(self._partial.path.parent).free

    def _full(self, total: int | None) -> DiskFullError:
        need = "more" if total is None else f"{total - self._partial.done:,} bytes more"
        return DiskFullError(f"the disk is full: {need} needed, {self._free():,} free")


def _read(response: http.client.HTTPResponse, size: int, partial: Partial) -> bytes:
    try:
        return response.read1(size)
    except TimeoutError:
        raise InterruptedTransferError(f"stalled after {partial.done:,} bytes") from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        message = f"broke off after {partial.done:,} bytes: {error or type(error).__name__}"
        raise InterruptedTransferError(message) from None


def _read_local(source: IO[bytes], size: int) -> bytes:
    try:
        return source.read(size)
    except OSError as error:
        raise RefusedError(f"cannot be read: {error.strerror or error}") from None


def _tag(response: http.client.HTTPResponse, *, date: bool) -> str:
    """What tells the server's content from a later one; a date only if it is allowed.

    Two versions made within one second have the same date.
    """
    tag: str = response.headers.get("ETag", "")
    if tag and not tag.startswith("W/"):
        return tag
    return response.headers.get("Last-Modified", "") if date else ""


def _joins(response: http.client.HTTPResponse, start: int, expected: int | None) -> int | None:
    """The size of the whole, if an answer goes on at `start` up to the end; else None."""
    found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("Content-Range", "").strip())
    if found is None:
        return None
    first, last = int(found[1]), int(found[2])
    total = expected if found[3] == "*" else int(found[3])
    if total is None:
        return None
    fits = first == start and last == total - 1 and expected in (None, total)
    return total if fits and response.length in (None, total - start) else None


def _retry_after(error: urllib.error.HTTPError) -> float:
    given = error.headers.get("Retry-After", "") if error.headers else ""
    return min(float(given), _MOST_PATIENT) if given.isdigit() else 0.0
