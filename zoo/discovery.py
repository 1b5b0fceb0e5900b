"""Finding plugins without importing them: built-ins, installed distributions, single files.

A plugin that cannot be read is a `Plugin` with an error, never an exception: one broken plugin must
not take a command down. `ZOO_STRICT=1` makes it fatal.
"""

import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.distributions import Announcement, announcements
from zoo.errors import PluginError
from zoo.manifest import Manifest
from zoo.shelved import Shelf

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

MANIFEST = "plugin.toml"


@dataclass(slots=True)
class Plugin:
    """One plugin and how it fared.

    Attributes:
        name: Its namespace, or the entry point's name while that is not known.
        origin: ``"built-in"``, the distribution (``"zoo-acme 1.2"``), or a file's path.
        manifest: None when it could not be read or the plugin was not chosen.
        error: What is wrong with it, for people; None when nothing is.
        cure: What to do about the error.
        detail: The traceback behind the error, where there is one.
        chosen: False when `ZOO_PLUGINS` leaves it out.
    """

    name: str
    origin: str
    manifest: Manifest | None = None
    error: str | None = None
    cure: str = ""
    detail: str = ""
    chosen: bool = True

    @property
    def status(self) -> str:
        """``"ok"``, ``"broken"`` or ``"off"``."""
        return "off" if not self.chosen else "broken" if self.error else "ok"

    def fail(self, error: str, cure: str = "", detail: str = "") -> None:
        """Mark as broken."""
        self.manifest, self.error, self.cure, self.detail = None, error, cure, detail


def discover() -> list[Plugin]:
    """Find every plugin, built-ins first. Two of one namespace: the first keeps it, the other is broken.

    Raises:
        PluginError: A plugin is broken and `ZOO_STRICT` is set.
    """
    plugins: list[Plugin] = []
    owners: dict[str, Plugin] = {}
    shelf = Shelf()
    for plugin in (*_built_in(shelf), *_installed(shelf)):
        plugins.append(plugin)
        if plugin.status == "ok" and owners.setdefault(plugin.name, plugin) is not plugin:
            owner = owners[plugin.name]
            plugin.fail(f"the namespace {plugin.name!r} belongs to {owner.origin}", "choose another namespace")
        insist(plugin)
    shelf.keep()
    return plugins


def insist(plugin: Plugin) -> None:
    """Raise `PluginError` if `plugin` is broken and `ZOO_STRICT` is set."""
    if plugin.status == "broken" and os.environ.get("ZOO_STRICT", "0") not in ("", "0"):
        raise PluginError(f"plugin {plugin.name!r} ({plugin.origin}) is broken: {plugin.error} (ZOO_STRICT is set)")


def _built_in(shelf: Shelf) -> Iterator[Plugin]:
    import zoo.plugins

    core = Path(__file__).parent
    rooms = {
        folder.name: folder
        for root in map(Path, zoo.plugins.__path__)
        if root.is_dir()
        for folder in sorted(root.iterdir())
        if (folder / MANIFEST).is_file()
    }
    for name, folder in [("zoo", core), *sorted(rooms.items())]:
        plugin = Plugin(name, "built-in")
        _read(plugin, shelf, folder / MANIFEST, bare_names=True)
        yield plugin


def _installed(shelf: Shelf) -> Iterator[Plugin]:
    choice = os.environ.get("ZOO_PLUGINS", "all").strip()
    chosen = None if choice in ("all", "") else {name.strip() for name in choice.split(",")} - {"none"}
    for found in sorted(announcements(), key=lambda found: found.name):
        plugin = Plugin(found.name, found.origin)
        if found.fault:
            plugin.fail(f"its entry points cannot be read: {found.fault}", f"reinstall or uninstall {plugin.origin}")
        elif chosen != set():  # with ZOO_PLUGINS=none nothing foreign is even looked at
            _locate_and_read(plugin, shelf, found)
        plugin.chosen = chosen is None or bool(chosen & {plugin.name, found.name})
        yield plugin


def _locate_and_read(plugin: Plugin, shelf: Shelf, found: Announcement) -> None:
    try:
        folder = _package_folder(found.package)
    except Exception as error:  # a foreign finder may raise anything
        plugin.fail(f"its package {found.package!r} cannot be located: {error}", f"reinstall {plugin.origin}")
        return
    if folder is None:
        plugin.fail(f"its package {found.package!r} is not installed", f"reinstall or uninstall {plugin.origin}")
        return
    _read(plugin, shelf, folder / MANIFEST, bare_names=False)


def find_module(name: str) -> Path | None:
    """The source file of a module, found without running any code of its packages."""
    spec = _find_spec(name)
    return Path(spec.origin) if spec is not None and spec.origin else None


def _package_folder(name: str) -> Path | None:
    """The folder of a package, found without running any of its code."""
    spec = _find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        return None
    folders = [Path(location) for location in spec.submodule_search_locations]
    return next((folder for folder in folders if (folder / MANIFEST).is_file()), folders[0])


def _find_spec(name: str) -> "ModuleSpec | None":
    """As `importlib.util.find_spec`, which however imports the parents of a dotted name."""
    import importlib.util
    from importlib.machinery import PathFinder

    first, *rest = name.split(".")
    spec = importlib.util.find_spec(first)
    qualified = first
    for part in rest:
        if spec is None or not spec.submodule_search_locations:
            return None
        qualified = f"{qualified}.{part}"
        path = list(getattr(sys.modules.get(spec.name), "__path__", spec.submodule_search_locations))
        spec = PathFinder.find_spec(qualified, path)
    return spec


def _read(plugin: Plugin, shelf: Shelf, path: Path, *, bare_names: bool) -> None:
    try:
        plugin.manifest = shelf.read(path, bare_names=bare_names)
    except Exception as error:  # a manifest may be broken in ways that nobody thought of
        reason = str(error) if isinstance(error, PluginError) else f"{path}: {type(error).__name__}: {error}"
        cure = error.cure if isinstance(error, PluginError) else ""
        plugin.fail(reason, cure or f"mend {path.name}, or reinstall or uninstall {plugin.origin}")
    else:
        plugin.name = plugin.manifest.namespace


def run_file(path: str | os.PathLike[str]) -> Plugin:
    """Run a single-file plugin; the components it registers get its stem as their namespace.

    Anything it raises, `SystemExit` included, is recorded in the result instead.
    """
    import importlib.util
    import traceback

    from zoo import registry

    path = Path(path).resolve()
    plugin = Plugin(path.stem, str(path))
    name = f"zoo_plugin_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if not path.is_file() or spec is None or spec.loader is None:
        plugin.fail("there is no such Python file", "give the path of a .py file after --plugin")
        return plugin
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # so that its classes can be pickled and found by dataclasses
    try:
        with registry.registering_as(path.stem):
            spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        sys.modules.pop(name, None)
        registry.forget(path.stem)
        reason = f"{type(error).__name__}: {error}"
        plugin.fail(f"running it failed: {reason}", f"mend {path}", traceback.format_exc())
    return plugin


def problems(plugins: Iterable[Plugin]) -> list[str]:
    """One line for each broken plugin."""
    return [
        f"plugin {plugin.name!r} ({plugin.origin}) is broken and left out: {plugin.error}; see `zoo doctor`"
        for plugin in plugins
        if plugin.status == "broken"
    ]
