"""Where registered data sets lie on this machine, and how they get there."""

import os
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from zoo.errors import DataError
from zoo.hub.fetching.download import DownloadError, download, progress_on_stderr


def places(name: str, root: Path | None) -> list[Path]:
    """Folders in which a data set may lie; the first is where it is put when it is fetched.

    With `root`: ``root/name``, then `root` itself. Without: ``$ZOO_DATA/name``, then Zoo's folder in the
    user's cache (``$XDG_CACHE_HOME`` or ``~/.cache``).
    """
    if root is not None:
        root = root.expanduser()
        return [root / name, root]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "zoo" / "data" / name
    home = os.environ.get("ZOO_DATA")
    return [Path(home).expanduser() / name, cache] if home else [cache]


def absent(name: str, looked: Iterable[Path], root: Path | None, size: str) -> DataError:
    """What to raise where a data set is in none of its places: where that was, and the command that fetches it."""
    where = f", root={str(root)!r}" if root is not None else ""
    code = f"from zoo.data import open_dataset; open_dataset({name!r}, 'train', download=True{where})"
    return DataError(
        f"data set {name!r} is not on this machine; looked in {', '.join(map(str, looked))}. Fetch it ({size}) with "
        f"-o data.download=true, or with: python -c {shlex.quote(code) if where else chr(34) + code + chr(34)}. "
        "If you have it elsewhere, name its folder as the data."
    )


def not_here(name: str, looked: Iterable[Path], expected: str, source: str) -> DataError:
    """What to raise for a data set that Zoo does not fetch: where it was looked for, as what, and where it is had."""
    return DataError(
        f"data set {name!r} is not on this machine; looked for {expected} in {', '.join(map(str, looked))}. It is not "
        f"fetched by Zoo: get it from {source}, and say where it lies with --root (in a recipe: data.root), or put it "
        "into the first of these places."
    )


def fetch(name: str, urls: Sequence[str], path: Path, *, md5: str | None = None) -> Path:
    """Download from the first address that answers; raises the last `DownloadError` where none does."""
    for url in urls[:-1]:
        try:
            return download(url, path, md5=md5, progress=progress_on_stderr(name))
        except DownloadError:
            continue
    return download(urls[-1], path, md5=md5, progress=progress_on_stderr(name))
