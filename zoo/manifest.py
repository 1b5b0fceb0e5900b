"""plugin.toml → validated specs. Reading one imports neither the plugin nor torch.

A manifest says `api = 1`, its `namespace`, and has one table per component::

    [[architecture]]
    name = "net"
    target = "zoo_acme.net:net"
    summary = "The Acme net"
    encoder = "resnet18"
    needs = { strides = [8, 16, 32] }
"""

import importlib
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from zoo.errors import PluginError, ZooError, did_you_mean

API = 1

KINDS = ("architecture", "model", "encoder", "decoder", "head", "dataset", "recipe", "weights")
"""The kinds of component, in the order in which a reader wants them."""

_COMMON = {"name", "summary"}
_CODE = _COMMON | {"target", "needs", "offers", "papers"}
_FIELDS: dict[str, set[str]] = {
    "architecture": _CODE | {"encoder", "num_classes", "published"},
    "model": _CODE | {"architecture", "encoder", "options", "num_classes", "published", "parameters"},
    "encoder": _CODE | {"parameters"},
    "decoder": _CODE,
    "head": _CODE,
    "dataset": _CODE | {"classes", "licence", "url"},
    "recipe": _COMMON | {"file", "model", "papers", "published"},
    "weights": _COMMON | {"model", "files", "papers", "published", "licence"},
}
_REQUIRED: dict[str, set[str]] = {
    "architecture": {"target"},
    "model": set(),
    "encoder": {"target"},
    "decoder": {"target"},
    "head": {"target"},
    "dataset": {"target"},
    "recipe": {"file"},
    "weights": {"model", "files"},
}
_FAMILY_FIELDS = {"kind", "target", "summary", "table"}
_NEEDS = {"strides", "taps", "pools", "output_stride"}
_OFFERS = {"strides", "taps", "pools", "output_strides"}
_TOP = {"api", "namespace", "summary", "family"}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]*")
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


@dataclass(frozen=True, slots=True)
class Spec:
    """One component as its manifest describes it: data only, nothing imported.

    Attributes:
        kind: One of `KINDS`.
        name: Canonical name: bare for built-ins, ``namespace/name`` for the rest.
        summary: One line for listings.
        plugin: Namespace of the plugin that brings it.
        target: ``"module:attr"``; empty for pure data (a model that presets an architecture, a recipe).
        needs: What a decoder or architecture needs: ``strides``, ``taps``, ``pools``, ``output_stride`` (any of).
        offers: What an encoder offers: ``strides``, ``taps``, ``pools``, ``output_strides``.
        meta: The other fields of its table.
        folder: Where the manifest lies, for files named in it.
        object: The component itself when it was registered in this process.
    """

    kind: str
    name: str
    summary: str
    plugin: str
    target: str = ""
    needs: dict[str, Any] = field(default_factory=dict)
    offers: dict[str, Any] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)
    folder: Path | None = None
    object: Any = field(default=None, repr=False, compare=False)

    def load(self) -> Any:
        """Import the object behind the spec.

        Raises:
            PluginError: Its module cannot be imported (`SystemExit` included) or has no such attribute.
        """
        if self.object is not None:
            return self.object
        module, _, attributes = self.target.partition(":")
        try:
            found: Any = importlib.import_module(module)
            for attribute in attributes.split("."):
                found = getattr(found, attribute)
        except (KeyboardInterrupt, ZooError):
            raise
        except BaseException as error:
            raise PluginError(
                f"{self.kind} {self.name!r} of plugin {self.plugin!r} cannot be loaded from {self.target!r}: "
                f"{type(error).__name__}: {error}; see `zoo doctor`"
            ) from error
        return found

    def to_json(self) -> dict[str, Any]:
        """The spec as JSON-able data."""
        return {
            "name": self.name,
            "kind": self.kind,
            "summary": self.summary,
            "plugin": self.plugin,
            "needs": self.needs,
            "offers": self.offers,
            **self.meta,
        }


@dataclass(frozen=True, slots=True)
class Family:
    """Many components of one kind behind one target, listed in a table file instead of the manifest."""

    kind: str
    plugin: str
    target: str
    summary: str
    table: Path


@dataclass(frozen=True, slots=True)
class Manifest:
    """A validated plugin.toml."""

    namespace: str
    summary: str
    specs: tuple[Spec, ...]
    families: tuple[Family, ...] = ()


def read_manifest(path: Path, *, bare_names: bool = False) -> Manifest:
    """Read and validate a plugin.toml.

    Args:
        path: The file.
        bare_names: Leave names as they are (built-ins) instead of prefixing them with the namespace.

    Raises:
        PluginError: The file is missing, not TOML, of another api, or a field is wrong; names the place.
    """
    try:
        with path.open("rb") as file:
            table = tomllib.load(file)
    except FileNotFoundError:
        raise PluginError(f"there is no {path.name} in {path.parent}; a plugin's package must contain one") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PluginError(f"{path}: cannot be read: {error}") from None
    return _Reader(path, bare_names).manifest(table)


class _Reader:
    """Validates one manifest; every complaint names the file and the field."""

    def __init__(self, path: Path, bare_names: bool) -> None:
        self.path = path
        self.bare_names = bare_names

    def manifest(self, table: dict[str, Any]) -> Manifest:
        api = table.get("api")
        if api != API:
            self.fail(f"api = {api!r}: this Zoo understands api = {API}; use a plugin and a Zoo of the same api")
        namespace = table.get("namespace")
        if not isinstance(namespace, str) or not _NAME.fullmatch(namespace):
            self.fail(f"namespace = {namespace!r}: expected a name of letters, digits, '_', '-' and '.'")
        for key in table.keys() - _TOP - set(KINDS):
            self.fail(f"unknown table or key {key!r}.{did_you_mean(key, [*_TOP, *KINDS])}")
        specs = [self.spec(kind, entry, namespace) for kind in KINDS for entry in self.entries(table, kind)]
        seen: set[tuple[str, str]] = set()
        for spec in specs:
            if (spec.kind, spec.name) in seen:
                self.fail(f"{spec.kind} {spec.name!r} is defined twice")
            seen.add((spec.kind, spec.name))
        families = [self.family(entry, namespace) for entry in self.entries(table, "family")]
        return Manifest(namespace, str(table.get("summary", "")), tuple(specs), tuple(families))

    def entries(self, table: dict[str, Any], key: str) -> list[dict[str, Any]]:
        entries: Any = table.get(key, [])
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            self.fail(f"{key!r} must be an array of tables: write [[{key}]]")
        return list(entries)

    def spec(self, kind: str, entry: dict[str, Any], namespace: str) -> Spec:
        name = entry.get("name")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            self.fail(f"[[{kind}]] name = {name!r}: expected letters, digits, '_', '-' and '.'")
        where = f"[[{kind}]] {name}"
        for key in entry.keys() - _FIELDS[kind]:
            self.fail(f"{where}: unknown key {key!r}.{did_you_mean(key, _FIELDS[kind])}")
        for key in sorted(_REQUIRED[kind] - entry.keys()):
            self.fail(f"{where}: {key!r} is missing")
        if kind == "model" and ("target" in entry) == ("architecture" in entry):
            self.fail(f"{where}: give either 'architecture' (a preset) or 'target' (a function), not both")
        self.target(where, entry.get("target"))
        for key, allowed in (("needs", _NEEDS), ("offers", _OFFERS)):
            value = entry.get(key, {})
            if not isinstance(value, dict) or value.keys() - allowed:
                self.fail(f"{where}: {key} = {value!r}: expected a table with keys among {sorted(allowed)}")
        summary = entry.get("summary")
        if not isinstance(summary, str) or not summary.strip() or "\n" in summary:
            self.fail(f"{where}: 'summary' must be one line of text")
        own = {"name", "summary", "target", "needs", "offers"}
        return Spec(
            kind=kind,
            name=name if self.bare_names else f"{namespace}/{name}",
            summary=summary,
            plugin=namespace,
            target=entry.get("target", ""),
            needs=entry.get("needs", {}),
            offers=entry.get("offers", {}),
            meta={key: value for key, value in entry.items() if key not in own},
            folder=self.path.parent,
        )

    def family(self, entry: dict[str, Any], namespace: str) -> Family:
        if entry.keys() != _FAMILY_FIELDS or entry["kind"] not in KINDS:
            self.fail(f"[[family]] needs exactly the keys {sorted(_FAMILY_FIELDS)}, kind being one of {KINDS}")
        self.target("[[family]]", entry["target"])
        return Family(
            entry["kind"], namespace, entry["target"], str(entry["summary"]), self.path.parent / entry["table"]
        )

    def target(self, where: str, target: object) -> None:
        if target is not None and not (isinstance(target, str) and _TARGET.fullmatch(target)):
            self.fail(f"{where}: target = {target!r}: expected 'package.module:name'")

    def fail(self, message: str) -> NoReturn:
        raise PluginError(f"{self.path}: {message}")
