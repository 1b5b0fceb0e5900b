"""Names → specs → objects. Data only: torch is imported by the components, when they are loaded.

Built-ins own the bare names. A third-party component is ``namespace/name``, reachable bare while that
is unambiguous.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from zoo import discovery
from zoo.discovery import Plugin
from zoo.errors import PluginError, UnknownNameError, did_you_mean
from zoo.manifest import KINDS, Family, Spec

T = TypeVar("T")

_local: dict[tuple[str, str], Spec] = {}
_namespace = "local"
_registry: "Registry | None" = None


class Registry:
    """Every component of every working plugin.

    Attributes:
        plugins: All plugins found, broken and left-out ones included.
    """

    def __init__(self, plugins: Iterable[Plugin]) -> None:
        self.plugins = list(plugins)
        self._specs: dict[str, dict[str, Spec]] = {kind: {} for kind in KINDS}
        self._families: list[Family] = []
        self._tables: dict[Family, dict[str, Spec]] = {}
        self._built_in = {plugin.name for plugin in self.plugins if plugin.origin == "built-in"}
        for plugin in self.plugins:
            if plugin.status == "ok" and plugin.manifest is not None:
                for spec in plugin.manifest.specs:
                    self._add(plugin, spec)
                self._families.extend(plugin.manifest.families)

    def _add(self, plugin: Plugin, spec: Spec) -> None:
        other = self._specs[spec.kind].get(spec.name)
        if other is not None:  # only built-ins have bare names, so this is a fault of our own
            raise PluginError(f"{spec.kind} {spec.name!r} comes from both {other.plugin!r} and {plugin.name!r}")
        self._specs[spec.kind][spec.name] = spec

    def find(self, kind: str = "model", match: str = "*", plugin: str | None = None) -> list[Spec]:
        """All components of a kind whose name fits a shell wildcard, sorted by name.

        A pattern without a namespace also fits the bare part of ``namespace/name``.
        """
        _check_kind(kind)
        specs: dict[str, Spec] = {}
        for family in self._families:
            if family.kind == kind:
                specs.update(self._table(family))
        specs |= self._specs[kind]
        specs |= {spec.name: spec for (of, _), spec in _local.items() if of == kind}
        return [
            spec
            for name, spec in sorted(specs.items())
            if (fnmatchcase(name, match) or fnmatchcase(name.rpartition("/")[2], match))
            and plugin in (None, spec.plugin)
        ]

    def get(self, kind: str, name: str) -> Spec:
        """The component of that name, canonical or bare.

        Raises:
            UnknownNameError: There is none (near names are suggested), or a bare name fits several.
        """
        spec = self.lookup(kind, name)
        if spec is None:
            known = [spec.name for spec in self.find(kind)]
            raise UnknownNameError(
                f"there is no {_title(kind)} named {name!r}.{did_you_mean(name, known)} "
                f"`zoo list --kind {kind}` shows all."
            )
        return spec

    def lookup(self, kind: str, name: str) -> Spec | None:
        """As `get`, but None where there is no such name."""
        _check_kind(kind)
        named = self._specs[kind].get(name) or _local.get((kind, name))
        if named is not None:
            return named
        for family in self._families:
            if family.kind == kind and name in (table := self._table(family)):
                return table[name]
        everything = [*self._specs[kind].values(), *(spec for (of, _), spec in _local.items() if of == kind)]
        bare = sorted({spec.name: spec for spec in everything if spec.name.rpartition("/")[2] == name}.items())
        if len(bare) > 1:
            raise UnknownNameError(
                f"{_title(kind)} {name!r} is ambiguous: write {' or '.join(repr(full) for full, _ in bare)}."
            )
        return bare[0][1] if bare else None

    def families(self, kind: str) -> list[Family]:
        """The families of a kind: each may know names that are in no table."""
        return [family for family in self._families if family.kind == kind]

    def _table(self, family: Family) -> dict[str, Spec]:
        if family not in self._tables:
            prefix = "" if family.plugin in self._built_in else f"{family.plugin}/"
            try:
                entries: dict[str, dict[str, Any]] = json.loads(family.table.read_text(encoding="utf-8"))["entries"]
            except (OSError, ValueError, KeyError) as error:
                raise PluginError(f"{family.table}: cannot be read: {error}") from None
            self._tables[family] = {
                prefix + name: Spec(
                    kind=family.kind,
                    name=prefix + name,
                    summary=entry.get("summary", family.summary),
                    plugin=family.plugin,
                    target=family.target,
                    offers=entry.get("offers", {}),
                    meta={key: value for key, value in entry.items() if key not in ("summary", "offers")},
                )
                for name, entry in entries.items()
            }
        return self._tables[family]


def registry() -> Registry:
    """The registry of this process, made at the first call. Broken plugins are logged, one line each."""
    global _registry
    if _registry is None:
        _registry = Registry(discovery.discover())
        for problem in discovery.problems(_registry.plugins):
            _warn(problem)
    return _registry


def find(kind: str = "model", match: str = "*", plugin: str | None = None) -> list[Spec]:
    """Find components by kind, shell wildcard and plugin: ``zoo.find("encoder", "vgg*")``."""
    return registry().find(kind, match, plugin)


def list_models(match: str = "*") -> list[str]:
    """Names of the models that fit a shell wildcard, sorted: ``zoo.list_models("fcn*")``."""
    return [spec.name for spec in find("model", match)]


def register(
    kind: str,
    name: str,
    *,
    summary: str | None = None,
    encoder: str | None = None,
    needs: dict[str, Any] | None = None,
    offers: dict[str, Any] | None = None,
) -> Callable[[T], T]:
    """Register a function or class as a component of this process: ``@zoo.register("model", "mine")``.

    It is named ``local/name`` (in a file run by ``zoo --plugin FILE``: ``<file's stem>/name``) and reachable
    as plain ``name``. Registering the same definition again replaces it, so that notebooks work.

    Args:
        kind: One of `zoo.manifest.KINDS`.
        name: The bare name.
        summary: One line; by default the first line of the docstring.
        encoder: An architecture's default encoder.
        needs: What a decoder or architecture needs, as in a manifest.
        offers: What an encoder offers, as in a manifest.

    Raises:
        PluginError: Another component of this process has the name.
    """
    _check_kind(kind)

    def decorate(target: T) -> T:
        canonical = f"{_namespace}/{name}"
        module, qualname = getattr(target, "__module__", ""), getattr(target, "__qualname__", "")
        path = f"{module}:{qualname}"
        other = _local.get((kind, canonical))
        if other is not None and other.target != path:
            raise PluginError(f"{kind} {canonical!r} is already registered, as {other.target}; choose another name")
        doc = (getattr(target, "__doc__", None) or "").strip().splitlines()
        _local[kind, canonical] = Spec(
            kind=kind,
            name=canonical,
            summary=summary or (doc[0] if doc else f"Registered by {module}"),
            plugin=_namespace,
            target=path,
            needs=needs or {},
            offers=offers or {},
            meta={"encoder": encoder} if encoder else {},
            object=target,
        )
        return target

    return decorate


@contextmanager
def registering_as(namespace: str) -> Iterator[None]:
    """Give what is registered inside the block this namespace."""
    global _namespace
    before, _namespace = _namespace, namespace
    try:
        yield
    finally:
        _namespace = before


def forget(namespace: str) -> None:
    """Remove what this process registered under a namespace."""
    for spec in local_specs(namespace):
        del _local[spec.kind, spec.name]


def local_specs(namespace: str) -> list[Spec]:
    """What this process registered under a namespace."""
    return [spec for spec in _local.values() if spec.plugin == namespace]


def load_file(path: str) -> Plugin:
    """Run a single-file plugin and add it to the registry's plugins; see `discovery.run_file`."""
    plugin = discovery.run_file(path)
    discovery.insist(plugin)
    registry().plugins.append(plugin)
    for problem in discovery.problems([plugin]):
        _warn(problem)
    return plugin


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise UnknownNameError(f"there is no kind {kind!r}; the kinds are {', '.join(KINDS)}.")


def _title(kind: str) -> str:
    return {"dataset": "data set", "weights": "weight record"}.get(kind, kind)


def _warn(message: str) -> None:
    import logging

    logging.getLogger("zoo").warning("zoo: %s", message)
