"""Finding the plugin that is to be checked: an installed one, or the folder of one that is not."""

import importlib
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from zoo import registry
from zoo.discovery import MANIFEST, Plugin
from zoo.distributions import GROUP
from zoo.errors import PluginError, did_you_mean


@dataclass(frozen=True, slots=True)
class Located:
    """A plugin and where its parts are.

    Attributes:
        plugin: As discovery found it.
        origin: Where it is from, for people: a distribution and its version, a folder.
        path: Folders to put on ``sys.path`` of another process, so that it is found there too.
    """

    plugin: Plugin
    origin: str
    path: tuple[Path, ...] = ()


class _Announced(NamedTuple):
    """What a folder says of its plugin: distribution, entry point, package, and the folder to import that from."""

    distribution: str
    name: str
    package: str
    source: Path


_VERSION = "0+checked"


@contextmanager
def located(package: str) -> Iterator[Located]:
    """A plugin by its namespace, package or distribution, or by a folder; while the block lasts, it is as if installed.

    Args:
        package: ``"acme"``, ``"zoo_acme"``, ``"zoo-acme"``; or a folder with a ``pyproject.toml`` that announces a
            plugin, or with a ``plugin.toml``.

    Raises:
        PluginError: There is no such plugin, or the folder is none.
    """
    folder = Path(package).expanduser()
    looks_like_path = "/" in package or "\\" in package or package.startswith((".", "~"))
    if looks_like_path or (folder.is_dir() and _installed(package) is None):
        with _as_if_installed(folder) as found:
            yield found
        return
    plugin = _installed(package)
    if plugin is None:
        known = [other.name for other in registry.registry().plugins]
        raise PluginError(
            f"there is no plugin {package!r}, and no folder of that name here.{did_you_mean(package, known)} "
            "`zoo plugins` shows those that are installed"
        )
    yield Located(plugin, plugin.origin)


def _installed(package: str) -> Plugin | None:
    for plugin in registry.registry().plugins:
        names = {plugin.name}
        if plugin.origin != "built-in":
            specs = plugin.manifest.specs if plugin.manifest else ()
            names |= {spec.target.partition(":")[0].partition(".")[0] for spec in specs} - {""}
            names.add(_plain(plugin.origin.partition(" ")[0]))
        if package in names or _plain(package) in names:
            return plugin
    return None


def _plain(name: str) -> str:
    """The name of a distribution as its package would be called."""
    return name.lower().replace("-", "_").replace(".", "_")


@contextmanager
def _as_if_installed(folder: Path) -> Iterator[Located]:
    """Announce the plugin in a folder as an installed distribution would, in a folder of its own on ``sys.path``."""
    folder = folder.resolve()
    found = _announced(folder)
    before, loaded = (list(sys.path), registry._registry), set(sys.modules)
    importlib.invalidate_caches()
    with tempfile.TemporaryDirectory() as site:
        # Called as the distribution is: where that is installed as well, this one stands before it.
        info = Path(site) / f"{_plain(found.distribution)}-{_VERSION}.dist-info"
        info.mkdir()
        (info / "entry_points.txt").write_text(f"[{GROUP}]\n{found.name} = {found.package}\n", encoding="utf-8")
        metadata = f"Metadata-Version: 2.1\nName: {found.distribution}\nVersion: {_VERSION}\n"
        (info / "METADATA").write_text(metadata, encoding="utf-8")
        path = (Path(site), found.source)
        sys.path[:0] = map(str, path)
        registry._registry = None  # to be made anew, with this plugin in it
        try:
            origin = f"{found.distribution} {_VERSION}"
            plugin = next(plugin for plugin in registry.registry().plugins if plugin.origin == origin)
            yield Located(plugin, str(folder), path)
        finally:
            sys.path[:], registry._registry = before
            for name in set(sys.modules) - loaded:  # so that the next check sees what was changed in between
                if name.partition(".")[0] == found.package.partition(".")[0]:
                    del sys.modules[name]


def _announced(folder: Path) -> _Announced:
    """What is announced by a folder, or above it; raises `PluginError` where that is nothing."""
    if not folder.is_dir():
        what = "a file, not a folder; give the folder of its distribution" if folder.exists() else "not there"
        raise PluginError(f"{folder} is {what}; `zoo plugin new NAME` makes a plugin")
    project = folder / "pyproject.toml"
    if project.is_file():
        return _of_project(project)
    if not (folder / MANIFEST).is_file():
        raise PluginError(
            f"{folder} holds neither a pyproject.toml nor a {MANIFEST}, so it is no plugin; "
            "`zoo plugin new NAME` makes one"
        )
    above = folder.parent
    for parent in (above, above.parent):
        if (parent / "pyproject.toml").is_file():
            found = _of_project(parent / "pyproject.toml")
            if (found.source / found.package.replace(".", "/")).resolve() == folder:
                return found
    return _Announced(folder.name, folder.name, folder.name, above)


def _of_project(file: Path) -> _Announced:
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PluginError(f"{file} cannot be read: {error}") from None
    entries = table.get("project", {}).get("entry-points", {}).get(GROUP)
    if not isinstance(entries, dict) or len(entries) != 1:
        raise PluginError(
            f"{file} announces no plugin: expected one entry, "
            f'[project.entry-points."{GROUP}"] and below it  name = "package"'
            + (f"; it has {len(entries)}" if isinstance(entries, dict) else "")
        )
    ((name, package),) = entries.items()
    for source in (file.parent / "src", file.parent):
        if (source / str(package).replace(".", "/")).is_dir():
            return _Announced(str(table["project"].get("name", name)), name, str(package), source)
    raise PluginError(
        f"{file} says that the plugin is the package {package!r}, but there is no folder {package} beside it or in src/"
    )
