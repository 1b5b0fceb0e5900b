"""Memory that is kept between one layer and the next instead of being given back and fetched again."""

import ctypes
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h
_HUGE, _DEFAULT = 1 << 30, 1 << 25  # 32 MiB: what glibc lets the threshold grow to by itself

_inside = 0
_changed = False
_lock = threading.Lock()


@contextmanager
def kept_memory() -> Iterator[None]:
    """Within the block glibc takes large pieces from its heap and keeps what is freed.

    Every large map would otherwise be fetched from the system, cleared by it page by page, and given back a layer
    later: up to a quarter of the time of a large picture. What is freed serves the next map, and the next picture:
    afterwards, too, the heap is not trimmed, or whoever drops a picture's logits would have it fetched anew.
    """
    global _changed, _inside
    library = _glibc()
    if library is None:
        yield
        return
    with _lock:
        _inside += 1
        if _inside == 1:
            _changed = True
            library.mallopt(_MMAP_THRESHOLD, _HUGE)
            library.mallopt(_TRIM_THRESHOLD, 2**31 - 1)
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                library.mallopt(_MMAP_THRESHOLD, _DEFAULT)


@contextmanager
def usual_memory() -> Iterator[None]:
    """Within the block glibc's thresholds are those of a process that never met `kept_memory`: for comparisons.

    Left to itself it lets both grow with what is freed, up to these; setting one of them ends that. What the heap
    holds already, it holds.
    """
    library = _glibc()
    if library is not None and _changed and not _inside:
        library.mallopt(_MMAP_THRESHOLD, _DEFAULT)
        library.mallopt(_TRIM_THRESHOLD, 2 * _DEFAULT)
    yield


def give_back() -> None:
    """Return to the system what was freed: after a model was rebuilt, whose old weights would stay in the heap."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


@cache
def _glibc() -> Any:
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") and hasattr(library, "mallopt") else None
