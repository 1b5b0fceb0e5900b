"""``zoo doctor``."""

import json
import platform
import sys
import traceback
from typing import Any

import click

from zoo import __version__
from zoo.errors import ZooError
from zoo.manifest import Spec
from zoo.registry import local_specs, registry

_LIBRARIES = ("torch", "torchvision", "timm", "safetensors", "numpy", "PIL", "pydantic", "rich", "huggingface_hub")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def command(as_json: bool) -> None:
    """Check Python, the libraries and every plugin (this imports them all); exit code 1 if anything is broken."""
    libraries = {name: _library(name) for name in _LIBRARIES}
    complaints = [
        {
            "what": name,
            "error": version.removeprefix("!"),
            "cure": f"reinstall it: pip install --force-reinstall {name}",
        }
        for name, version in libraries.items()
        if version.startswith("!")
    ]
    for plugin in registry().plugins:
        if plugin.status == "broken":
            complaints.append(
                {
                    "what": f"plugin {plugin.name} ({plugin.origin})",
                    "error": str(plugin.error),
                    "cure": plugin.cure,
                    "traceback": plugin.detail,
                }
            )
        elif plugin.status == "ok":
            specs = [*(plugin.manifest.specs if plugin.manifest else ()), *local_specs(plugin.name)]
            for family in plugin.manifest.families if plugin.manifest else ():
                specs.append(Spec(family.kind, f"{family.prefix}*", family.summary, family.plugin, family.target))
            complaints += [complaint for spec in specs if (complaint := _complaint(spec, plugin.origin))]
    report: dict[str, Any] = {
        "zoo": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "libraries": {name: version for name, version in libraries.items() if not version.startswith("!")},
        "device": _device() if not libraries["torch"].startswith("!") else "unknown",
        "plugins": {plugin.name: plugin.status for plugin in registry().plugins},
        "problems": complaints,
    }
    if as_json:
        click.echo(json.dumps(report, indent=2, ensure_ascii=False))
    else:
        click.echo("\n".join(_lines(report)))
    if complaints:
        sys.exit(1)


def _library(name: str) -> str:
    from importlib import import_module, metadata

    try:
        return str(getattr(import_module(name), "__version__", None) or metadata.version(name))
    except Exception as error:
        return f"!{type(error).__name__}: {error}"


def _device() -> str:
    import torch

    if torch.cuda.is_available():
        return f"cuda: {torch.cuda.get_device_name()}"
    if torch.backends.mps.is_available():
        return "mps"
    return f"cpu, {torch.get_num_threads()} threads"


def _complaint(spec: Spec, origin: str) -> dict[str, str] | None:
    """What is wrong with one component once it is imported."""
    from zoo.plan import accepted_options

    try:
        if spec.target or spec.object is not None:
            accepted_options(spec)
        for kind in ("architecture", "encoder"):
            if spec.kind == "model" and kind in spec.meta:
                name = spec.meta[kind]
                if registry().lookup(kind, name, spec.plugin) is None:
                    registry().get(kind, name.partition(".")[0], spec.plugin)
        if spec.kind == "recipe" and spec.folder and not (spec.folder / spec.meta["file"]).is_file():
            raise ZooError(f"its file {spec.meta['file']!r} does not exist")
    except Exception as error:
        cause = error.__cause__ or error
        return {
            "what": f"{spec.kind} {spec.name} of plugin {spec.plugin}",
            "error": str(error),
            "cure": f"mend, reinstall or uninstall {origin}",
            "traceback": "".join(traceback.format_exception(cause)),
        }
    return None


def _lines(report: dict[str, Any]) -> list[str]:
    lines = [f"zoo {report['zoo']}, Python {report['python']}, {report['platform']}, {report['device']}"]
    lines.append(", ".join(f"{name} {version}" for name, version in report["libraries"].items()))
    lines.append("plugins: " + ", ".join(f"{name} {status}" for name, status in report["plugins"].items()))
    for number, complaint in enumerate(report["problems"], 1):
        lines += ["", f"{number}. {complaint['what']} is broken: {complaint['error']}", f"   cure: {complaint['cure']}"]
        lines += [f"   | {line}" for line in complaint.get("traceback", "").splitlines()]
    if not report["problems"]:
        lines.append("all is well")
    return lines
