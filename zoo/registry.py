"""Names → specs → objects. Data only: torch is imported by the components, when they are loaded.

Built-ins own the bare names. A third-party component is ``namespace/name``, reachable bare while that
is unambiguous.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeVar

from zoo import discovery
from zoo.discovery import Plugin
from zoo.errors import PluginError, UnknownNameError, did_you_mean
from zoo.manifest import KINDS, NAME, Family, Spec

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

    def get(self, kind: str, name: str, near: str | None = None) -> Spec:
        """The component of that name, canonical or bare.

        Args:
            kind: One of `zoo.manifest.KINDS`.
            name: Its name.
            near: A namespace to look in first: what an architecture calls ``resnet34`` is its own plugin's before it
                is anybody else's.

        Raises:
            UnknownNameError: There is none (near names are suggested), or a bare name fits several.
        """
        spec = self.lookup(kind, name, near)
        if spec is None:
            known = [spec.name for spec in self.find(kind)]
            if near is not None:
                known += [full.removeprefix(f"{near}/") for full in known if full.startswith(f"{near}/")]
            raise UnknownNameError(
                f"there is no {_title(kind)} named {name!r}.{did_you_mean(name, known)} "
                f"`zoo list --kind {kind}` shows all."
            )
        return spec

    def lookup(self, kind: str, name: str, near: str | None = None) -> Spec | None:
        """As `get`, but None where there is no such name."""
        _check_kind(kind)
        exact = (self._exact(kind, f"{near}/{name}") if near is not None else None) or self._exact(kind, name)
        if exact is not None:
            return exact
        everything = [*self._specs[kind].values(), *(spec for (of, _), spec in _local.items() if of == kind)]
        bare = {spec.name: spec for spec in everything if spec.name.rpartition("/")[2] == name}
        for family in self._families:
            if family.kind == kind and (spec := self._table(family).get(family.prefix + name)) is not None:
                bare[spec.name] = spec
        if len(bare) > 1:
            raise UnknownNameError(
                f"{_title(kind)} {name!r} is ambiguous: write {' or '.join(repr(full) for full in sorted(bare))}."
            )
        return next(iter(bare.values()), None)

    def _exact(self, kind: str, name: str) -> Spec | None:
        """The component of that canonical name."""
        named = self._specs[kind].get(name) or _local.get((kind, name))
        if named is not None:
            return named
        for family in self._families:
            if family.kind == kind and name in (table := self._table(family)):
                return table[name]
        return None

    def families(self, kind: str) -> list[Family]:
        """The families of a kind: each may know names that are in no table."""
        return [family for family in self._families if family.kind == kind]

    def _table(self, family: Family) -> dict[str, Spec]:
        if family not in self._tables:
            try:
                self._tables[family] = _read_table(family)
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                self._tables[family] = {}
                owner = next(plugin for plugin in self.plugins if plugin.name == family.plugin)
                owner.fail(
                    f"{family.table}: cannot be read: {type(error).__name__}: {error}",
                    f"mend it, or reinstall or uninstall {owner.origin}",
                )
                _report(owner)
        return self._tables[family]


def _read_table(family: Family) -> dict[str, Spec]:
    entries: dict[str, dict[str, Any]] = json.loads(family.table.read_text(encoding="utf-8"))["entries"]
    return {
        family.prefix + name: Spec(
            kind=family.kind,
            name=family.prefix + name,
            summary=entry.get("summary", family.summary),
            plugin=family.plugin,
            target=family.target,
            offers=entry.get("offers", {}),
            converters=family.converters,
            meta={key: value for key, value in entry.items() if key not in ("summary", "offers")},
        )
        for name, entry in entries.items()
    }


def registry() -> Registry:
    """The registry of this process, made at the first call. Broken plugins are logged, one line each."""
    global _registry
    if _registry is None:
        _registry = Registry(discovery.discover())
        for plugin in _registry.plugins:
            _report(plugin)
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
        PluginError: Another component of this process has the name, or it is not fit to be one.
    """
    _check_kind(kind)
    if not NAME.fullmatch(name):
        raise PluginError(f"{name!r} cannot be registered: expected letters, digits, '_', '-' and '.'")

    def decorate(target: T) -> T:
        canonical = f"{_namespace}/{name}"
        # Of a click command, the function behind it: the class's own docstring would be click's.
        definition = (kind == "command" and getattr(target, "callback", None)) or target
        module, qualname = getattr(definition, "__module__", ""), getattr(definition, "__qualname__", "")
        path = f"{module}:{qualname}"
        other = _local.get((kind, canonical))
        if other is not None and other.target != path:
            raise PluginError(f"{kind} {canonical!r} is already registered, as {other.target}; choose another name")
        doc = (getattr(definition, "__doc__", None) or "").strip().splitlines()
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
    plugins = registry().plugins
    namespace = Path(path).stem
    owner = next((other for other in plugins if other.name == namespace and other.status == "ok"), None)
    if owner is None:
        plugin = discovery.run_file(path)
    else:
        plugin = Plugin(namespace, str(path))
        plugin.fail(f"the namespace {namespace!r} belongs to {owner.origin}", "give the file another name")
    plugins.append(plugin)
    _report(plugin)
    return plugin


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise UnknownNameError(f"there is no kind {kind!r}; the kinds are {', '.join(KINDS)}.")


def _title(kind: str) -> str:
    return {"dataset": "data set", "weights": "weight record"}.get(kind, kind)


def _report(plugin: Plugin) -> None:
    """Log a broken plugin in one line; raise where `ZOO_STRICT` is set."""
    import logging

    discovery.insist(plugin)
    for problem in discovery.problems([plugin]):
        logging.getLogger("zoo").warning("zoo: %s", problem)
