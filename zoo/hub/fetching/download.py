"""Fetching one file from one address: whole and verified, or not at all."""

import os
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

from zoo.hub.fetching.cache import switched_on
from zoo.hub.fetching.fetch import Way, obtain
from zoo.hub.fetching.file import DownloadError, RemoteFile
from zoo.hub.fetching.transfer import Progress

__all__ = ["DownloadError", "Progress", "download", "progress_on_stderr"]

_PAUSE = 1.0
_SCHEMES = ("https", "http", "file")


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
        timeout: Seconds without an answer, or with next to no bytes, after which an attempt ends.
        attempts: How often to try where trying again may help.
        progress: Called now and then.

    Raises:
        DownloadError: No connection, an error of the server, an incomplete file, another hash, or `path`
            cannot be written; or ``ZOO_OFFLINE`` is set (``HF_HUB_OFFLINE`` is about weights, and does not count).
    """
    if urlsplit(url).scheme not in _SCHEMES:
        raise DownloadError(f"{url}: addresses start with {', '.join(f'{scheme}://' for scheme in _SCHEMES)}")
    file = RemoteFile("file", (url,), sha256=sha256, md5=() if md5 is None else (md5,))
    way = Way(
        progress=progress,
        timeout=timeout,
        attempts=attempts,
        pause=_PAUSE,
        refresh=not file.recognisable,
        keep=False,
        offline="ZOO_OFFLINE" if switched_on("ZOO_OFFLINE") else None,
    )
    return obtain(file, Path(path), way)


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
