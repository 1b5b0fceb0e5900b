"""Putting what was prepared into a hub's folder, so that a reader, or a crash, meets the old hub or the new one."""

import hashlib
import logging
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo.files import atomic_path
from zoo.hub.fetching.lock import locked
from zoo.hub.index import FILE, read_index, write_index
from zoo.hub.publishing.markup import GENERATOR
from zoo.hub.publishing.overview import overview
from zoo.hub.pull import identity
from zoo.hub.record import Record, RecordError
from zoo.hub.shards import shard_name

logger = logging.getLogger("zoo")

PAGE = "index.html"
GOLDEN = "golden"
_STAGE = ".publishing-"


@dataclass
class Prepared:
    """A record's files, complete but not yet in a hub.

    Attributes:
        name: The record's.
        table: The record without what depends on where the files are put.
        weights: The weight file, or its shards in order.
        golden: The file with the golden pair.
        pages: Name in the record's folder → what makes its content, from the finished record.
        default: Whether it becomes the model's default.
    """

    name: str
    table: dict[str, Any]
    weights: list[Path]
    golden: Path
    pages: dict[str, Callable[[Record], bytes]] = field(default_factory=dict)
    default: bool = False


@dataclass(frozen=True)
class Placed:
    """What came of it.

    Attributes:
        record: As the index has it.
        records: All that the index has.
        written: Names of the files that were written, in this order.
        stale: Names of files that no record needs any more.
    """

    record: Record
    records: list[Record]
    written: list[str]
    stale: list[str]


@contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """A folder to prepare files in, on the disk of the hub. What killed processes left of theirs is removed."""
    try:
        made = [part for part in (folder, *folder.parents) if not part.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        stage = folder / f"{_STAGE}{secrets.token_hex(6)}"
        with locked(stage):
            stage.mkdir()
            try:
                yield stage
            finally:
                shutil.rmtree(stage, ignore_errors=True)
    except OSError as error:
        raise _unwritable(folder, error) from None
    finally:
        for part in made:
            with suppress(OSError):
                part.rmdir()  # only what is empty: nothing was published


def _sweep(folder: Path) -> None:
    """Remove the stages of publishers that were killed; the kernel has given back their locks."""
    left = {path.name for path in folder.glob(f"{_STAGE}*")}
    left |= {path.name[1:].removesuffix(".lock") for path in folder.glob(f".{_STAGE}*.lock")}
    for name in left:
        with locked(folder / name, wait=False) as free:
            if free:
                shutil.rmtree(folder / name, ignore_errors=True)


def _tidy(folder: Path, own: Path, pages: Iterable[str]) -> None:
    """Remove half-written pages of publishers that were killed. Only who holds the hub's lock writes any."""
    for place, names in ((folder, (FILE, PAGE)), (own, tuple(pages))):
        for name in map(Path, names):
            for path in place.glob(f".{name.stem}.????????{name.suffix}"):
                path.unlink(missing_ok=True)


def _unwritable(folder: Path, error: OSError) -> RecordError:
    at = Path(error.filename).name if isinstance(error.filename, str) else ""
    reason = error.strerror or error
    return RecordError(f"{folder} cannot be published to: {reason}{f' ({at})' if at else ''}")


def taken(folder: Path, name: str, *, force: bool) -> None:
    """Raise `RecordError` where a hub has a record of that name already and it may not be replaced."""
    for record in _present(folder):
        if record.name == name and not force:
            raise RecordError(
                f"{folder} has a record {name!r} already; replace it with --force, or give another --name"
            )


def place(prepared: Prepared, folder: Path, *, force: bool = False, address: str | None = None) -> Placed:
    """Move files to where they belong, and name them in the index last of all.

    Weights that another content has replaced get another file name, so that the old index fits the old files until
    the new one is there. Several publishers at once wait for each other.

    Args:
        prepared: What is to be published; its files are moved.
        folder: The hub, on the same disk.
        force: Whether a record of that name is replaced.
        address: Where the hub will be read from, for its page.

    Raises:
        RecordError: There is such a record already, the index is damaged, or the folder cannot be written.
    """
    try:
        with locked(folder / FILE, waiting=lambda: logger.warning("waiting for another publisher to %s", folder)):
            return _place(prepared, folder, force, address)
    except OSError as error:
        raise RecordError(
            f"{folder} cannot be published to: {error.filename or ''} {error.strerror or error}"
        ) from None


def _place(prepared: Prepared, folder: Path, force: bool, address: str | None) -> Placed:
    taken(folder, prepared.name, force=force)
    before = _present(folder)
    own = folder / prepared.name
    own.mkdir(parents=True, exist_ok=True)
    _tidy(folder, own, prepared.pages)
    used = _used(before)
    weights = [identity(path) for path in prepared.weights]
    names = _free(prepared.name, Path(prepared.name).name, [found["sha256"] for found in weights], used)
    golden = identity(prepared.golden)
    golden_name = _free(prepared.name, GOLDEN, [golden["sha256"]], used)[0]
    table = {
        **prepared.table,
        "name": prepared.name,
        "default": prepared.default,
        "files": [{"name": name, **found} for name, found in zip(names, weights, strict=True)],
        "golden": {**prepared.table["golden"], "file": {"name": golden_name, **golden}},
    }
    record = Record(prepared.name, table, str(folder), str(folder))
    record.check()
    pages = {f"{prepared.name}/{name}": make(record) for name, make in prepared.pages.items()}
    for path, name in zip((*prepared.weights, prepared.golden), (*names, golden_name), strict=True):
        path.replace(folder / name)
    for name, content in pages.items():
        _write(folder / name, content)
    for changed in (own, folder):
        _flush(changed)
    records = [record, *(_demoted(other, record) for other in before if other.name != record.name)]
    write_index(folder, records)
    written = [*names, golden_name, *pages, FILE]
    if _is_ours(folder / PAGE):
        _write(folder / PAGE, overview(records, address).encode())
        written.append(PAGE)
    stale = sorted(_stale(own, prepared.name, _used(records)) | (used.keys() - _used(records).keys()))
    for name in stale:
        (folder / name).unlink(missing_ok=True)
    return Placed(record, records, written, stale)


def _present(folder: Path) -> list[Record]:
    path = folder / FILE
    return read_index(path, base=str(folder), hub=str(folder)) if path.exists() else []


def _used(records: list[Record]) -> dict[str, str]:
    """Names of files that records need → sha256."""
    return {
        file.name: str(file.sha256)
        for record in records
        for file in (*record.files, *([record.golden[0]] if record.golden else []))
    }


def _free(name: str, stem: str, digests: list[str], used: dict[str, str]) -> list[str]:
    """Names for files of this content: the plain ones, unless a record needs them for another content."""
    together = digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
    for candidate in (stem, f"{stem}-{together[:8]}", f"{stem}-{together[:32]}"):
        names = [f"{candidate}.safetensors"]
        if len(digests) > 1:
            names = [shard_name(candidate, number, len(digests)) for number in range(1, len(digests) + 1)]
        names = [f"{name}/{file}" for file in names]
        if all(used.get(file, sha) == sha for file, sha in zip(names, digests, strict=True)):
            return names
    raise RecordError(f"there is no free file name for {name}")


def _stale(own: Path, name: str, used: dict[str, str]) -> set[str]:
    """Weights and golden pairs that were put here and that no record names: an interrupted publisher left them."""
    stem = re.escape(Path(name).name)
    ours = re.compile(
        rf"(?:{stem}|{GOLDEN})(?:-(?:[0-9a-f]{{8}}|[0-9a-f]{{32}}))?(?:-\d{{5}}-of-\d{{5}})?\.safetensors"
    )
    found = {f"{name}/{path.name}" for path in own.iterdir() if ours.fullmatch(path.name)}
    return found - used.keys()


def _demoted(other: Record, record: Record) -> Record:
    """Another record, which is no longer the default where the new one is."""
    if not (record.default and other.default and other.model == record.model):
        return other
    return Record(other.name, {**other.table, "default": False}, other.base, other.hub)


def _is_ours(path: Path) -> bool:
    """Whether a page may be written over: there is none, or it says that it is one of ours."""
    try:
        return GENERATOR in path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return True


def _write(path: Path, content: bytes) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def _flush(folder: Path) -> None:
    """Bring the names of a folder's files to the disk before the index names them."""
    if os.name == "nt":  # pragma: no cover
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
