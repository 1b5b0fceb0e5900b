"""Fetching a file into a folder: whole and verified, or not at all."""

import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo.hub.fetching.address import local_path
from zoo.hub.fetching.cache import offline_switch
from zoo.hub.fetching.file import DownloadError, RemoteFile
from zoo.hub.fetching.lock import locked
from zoo.hub.fetching.partial import Partial
from zoo.hub.fetching.transfer import PAGES, DiskFullError, InterruptedTransferError, Progress, RefusedError, Transfer

logger = logging.getLogger("zoo")

_PAUSE = 1.0
_STEP = 1 << 20  # an attempt that got so far ahead is not counted against an address


@dataclass(frozen=True, slots=True)
class Way:
    """How to go about it.

    Attributes:
        progress: Called now and then.
        timeout: Seconds without an answer, or with next to no bytes, after which an attempt ends.
        attempts: How often to try an address where trying again may help.
        pause: Seconds before the second attempt; twice as many before the next, and so on.
        refresh: Fetch it even if it is there.
        limit: The most bytes to take where the file's size is not known beforehand.
        keep: Whether what has arrived is kept for the next time when all addresses fail.
        offline: The variable that forbids connections.
        advice: What helps where the folder cannot be written.
    """

    progress: Progress | None = None
    timeout: float = 30.0
    attempts: int = 3
    pause: float = _PAUSE
    refresh: bool = False
    limit: int | None = None
    keep: bool = True
    offline: str | None = None
    advice: str = ""


def fetch(
    file: RemoteFile,
    folder: str | os.PathLike[str],
    *,
    progress: Progress | None = None,
    timeout: float = 30.0,
    attempts: int = 3,
    refresh: bool = False,
    limit: int | None = None,
) -> Path:
    """Return ``folder/file.name``, whole and verified; fetch it if it is not there.

    Size and every known digest are checked on arrival and each time again. A file that is damaged is fetched anew and
    replaced when the new one is right. Of several processes one fetches and the others wait. What an interrupted
    download has left is used. The addresses are tried in order. With ``ZOO_OFFLINE`` or ``HF_HUB_OFFLINE`` no
    connection is opened.

    Args:
        file: What to fetch.
        folder: Where to; folders that are missing are made.
        progress: Called with the bytes so far and in all (None where nobody knows).
        timeout: Seconds without an answer, or with next to no bytes, after which an attempt ends.
        attempts: How often to try an address where trying again may help.
        refresh: Fetch it even if it is there and right: for a file without a digest, which may have changed.
        limit: The most bytes to take where the file's record does not say how many it has.

    Raises:
        DownloadError: It cannot be had, with what each address answered; or the folder cannot be written.
    """
    advice = "; set ZOO_CACHE to a folder that can be written"
    way = Way(progress, timeout, attempts, _PAUSE, refresh, limit, True, offline_switch(), advice)
    return obtain(file, Path(folder, *file.name.split("/")), way)


def obtain(file: RemoteFile, path: Path, way: Way) -> Path:
    """`fetch` with all its settings, into the file `path`, whatever the name in `file` is.

    Raises:
        DownloadError: As `fetch`.
    """
    problem = _problem(file, path)
    if problem is None and not way.refresh:
        return path
    urls = [url for url in file.urls if way.offline is None or _is_local(url)]
    if not urls:
        raise _no_way(file, path, way, problem)
    try:
        if path.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path, waiting=lambda: logger.warning("waiting for another download of %s", path)) as alone:
            problem = _problem(file, path)  # meanwhile another process may have fetched it
            if problem is None and not way.refresh:
                return path
            if problem is not None and path.exists():
                logger.warning("%s %s: fetching it again", path, problem)
            _fetch(file, urls, Partial(path, file, shared=alone), way)
    except DiskFullError as error:
        raise DownloadError(f"{path}: {error}") from None
    except OSError as error:
        raise DownloadError(f"{path}: cannot be written: {error.strerror or error}{way.advice}") from None
    return path


def _problem(file: RemoteFile, path: Path) -> str | None:
    """Why the file at `path` cannot be used, or None."""
    try:
        return file.mistake(path)
    except FileNotFoundError:
        return "is not there"
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"


def _is_local(url: str) -> bool:
    return url.startswith("file:") or (local_path(url) is not None)


def _no_way(file: RemoteFile, path: Path, way: Way, problem: str | None) -> DownloadError:
    if not file.urls:
        return DownloadError(f"{path} {problem}, and no address is known for it")
    known = f" ({file.known_by})" if file.known_by else ""
    return DownloadError(
        f"{path} {problem or 'may be old'}, and {way.offline} forbids to fetch it. "
        f"Fetch {' or '.join(file.urls)}{known} and put it there as {path.name}"
    )


def _fetch(file: RemoteFile, urls: Sequence[str], partial: Partial, way: Way) -> None:
    """Fill the partial file from the first address that has it, and put it into its place."""
    try:
        if _is_whole(file, partial):
            partial.place()
            return
        failures = []
        for url in urls:
            transfer = Transfer(url, partial, file, timeout=way.timeout, limit=way.limit, progress=way.progress)
            try:
                _arrive(transfer, file, partial, way)
            except RefusedError as error:
                failures.append(f"{url}: {error}")
            else:
                partial.place()
                return
        kept = f"; {partial.done:,} bytes are kept for the next time" if way.keep and partial.lasts else ""
        subject = f"{partial.target.name} cannot be fetched: " if len(failures) > 1 else ""
        raise DownloadError(f"{subject}{'; '.join(failures)}{kept}")
    except Exception:
        if not way.keep:
            partial.remove()
        raise
    finally:
        partial.close()


def _is_whole(file: RemoteFile, partial: Partial) -> bool:
    """Whether another process was stopped when all had arrived."""
    if partial.done == 0 or (file.bytes is not None and partial.done < file.bytes):
        return False
    if file.mistake(partial.path) is None:
        return True
    if file.bytes is not None:
        partial.restart("", "")
    return False


def _arrive(transfer: Transfer, file: RemoteFile, partial: Partial, way: Way) -> None:
    """Fetch from one address and check what has come; raises `RefusedError`."""
    _persist(transfer, partial, way)
    mistake = file.mistake(partial.path)
    if mistake and partial.joined:  # the first part may have been of another content, or damaged in a crash
        partial.restart("", "")
        _persist(transfer, partial, way)
        mistake = file.mistake(partial.path)
    page = _is_page(partial.path)
    if mistake is None and page and not file.recognisable and partial.target.suffix not in PAGES:
        mistake = "is a web page in place of the file"
    elif mistake:
        mistake += f"{' and is a web page' if page else ''}; it has changed there, or on its way; nothing was kept"
    if mistake:
        partial.restart("", "")
        raise RefusedError(mistake)


def _persist(transfer: Transfer, partial: Partial, way: Way) -> None:
    """Attempt until it succeeds or too many attempts in a row have got nowhere."""
    furthest, attempt = partial.done, 0
    while True:
        attempt += 1
        try:
            return transfer.attempt()
        except InterruptedTransferError as error:
            if partial.done >= furthest + _STEP:
                furthest, attempt = partial.done, 1
            if attempt >= way.attempts:
                tried = f" ({way.attempts} attempts)" if way.attempts > 1 else ""
                raise RefusedError(f"{error}{tried}") from None
            time.sleep(max(way.pause * 2 ** (attempt - 1), error.after))


def _is_page(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(256).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return head.startswith((b"<!doctype html", b"<html"))
