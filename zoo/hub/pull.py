"""From a record to a verified file of ours on this machine."""

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from zoo.errors import CheckpointError, ZooError
from zoo.files import atomic_path
from zoo.hub.fetching.address import local_path
from zoo.hub.fetching.cache import cache_folder
from zoo.hub.fetching.download import progress_on_stderr
from zoo.hub.fetching.fetch import fetch
from zoo.hub.fetching.file import DownloadError, RemoteFile
from zoo.hub.fetching.lock import locked
from zoo.hub.fetching.transfer import Progress
from zoo.hub.header import read_header
from zoo.hub.record import Record, Source

logger = logging.getLogger("zoo")

PINS = "pins.json"
_FORMAT = 1
"""Raised when conversion gives other files than before, so that those of an older Zoo are made again."""


def pull(record: Record, *, progress: Callable[[str], Progress | None] = progress_on_stderr) -> Path:
    """Bring the weights of a record here, verified; what is here is verified again.

    Files in a hub on this machine are used where they lie, those of remote hubs are kept under `cache_folder()`.
    Upstream files of other formats are converted on arrival; the sha256 of the result is noted and checked from then
    on.

    Args:
        record: What is wanted.
        progress: Gives, for the name of a file, the function that is told how far its download is.

    Returns:
        The .safetensors file; of several shards the first.

    Raises:
        RecordError: The record itself cannot be used.
        DownloadError: The files cannot be had; says what to fetch and where to put it.
        CheckpointError: They are not what the record says.
    """
    record.check()
    if record.files:
        path = obtain(record.files, progress)[0]
        _agree(record, path)
        return path
    return _converted(record, progress)


def obtain(files: Sequence[RemoteFile], progress: Callable[[str], Progress | None] = progress_on_stderr) -> list[Path]:
    """Verified files of a hub, those that belong together in one folder.

    Raises:
        DownloadError: They cannot be had.
    """
    here = _in_place(files)
    if here is not None:
        return here
    return [fetch(file, kept_in(files), progress=progress(Path(file.name).name)) for file in files]


def kept_in(files: Sequence[RemoteFile]) -> Path:
    """The folder of the cache for files that belong together."""
    digests = "".join(str(file.sha256) for file in files)
    return files_folder() / hashlib.sha256(digests.encode()).hexdigest()[:16]


def _in_place(files: Sequence[RemoteFile]) -> list[Path] | None:
    """The files of a hub on this machine where they lie, if they are all there and right."""
    paths = []
    for file in files:
        path = local_path(file.urls[0]) if file.urls else None
        if path is None or not path.is_file():
            return None
        mistake = file.mistake(path)
        if mistake is not None:
            logger.warning("%s %s: it is not used", path, mistake)
            return None
        paths.append(path)
    return paths


def files_folder() -> Path:
    """Where files of remote hubs are kept."""
    return cache_folder() / "files"


def sources_folder() -> Path:
    """Where files of other formats are kept."""
    return cache_folder() / "sources"


def converted_folder() -> Path:
    """Where what was made of them is kept."""
    return cache_folder() / "converted"


def _agree(record: Record, path: Path) -> None:
    """Refuse a file that is not the model that the record says it is."""
    config = read_header(path).config
    same = record.only_named or config.to_json() == dict(record.config)
    if not config.is_of(record.model) or not same:
        raise CheckpointError(
            f"{path} is not what record {record.name!r} of {record.hub} says: it describes {config.name!r} with "
            f"{config.num_classes} classes"
        )


def pinned(record: Record) -> Path | None:
    """The file that was made of a record's sources, verified; None where there is none, or it is damaged."""
    folder = converted_folder() / record.name
    path = folder / f"{record.name.replace('/', '-')}.safetensors"
    pin = read_pin(folder)
    if pin is None or not path.is_file():
        return None
    file = RemoteFile(path.name, (), pin["bytes"], pin["sha256"])
    mistake = file.mistake(path)
    if mistake is not None:
        logger.warning("%s %s: it is made again", path, mistake)
        return None
    return path


def read_pin(folder: Path) -> dict[str, Any] | None:
    """What is noted of a converted file, or None where nothing that this Zoo understands is."""
    try:
        pin = json.loads((folder / PINS).read_text(encoding="utf-8"))
        if pin["format"] == _FORMAT and isinstance(pin["bytes"], int) and len(pin["sha256"]) == 64:
            return dict(pin)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def _converted(record: Record, progress: Callable[[str], Progress | None]) -> Path:
    found = pinned(record)
    if found is not None:
        return found
    folder = converted_folder() / record.name
    path = folder / f"{record.name.replace('/', '-')}.safetensors"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(path, waiting=lambda: logger.warning("waiting for another process that makes %s", path)):
            found = pinned(record)
            return found if found is not None else _convert_any(record, path, progress)
    except OSError as error:
        raise DownloadError(
            f"{path}: cannot be written: {error.strerror or error}; set ZOO_CACHE to a folder that can be written"
        ) from None


def _convert_any(record: Record, path: Path, progress: Callable[[str], Progress | None]) -> Path:
    failures = []
    for source in record.sources:
        try:
            fetched = _fetch_source(record, source, progress)
        except DownloadError as error:
            failures.append(str(error))
            continue
        try:
            return _convert(record, source, fetched, path)
        except ZooError as error:
            failures.append(f"{fetched}: {error}")
    raise DownloadError(f"{record.name} cannot be had: " + "; ".join(failures))


def _fetch_source(record: Record, source: Source, progress: Callable[[str], Progress | None]) -> Path:
    return fetch(source.file, sources_folder() / record.name, progress=progress(source.file.name))


def _convert(record: Record, source: Source, fetched: Path, path: Path) -> Path:
    from zoo.hub.convert import convert

    logger.warning("converting %s (%s) to safetensors, once", fetched.name, source.format)
    target = record.table.get("encoder") if record.of_encoder else record.table.get("model")
    with atomic_path(path) as temporary:
        convert(fetched, source=source.format, model=str(target), out=temporary, record=record.table)
        made, found = identity(temporary), identity(fetched)
    pin = {
        "format": _FORMAT,
        **made,
        "from": {"format": source.format, "name": source.file.name, **found},
    }
    with atomic_path(path.parent / PINS) as temporary:
        temporary.write_text(json.dumps(pin, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return path


def identity(path: Path) -> dict[str, Any]:
    """What a file is known by, as records and pins have it: ``{"bytes": …, "sha256": …}``."""
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def here(record: Record) -> Path | None:
    """The file of a record that is on this machine already, verified; nothing is fetched or converted.

    Raises:
        RecordError: The record itself cannot be used.
    """
    if not record.files:
        return pinned(record)
    found = _in_place(record.files)
    if found is None:
        kept = [kept_in(record.files) / file.name for file in record.files]
        right = all(path.is_file() and not file.mistake(path) for file, path in zip(record.files, kept, strict=True))
        found = kept if right else None
    return found[0] if found is not None else None
