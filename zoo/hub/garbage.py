"""What the cache of weights no longer needs."""

import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from zoo.errors import ZooError
from zoo.hub.fetching.cache import cache_folder, leftovers
from zoo.hub.fetching.file import DownloadError, RemoteFile
from zoo.hub.fetching.lock import locked
from zoo.hub.hubs import hubs, of_plugins
from zoo.hub.pull import converted_folder, files_folder, kept_in, pinned, sources_folder
from zoo.hub.record import Record


def collect(*, everything: bool = False, remove: bool = True) -> dict[Path, int]:
    """Find, and remove, files of the cache that nothing needs.

    Those are files that no record asks for, files of other libraries that have been converted, and what interrupted
    downloads have left; never those of a download that is going on. While a hub cannot be asked for its index, no
    fetched file is taken for needless.

    Args:
        everything: All weights, needed or not.
        remove: Remove them, or only look.

    Returns:
        File → size in bytes.

    Raises:
        DownloadError: One cannot be removed.
    """
    cache = cache_folder()
    try:
        found = leftovers(cache, remove=remove) if cache.is_dir() else {}
        for folder in _everything() if everything else _needless():
            found |= _files(folder)
            if remove:
                _remove(folder)
    except OSError as error:
        raise DownloadError(f"{error.filename or cache}: cannot be removed: {error.strerror or error}") from None
    return found


def _everything() -> list[Path]:
    return [folder for kind in (files_folder(), sources_folder(), converted_folder()) for folder in _folders(kind)]


def _needless() -> list[Path]:
    records, complete = _known()
    needless: list[Path] = []
    if complete:
        wanted = {kept_in(group) for record in records for group in _groups(record)}
        needless += [folder for folder in _folders(files_folder()) if folder not in wanted]
    names = {record.name: record for record in records}
    for folder in _named_folders(sources_folder()):
        record = names.get(folder.relative_to(sources_folder()).as_posix())
        if record is None or pinned(record) is not None:
            needless.append(folder)
    for folder in _named_folders(converted_folder()):
        if folder.relative_to(converted_folder()).as_posix() not in names:
            needless.append(folder)
    return needless


def _known() -> tuple[list[Record], bool]:
    """All records there are, and whether every hub could be asked."""
    records, complete = of_plugins(), True
    for hub in hubs():
        try:
            records += hub.records()
        except ZooError:
            complete = False
    return records, complete


def _groups(record: Record) -> Iterable[tuple[RemoteFile, ...]]:
    with suppress(ZooError):
        if record.files:
            yield record.files
        if record.golden is not None:
            yield (record.golden[0],)


def _folders(kind: Path) -> list[Path]:
    return sorted(path for path in kind.iterdir() if path.is_dir()) if kind.is_dir() else []


def _named_folders(kind: Path) -> list[Path]:
    """Folders called after records, whose names may have a namespace and so two levels."""
    if not kind.is_dir():
        return []
    return sorted({path.parent for path in kind.rglob("*") if path.is_file() and not path.name.startswith(".")})


def _files(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_size for path in sorted(folder.rglob("*")) if path.is_file()}


def _remove(folder: Path) -> None:
    """Remove a folder, but not under the hands of a process that fills it."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.name.startswith("."):
            with locked(path, wait=False, make=False) as free:
                if not free:
                    return
    shutil.rmtree(folder)
