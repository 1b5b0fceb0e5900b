"""Manifests that were read before: parsing two hundred of them takes longer than everything else a listing does.

What a manifest held is kept beside the fetched files, together with what the file system says of it (times, size,
number). Whatever differs in any of these is read anew, and a file that was written a moment ago is not kept at all, so
that nothing stale is ever seen. Broken manifests are not kept either. Without a writable cache everything works as it
does with one.
"""

import json
import os
import sys
import time
import zlib
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

from zoo import __version__
from zoo.manifest import Family, Manifest, Spec, read_manifest

_MOST = 1000
"""Manifests that are kept although this process does not see them: those of other environments."""

_SETTLED = 2.0
"""Seconds after which a file system tells by its times whether a file was written again."""

_READERS = ("manifest.py", "fields.py", "published.py", "classes.py", "config.py", "shelved.py")
"""The modules that decide what a manifest means; in a checkout they change without a new version."""

_SPEC = [field.name for field in fields(Spec) if field.name not in ("folder", "object", "plugin")]
_FAMILY = [field.name for field in fields(Family) if field.name not in ("table", "plugin")]

_Entry = tuple[list[int], dict[str, Any]]


class Shelf:
    """Reads manifests, and knows those that have not changed since they were read last."""

    def __init__(self) -> None:
        self._read: dict[str, _Entry] = {}
        self._known: dict[str, _Entry] = {}
        self._fresh = False
        self._meaning = [__version__, *(_stamp(Path(__file__).with_name(name)) for name in _READERS)]
        with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            kept = json.loads(_place().read_bytes())
            if kept["meaning"] == self._meaning:
                self._known = dict(kept["manifests"])

    def read(self, path: Path, *, bare_names: bool = False) -> Manifest:
        """As `zoo.manifest.read_manifest`, which it raises like."""
        key = f"{path}{'' if bare_names else '|'}"
        with suppress(OSError, LookupError, TypeError, ValueError, AttributeError):
            stamp, table = self._known[key]
            if stamp == _stamp(path):
                manifest = _manifest(table, path.parent)
                self._read[key] = (stamp, table)
                return manifest
        with suppress(OSError):
            before = _stamp(path)
            manifest = read_manifest(path, bare_names=bare_names)
            if before == _stamp(path) and max(before[:2]) < (time.time() - _SETTLED) * 1e9:
                self._read[key] = (before, _table(manifest, path.parent))
                self._fresh = True
            return manifest
        return read_manifest(path, bare_names=bare_names)  # it says what is wrong

    def keep(self) -> None:
        """Write down what was read, if any of it is new."""
        if not self._fresh:
            return
        others = {} if len(self._known) > _MOST else self._known
        from zoo.files import atomic_path  # needs more of the standard library than a listing does

        with suppress(OSError):
            place = _place()
            place.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(place) as temporary:
                text = json.dumps({"meaning": self._meaning, "manifests": {**others, **self._read}}, ensure_ascii=False)
                temporary.write_text(text, encoding="utf-8")


def _place() -> Path:
    from zoo.hub.fetching.cache import cache_folder

    own = zlib.crc32(f"{Path(__file__)} {sys.version}".encode())
    return cache_folder() / "manifests" / f"{own:08x}.json"


def _stamp(path: Path) -> list[int]:
    found = os.stat(path)
    return [found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino]


def _table(manifest: Manifest, folder: Path) -> dict[str, Any]:
    return {
        "namespace": manifest.namespace,
        "summary": manifest.summary,
        "specs": [[getattr(spec, name) for name in _SPEC] for spec in manifest.specs],
        "families": [
            [str(family.table.relative_to(folder)), *(getattr(family, name) for name in _FAMILY)]
            for family in manifest.families
        ],
    }


def _manifest(table: dict[str, Any], folder: Path) -> Manifest:
    namespace = table["namespace"]
    return Manifest(
        namespace,
        table["summary"],
        tuple(
            Spec(**dict(zip(_SPEC, values, strict=True)), plugin=namespace, folder=folder) for values in table["specs"]
        ),
        tuple(
            Family(**dict(zip(_FAMILY, values, strict=True)), plugin=namespace, table=folder / place)
            for place, *values in table["families"]
        ),
    )
