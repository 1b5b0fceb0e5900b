"""Checks that found nothing wrong are remembered, so that training starts at once the next time.

A check is known again by the names, sizes and times of all files, and by what was asked; the notes are empty files
beside the fetched ones, and may be removed at any time.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from zoo.data.layouts import Pair
from zoo.hub.fetching.cache import cache_folder

VERSION = 1
"""Goes up when checks become stricter."""


def key_of(pairs: Iterable[Pair], description: Path, asked: object) -> str | None:
    """What a check of these files is known by; None where a file is missing or cannot be looked at."""
    hashed = hashlib.blake2b(repr((VERSION, asked)).encode(), digest_size=20)
    for pair in pairs:
        for path in (pair.image, pair.mask):
            if path is None:
                return None
            try:
                stat = path.stat()
            except OSError:
                return None
            hashed.update(repr((str(path.absolute()), stat.st_size, stat.st_mtime_ns)).encode())
    try:
        hashed.update(description.read_bytes())
    except FileNotFoundError:
        pass
    except OSError:
        return None
    return hashed.hexdigest()


def passed(key: str) -> bool:
    """Whether that check found nothing wrong before."""
    return (_folder() / key).is_file()


def remember(key: str) -> None:
    """Note that a check found nothing wrong; where nothing can be written, nothing is remembered."""
    try:
        _folder().mkdir(parents=True, exist_ok=True)
        (_folder() / key).touch()
    except OSError:
        return


def _folder() -> Path:
    return cache_folder() / "checked"
