"""Where fetched files are kept, and whether more may be fetched."""

import os
import re
from pathlib import Path

from zoo.hub.fetching.lock import locked

_YES = ("1", "true", "yes", "on")
_SWITCHES = ("ZOO_OFFLINE", "HF_HUB_OFFLINE")


def cache_folder() -> Path:
    """The folder of fetched files, whether or not it exists yet.

    ``$ZOO_CACHE``, else ``$TORCH_HOME/zoo``, else ``$XDG_CACHE_HOME/zoo``, else ``~/.cache/zoo``.
    """
    if own := os.environ.get("ZOO_CACHE"):
        return Path(own).expanduser().absolute()
    for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
        if home := os.environ.get(name):
            return Path(home).expanduser().absolute() / "zoo"
    return Path("~/.cache/zoo").expanduser().absolute()


def offline() -> bool:
    """Whether ``ZOO_OFFLINE`` or ``HF_HUB_OFFLINE`` is set to 1, true, yes or on: then no connection is opened."""
    return offline_switch() is not None


def offline_switch() -> str | None:
    """The variable that forbids connections, for messages; None where none does."""
    return next((name for name in _SWITCHES if switched_on(name)), None)


def switched_on(name: str) -> bool:
    """Whether an environment variable says yes."""
    return os.environ.get(name, "").strip().lower() in _YES


def leftovers(folder: Path, *, remove: bool = False) -> dict[Path, int]:
    """What interrupted downloads left in a folder and the folders in it, with sizes in bytes.

    A download that is going on, in whatever process, is not among them. The next fetch of the same file would go on
    from its leftover; removing it costs no more than that.

    Raises:
        OSError: `remove`, and one cannot be removed.
    """
    found: dict[Path, int] = {}
    for path in sorted(folder.rglob(".*")):
        kind = re.fullmatch(r"\.(.+?)(\.lock|\.[0-9a-z]+\.part(\.json)?)", path.name)
        if kind is None or path.is_symlink() or not path.is_file():
            continue
        with locked(path.with_name(kind[1]), wait=False, make=remove) as free:
            if free and kind[2] != ".lock":  # an old lock goes away by being taken and given back
                found[path] = path.stat().st_size
                if remove:
                    path.unlink()
    return found
