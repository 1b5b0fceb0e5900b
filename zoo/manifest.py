"""plugin.toml → validated specs. Reading one imports neither the plugin nor torch.

A manifest says `api = 1`, its `namespace`, and has one table per component::

    [[architecture]]
    name = "net"
    target = "zoo_acme.net:net"
    summary = "The Acme net"
    encoder = "resnet18"
    needs = { strides = [8, 16, 32] }
"""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from zoo import fields, published
from zoo.errors import PluginError, did_you_mean

API = 1
"""The newest form of manifest that this Zoo understands."""

OLDEST_API = 1
"""The oldest one."""

KINDS = (
    "architecture",
    "model",
    "encoder",
    "decoder",
    "head",
    "dataset",
    "loss",
    "transform",
    "pipeline",
    "recipe",
    "weights",
    "command",
)
"""The kinds of component, in the order in which a reader wants them."""

LIMITS = ("in_channels", "num_classes", "batch_of_one", "bf16", "channels_last", "compile", "export")
"""What a net may declare that it cannot do (``cannot = ["export"]``); `zoo.testing` holds it to that, both ways."""

_TOP = {"api", "namespace", "prefix", "summary", "hub", "family"}
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]*")


@dataclass(frozen=True, slots=True)
class Spec:
    """One component as its manifest describes it: data only, nothing imported.

    Attributes:
        kind: One of `KINDS`.
        name: Canonical name: bare for built-ins (unless they ask for a prefix), ``namespace/name`` for the rest.
        summary: One line for listings.
        plugin: Namespace of the plugin that brings it.
        target: ``"module:attr"``; empty for pure data (a model that presets an architecture, a recipe).
        needs: What a decoder or architecture needs: ``strides``, ``taps``, ``pools``, ``output_stride`` (any of).
        offers: What an encoder offers: ``strides``, ``taps``, ``pools``, ``output_strides``.
        converters: Format of foreign weights → what converts them, ``"module:attr"``; ``from`` in the manifest.
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
    converters: dict[str, str] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)
    folder: Path | None = None
    object: Any = field(default=None, repr=False, compare=False)

    def load(self) -> Any:
        """Import the object behind the spec.

        Raises:
            PluginError: Its module cannot be imported (`SystemExit` included), meddles with other plugins, or has no
                such attribute.
        """
        return self.object if self.object is not None else self._import(self.target)

    def load_converter(self, format: str) -> Any:
        """Import what converts weights of a format, a key of `converters`; raises as `load`."""
        return self._import(self.converters[format])

    def _import(self, target: str) -> Any:
        from zoo.importing import import_target

        return import_target(target, f"{self.kind} {self.name!r}", self.plugin)

    def to_json(self) -> dict[str, Any]:
        """The spec as JSON-able data."""
        return {
            "name": self.name,
            "kind": self.kind,
            "summary": self.summary,
            "plugin": self.plugin,
            "needs": self.needs,
            "offers": self.offers,
            **({"from": sorted(self.converters)} if self.converters else {}),
            **self.meta,
        }


@dataclass(frozen=True, slots=True)
class Family:
    """Many components of one kind behind one target, listed in a table file instead of the manifest.

    Attributes:
        kind: One of `KINDS`.
        plugin: Namespace of the plugin that brings it.
        target: As in `Spec`; its `name` parameter says which one is meant.
        summary: One line for those that have none of their own.
        table: JSON: ``{"entries": {name: {"offers": …, "summary": …, …}}}``.
        prefix: What stands before the names of the table: ``"namespace/"``, or nothing.
        converters: As in `Spec`, for all of them.
    """

    kind: str
    plugin: str
    target: str
    summary: str
    table: Path
    prefix: str = ""
    converters: dict[str, str] = field(default_factory=dict, compare=False)


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
        bare_names: Leave names as they are (built-ins) instead of prefixing them with the namespace; a manifest with
            ``prefix = true`` wants the prefix all the same.

    Raises:
        PluginError: The file is missing, not TOML, of another api, or a field is wrong; names the place.
    """
    import tomllib  # seldom needed: `zoo.shelved` knows most manifests

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
        self.prefix = ""
        self.hub = ""

    def manifest(self, table: dict[str, Any]) -> Manifest:
        self.api(table.get("api"))
        namespace = table.get("namespace")
        if not isinstance(namespace, str) or not NAME.fullmatch(namespace):
            self.fail(f"namespace = {namespace!r}: expected a name of letters, digits, '_', '-' and '.'")
        for key in table.keys() - _TOP - set(KINDS):
            self.fail(f"unknown table or key {key!r}.{did_you_mean(key, [*_TOP, *KINDS])}")
        self.hub = table.get("hub", "")
        if not isinstance(self.hub, str) or ("hub" in table and not published.ADDRESS.fullmatch(self.hub)):
            self.fail(f"hub = {self.hub!r}: expected the address of a folder, as 'https://acme.example/weights'")
        prefix = table.get("prefix", not self.bare_names)
        if not isinstance(prefix, bool) or not (prefix or self.bare_names):
            self.fail(f"prefix = {prefix!r}: expected true or nothing; only Zoo's own plugins have bare names")
        self.prefix = f"{namespace}/" if prefix else ""
        specs = [self.spec(kind, entry, namespace) for kind in KINDS for entry in self.entries(table, kind)]
        seen: set[tuple[str, str]] = set()
        for spec in specs:
            if (spec.kind, spec.name) in seen:
                self.fail(f"{spec.kind} {spec.name!r} is defined twice")
            seen.add((spec.kind, spec.name))
        families = [self.family(entry, namespace) for entry in self.entries(table, "family")]
        return Manifest(namespace, str(table.get("summary", "")), tuple(specs), tuple(families))

    def api(self, api: object) -> None:
        if type(api) is int and OLDEST_API <= api <= API:
            return
        understood = f"api = {API}" if OLDEST_API == API else f"api = {OLDEST_API} to {API}"
        message = f"{self.path}: api = {api!r}: this Zoo understands {understood}"
        if type(api) is int and api > API:
            cure = "upgrade Zoo (pip install --upgrade zoo-segmentation), or install an older version of the plugin"
            raise PluginError(f"{message}; the plugin was made for a newer one", cure)
        if type(api) is int:
            raise PluginError(
                f"{message}; the plugin was made for an older one", "install a newer version of the plugin"
            )
        raise PluginError(message, f"begin its manifest with api = {API}")

    def entries(self, table: dict[str, Any], key: str) -> list[dict[str, Any]]:
        entries: Any = table.get(key, [])
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            self.fail(f"{key!r} must be an array of tables: write [[{key}]]")
        return list(entries)

    def spec(self, kind: str, entry: dict[str, Any], namespace: str) -> Spec:
        name = entry.get("name")
        if not isinstance(name, str) or not NAME.fullmatch(name):
            self.fail(f"[[{kind}]] name = {name!r}: expected letters, digits, '_', '-' and '.'")
        where = f"[[{kind}]] {name}"
        for key in entry.keys() - fields.FIELDS[kind]:
            self.fail(f"{where}: unknown key {key!r}.{did_you_mean(key, fields.FIELDS[kind])}")
        for key in sorted(fields.REQUIRED[kind] - entry.keys()):
            self.fail(f"{where}: {key!r} is missing")
        if kind == "model" and ("target" in entry) == ("architecture" in entry):
            self.fail(f"{where}: give either 'architecture' (a preset) or 'target' (a function), not both")
        self.target(where, entry.get("target"))
        for key, allowed in (("needs", fields.NEEDS), ("offers", fields.OFFERS)):
            value = entry.get(key, {})
            if not isinstance(value, dict) or not all(
                isinstance(items, list) and all(type(item) is allowed.get(name) for item in items)
                for name, items in value.items()
            ):
                forms = ", ".join(f"{name} = [{kind.__name__}, …]" for name, kind in allowed.items())
                self.fail(f"{where}: {key} = {value!r}: expected a table with any of {forms}")
        for key, types in fields.TYPES.items():
            if key in entry and type(entry[key]) not in types:
                names = " or ".join(kind.__name__ for kind in types)
                self.fail(f"{where}: {key} = {entry[key]!r}: expected a {names}")
        try:
            json.dumps(entry, allow_nan=False)
        except (TypeError, ValueError) as error:
            self.fail(f"{where}: holds what JSON cannot: {error}")
        cannot = entry.get("cannot", [])
        if not isinstance(cannot, list) or not all(limit in LIMITS for limit in cannot):
            self.fail(f"{where}: cannot = {cannot!r}: expected a list of some of {', '.join(LIMITS)}")
        fault = published.converters_fault(entry.get("from", {}))
        fault = fault or (published.weights_fault(entry, self.hub) if kind == "weights" else None)
        if fault:
            self.fail(f"{where}: {fault}")
        summary = entry.get("summary")
        if not isinstance(summary, str) or not summary.strip() or "\n" in summary:
            self.fail(f"{where}: 'summary' must be one line of text")
        own = {"name", "summary", "target", "needs", "offers", "from"}
        return Spec(
            kind=kind,
            name=self.prefix + name,
            summary=summary,
            plugin=namespace,
            target=entry.get("target", ""),
            needs=entry.get("needs", {}),
            offers=entry.get("offers", {}),
            converters=entry.get("from", {}),
            meta={key: value for key, value in entry.items() if key not in own}
            | ({"hub": self.hub} if self.hub and kind == "weights" else {}),
            folder=self.path.parent,
        )

    def family(self, entry: dict[str, Any], namespace: str) -> Family:
        converters = entry.get("from", {})
        fault = published.converters_fault(converters)
        if fault:
            self.fail(f"[[family]] {fault}")
        entry = {key: value for key, value in entry.items() if key != "from"}
        texts = all(isinstance(value, str) for value in entry.values())
        if not texts or entry.keys() != fields.FAMILY or entry["kind"] not in KINDS:
            self.fail(f"[[family]] needs exactly the keys {sorted(fields.FAMILY)}, kind being one of {KINDS}")
        self.target("[[family]]", entry["target"])
        table = self.path.parent / entry["table"]
        if not table.is_file():
            self.fail(f"[[family]] table = {entry['table']!r}: there is no such file")
        return Family(entry["kind"], namespace, entry["target"], entry["summary"], table, self.prefix, converters)

    def target(self, where: str, target: object) -> None:
        if target is not None and not (isinstance(target, str) and published.TARGET.fullmatch(target)):
            self.fail(f"{where}: target = {target!r}: expected 'package.module:name'")

    def fail(self, message: str) -> NoReturn:
        raise PluginError(f"{self.path}: {message}")
