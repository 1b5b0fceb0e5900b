"""One process at a time per file; the kernel lets go for a process that dies."""

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_POLL = 0.1
_UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}


@contextmanager
def locked(
    path: Path, *, wait: bool = True, make: bool = True, waiting: Callable[[], None] | None = None
) -> Iterator[bool]:
    """Hold the lock of a file, whether or not that file exists.

    The lock is on a file ``.NAME.lock`` beside it, which is removed when the lock is given back and may stay where
    its holder was killed; that does no harm.

    Args:
        path: The file.
        wait: Until it is free, or look whether it is.
        make: Make the lock's own file. Otherwise, where there is none, nothing is locked and nobody holds it.
        waiting: Called once, if there is something to wait for.

    Yields:
        True where it is ours; False where `wait` is off and somebody else has it, and on file systems
        that know no locks.

    Raises:
        OSError: The lock's file cannot be made.
    """
    place = path.with_name(f".{path.name}.lock")
    if not make and not place.exists():
        yield True
        return
    handle = None
    try:
        while True:
            if handle is None:
                flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
                handle = os.open(place, flags, 0o666)
            try:
                taken = _try_lock(handle)
            except OSError as error:
                if error.errno not in _UNSUPPORTED:
                    raise
                yield False
                return
            if taken and _is_at(handle, place):
                break
            if taken:  # its last holder has removed the file, and a third process may hold a new one
                os.close(handle)
                handle = None
                continue
            if not wait:
                yield False
                return
            if waiting is not None:
                waiting()
                waiting = None
            time.sleep(_POLL)
        try:
            yield True
        finally:
            with suppress(OSError):  # Windows removes no open file; then it stays
                place.unlink()
    finally:
        if handle is not None:
            os.close(handle)  # gives the lock back


def _is_at(handle: int, place: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(place, follow_symlinks=False))
    except OSError:
        return False


if os.name == "nt":  # pragma: no cover
    import msvcrt

    def _try_lock(handle: int) -> bool:
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        except PermissionError:
            return False
        return True

else:
    import fcntl

    def _try_lock(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
