"""What a plugin as a whole promises: its manifest, its imports, its recipes, its published weights."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from zoo.discovery import MANIFEST, find_module
from zoo.errors import ZooError
from zoo.interfaces import Decoder, Encoder, Head
from zoo.manifest import Manifest, Spec
from zoo.testing.importing import import_alone
from zoo.testing.located import Located
from zoo.testing.subject import NotApplicable, NotConforming, require

_LISTED = """
import json, sys
from zoo.registry import registry
from zoo.manifest import KINDS
for kind in KINDS:
    registry().find(kind)
print(json.dumps({
    "status": {plugin.name: plugin.status for plugin in registry().plugins},
    "imported": sorted(sys.modules),
}))
"""
_HEAVY = ("torch", "torchvision", "timm", "numpy", "pydantic", "PIL")
_BASES = {"encoder": Encoder, "decoder": Decoder, "head": Head}


@dataclass(frozen=True, slots=True)
class PluginSubject:
    """A plugin to check.

    Attributes:
        located: Where it is.
        fetch: Fetch published weights that are not on this machine.
    """

    located: Located
    fetch: bool = False

    @property
    def manifest(self) -> Manifest:
        """Its manifest; raises `NotConforming` where it is broken."""
        plugin = self.located.plugin
        if plugin.status == "off":
            raise NotConforming("ZOO_PLUGINS leaves it out", mend="unset ZOO_PLUGINS, or name this plugin in it")
        if plugin.manifest is None:
            raise NotConforming(str(plugin.error), mend=plugin.cure or f"mend {MANIFEST}")
        return plugin.manifest

    @property
    def code(self) -> list[Spec]:
        """Its components that are code."""
        return [spec for spec in self.components if spec.target]

    @property
    def components(self) -> list[Spec]:
        """All its components; a family is one, called ``*``."""
        manifest = self.manifest
        families = [
            Spec(family.kind, f"{family.prefix}*", family.summary, family.plugin, family.target)
            for family in manifest.families
        ]
        return [*manifest.specs, *families]

    @property
    def environment(self) -> dict[str, str]:
        """The variables of another process that finds the plugin as this one does."""
        python_path = [*map(str, self.located.path), *(part for part in sys.path if part)]
        return {**os.environ, "PYTHONPATH": os.pathsep.join(python_path), "OMP_NUM_THREADS": "1"}

    def __str__(self) -> str:
        return "plugin"


def manifest(subject: PluginSubject) -> None:
    """Its plugin.toml is there, of this api, and right in every field; it brings something, from its own package."""
    found = subject.manifest
    require(bool(found.specs or found.families), "its manifest has no component", mend="add one: [[architecture]] …")
    for spec in found.specs:
        file = spec.meta.get("file")
        if spec.folder is not None and isinstance(file, str):
            path = spec.folder / file
            require(
                path.is_file(), f"[[{spec.kind}]] {spec.name}: there is no file {path}", mend="ship it, or mend `file`"
            )


def listing(subject: PluginSubject) -> None:
    """It is listed without its package, torch or any other large library being imported, and without a word."""
    _ = subject.manifest
    done = subprocess.run(
        [sys.executable, "-c", _LISTED],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=subject.environment,
        timeout=120,
    )
    require(done.returncode == 0, f"listing fails: {done.stderr.strip()[-500:]}")
    report = json.loads(done.stdout.strip().splitlines()[-1])
    status = report["status"].get(subject.located.plugin.name)
    require(status == "ok", f"another process finds it {status or 'not at all'}: {done.stderr.strip()[-500:]}")
    own = {spec.target.partition(":")[0].partition(".")[0] for spec in subject.code} - {"zoo"}
    first = {name.partition(".")[0] for name in report["imported"]}
    imported = sorted(first & {*_HEAVY, *own})
    require(
        not imported,
        f"listing it imports {', '.join(imported)}",
        mend="announce a plain package, zoo_acme: a .pth file or an import hook of its own runs code at every start",
    )


def importing(subject: PluginSubject) -> None:
    """Importing its modules changes no generator, default, filter or registry, prints nothing, and succeeds."""
    modules = sorted({spec.target.partition(":")[0] for spec in subject.code})
    if not modules:
        raise NotApplicable("it has no code")
    package = modules[0].partition(".")[0] if not modules[0].startswith("zoo.") else ".".join(modules[0].split(".")[:3])
    try:
        found = import_alone(package, modules, subject.environment)
    except (TimeoutError, ChildProcessError) as error:
        raise NotConforming(str(error), mend="nothing but definitions at the top of a module") from None
    where = str(find_module(modules[0]) or "")
    if found["error"]:
        raise NotConforming(f"cannot be imported: {found['error']}", mend="mend the module, or `target`", where=where)
    changed = found["changed"]
    assert isinstance(changed, list)
    if changed:
        raise NotConforming(
            f"importing {', '.join(modules)} changes {', '.join(changed)}",
            mend="nothing but definitions at the top of a module: a user imports many plugins into one process",
            where=where,
        )
    printed = str(found["printed"]).strip()
    if printed:
        raise NotConforming(f"importing it prints {printed[:80]!r}", mend="use logging, not print", where=where)


def targets(subject: PluginSubject) -> None:
    """Every target is there, is of its kind, and names its options; so is everything that converts weights."""
    from zoo.pipeline.opening import described
    from zoo.plan import accepted_options

    faults = []
    for spec in subject.code:
        try:
            target = spec.load()
            base = _BASES.get(spec.kind)
            if base is not None and not (isinstance(target, type) and issubclass(target, base)):
                faults.append(f"{spec.kind} {spec.name}: {spec.target} is no class derived from {base.__name__}")
            elif spec.kind == "pipeline":
                described(spec)
            elif not callable(target) and not hasattr(target, "main"):
                faults.append(f"{spec.kind} {spec.name}: {spec.target} is a {type(target).__name__}; nothing to call")
            elif spec.kind in ("architecture", "model", "encoder"):
                accepted_options(spec)
            for format in spec.converters:
                spec.load_converter(format)
        except ZooError as error:
            faults.append(str(error))
    for spec in subject.manifest.specs:
        for kind in ("architecture", "encoder", "model"):
            name = spec.meta.get(kind)
            if isinstance(name, str) and not _known(kind, name, spec.plugin):
                faults.append(f"{spec.kind} {spec.name}: there is no {kind} {name!r}")
    require(not faults, "\n".join(faults), mend=f"mend {MANIFEST}, or define what it names")


def _known(kind: str, name: str, near: str) -> bool:
    """Whether there is such a component: ``resnet50.a1_in1k`` is an encoder, ``fcn8s@resnet50`` a model."""
    from zoo.registry import registry

    base = name.partition("@")[0].partition(".")[0]
    kinds = ("model", "architecture") if kind == "model" else (kind,)
    return any(registry().lookup(one, each, near) is not None for one in kinds for each in (name, base))


def recipes(subject: PluginSubject) -> None:
    """Every recipe is valid, and its model can be made with the options that it gives."""
    from zoo.assembly import resolve
    from zoo.training.shelf import shown

    specs = [spec for spec in subject.manifest.specs if spec.kind == "recipe"]
    if not specs:
        raise NotApplicable("it brings no recipe")
    faults = []
    for spec in specs:
        place = f"{spec.folder}/{spec.meta['file']}"
        try:
            for stage in shown(spec):
                model = stage["model"]
                options = dict(model.get("options", {}))
                name = model["name"] if model["name"] != "MODEL" else None
                if name is not None:
                    resolve(
                        name,
                        encoder=model.get("encoder"),
                        in_channels=model.get("in_channels"),
                        options=options,
                    )
        except ZooError as error:
            faults.append(f"{place}: {error}")
    require(not faults, "\n".join(faults), mend="`zoo train --recipe FILE` says the same; mend the keys it names")


def weights(subject: PluginSubject) -> None:
    """The files of every weight record that are on this machine have their digests, load, and answer as recorded."""
    from zoo.hub.hubs import of_plugins
    from zoo.hub.verify import verify

    own = {spec.name for spec in subject.manifest.specs if spec.kind == "weights"}
    records = [record for record in of_plugins() if record.name in own]
    if not records:
        raise NotApplicable("it publishes no weights")
    faults, absent = [], []
    for record in records:
        kind, name = ("encoder", record.table.get("encoder")) if record.of_encoder else ("model", record.model)
        if not _known(kind, str(name), subject.located.plugin.name):
            faults.append(f"{record.name}: there is no {kind} {name!r}")
            continue
        outcome = verify(record, fetch=subject.fetch)
        if outcome.status == "wrong":
            faults.append(outcome.message)
        elif outcome.status == "not here":
            absent.append(record.name)
    require(not faults, "\n".join(faults), mend="mend the record, or publish the files again")
    if len(absent) == len(records):
        raise NotApplicable(f"{', '.join(absent)}: not on this machine; --fetch fetches and verifies them")


def where_of(spec: Spec) -> str:
    """The file and line of what is behind a component; of its manifest where that cannot be told."""
    import inspect

    try:
        target = spec.load()
        return f"{inspect.getsourcefile(target)}:{inspect.getsourcelines(target)[1]}"
    except Exception:  # it cannot be loaded, is no code, or its source is not there
        source = find_module(spec.target.partition(":")[0]) if spec.target else None
        return str(source or (spec.folder or Path()) / MANIFEST)


CHECKS: Mapping[str, Callable[[PluginSubject], None]] = {
    "manifest": manifest,
    "listing": listing,
    "importing": importing,
    "targets": targets,
    "recipes": recipes,
    "weights": weights,
}
