"""Importing what a plugin brings, so that a bad one harms nobody but itself."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from typing import Any

from zoo import discovery
from zoo import registry as registries
from zoo.errors import PluginError, ZooError
from zoo.manifest import Spec

_State = dict[str, tuple[str, Spec | None]]


def import_target(target: str, what: str, plugin: str) -> Any:
    """Import ``"module:attr"``.

    What a foreign module prints while it is imported goes to stderr: stdout belongs to the command, whose JSON
    somebody may be reading. What it registers gets its own namespace. If it changes components of other plugins, these
    are as before, and it is broken.

    Args:
        target: What to import.
        what: Whose it is, for messages: ``"model 'acme/net'"``.
        plugin: Namespace of the plugin that brings it.

    Raises:
        PluginError: The module cannot be imported (`SystemExit` included), meddles with other plugins, or has no such
            attribute.
    """
    module, _, attributes = target.partition(":")
    try:
        with _watched(plugin) if module not in sys.modules else nullcontext():
            found: Any = importlib.import_module(module)
        for attribute in attributes.split("."):
            found = getattr(found, attribute)
    except (KeyboardInterrupt, ZooError):
        raise
    except BaseException as error:
        raise PluginError(
            f"{what} of plugin {plugin!r} cannot be loaded from {target!r}: "
            f"{type(error).__name__}: {error}; see `zoo doctor`"
        ) from error
    return found


@contextmanager
def _watched(namespace: str) -> Iterator[None]:
    plugin = next((plugin for plugin in registries.registry().plugins if plugin.name == namespace), None)
    if plugin is None or plugin.origin == "built-in":
        yield
        return
    before = _state(namespace)
    changed: list[str] = []
    try:
        with redirect_stdout(sys.stderr), registries.registering_as(namespace):
            yield
    finally:
        after = _state(namespace)
        changed = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
        if changed:
            _restore(before)
    if changed:
        named = ", ".join(changed[:3]) + (" and more" if len(changed) > 3 else "")
        raise PluginError(
            f"plugin {namespace!r} ({plugin.origin}) changed what is not its own while it was imported: {named}; "
            "that was undone",
            f"report it to its author, and uninstall {plugin.origin}",
        )


def _state(namespace: str) -> _State:
    """Everything registered that a plugin of that namespace has no business to change: what → its text, itself."""
    known = registries.registry()
    found: _State = {}
    for (kind, name), spec in [
        *(((kind, name), spec) for kind, table in known._specs.items() for name, spec in table.items()),
        *registries._local.items(),
    ]:
        if not (spec.plugin == namespace and name.startswith(f"{namespace}/")):
            found[f"{kind} {name!r}"] = (repr(spec), registries._local.get((kind, name)))
    for plugin in known.plugins:
        found[f"plugin {plugin.name!r} of {plugin.origin}"] = (f"{plugin.status} {plugin.error}", None)
    found["the families"] = (repr(known._families), None)
    return found


def _restore(before: _State) -> None:
    """Read every manifest again, and register in this process what was registered in it before."""
    known = registries.registry()
    fresh = registries.Registry(discovery.discover())
    origins = {plugin.origin for plugin in fresh.plugins}
    fresh.plugins += [plugin for plugin in known.plugins if plugin.origin not in origins]  # single files
    vars(known).update(vars(fresh))
    registries._local.clear()
    registries._local.update({(spec.kind, spec.name): spec for _, spec in before.values() if spec is not None})
