"""``zoo doctor``."""

import json
import platform
import sys
from pathlib import Path
from typing import Any

import click

from zoo import __version__
from zoo.cli._checkup import complaint, components
from zoo.cli._checkup import complaints as complaints_of
from zoo.discovery import Plugin
from zoo.registry import registry

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
    foreign: list[Plugin] = []
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
        elif plugin.origin == "built-in" or Path(plugin.origin).suffix == ".py":  # such a file ran here already
            specs = components(plugin) if plugin.status == "ok" else []
            complaints += [wrong for spec in specs if (wrong := complaint(spec, plugin.origin))]
        elif plugin.status == "ok":
            foreign.append(plugin)
    complaints += complaints_of(foreign)
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


def _lines(report: dict[str, Any]) -> list[str]:
    lines = [f"zoo {report['zoo']}, Python {report['python']}, {report['platform']}, {report['device']}"]
    lines.append(", ".join(f"{name} {version}" for name, version in report["libraries"].items()))
    lines.append("plugins: " + ", ".join(f"{name} {status}" for name, status in report["plugins"].items()))
    for number, problem in enumerate(report["problems"], 1):
        lines += ["", f"{number}. {problem['what']} is broken: {problem['error']}", f"   cure: {problem['cure']}"]
        lines += [f"   | {line}" for line in problem.get("traceback", "").splitlines()]
    if not report["problems"]:
        lines.append("all is well")
    return lines
