"""Which plugins a model needs: noted in its file, so that one who lacks them is told what to install."""

from collections.abc import Mapping
from typing import Any

from zoo.config import ModelConfig
from zoo.discovery import Plugin
from zoo.registry import registry


def distributions(config: ModelConfig) -> list[str]:
    """The installed distributions, other than Zoo itself, that bring a model's architecture and encoder."""
    known = registry()
    specs = [known.lookup("architecture", config.architecture) or known.lookup("model", config.architecture)]
    if config.encoder is not None:
        specs.append(known.lookup("encoder", config.encoder))
    namespaces = {spec.plugin for spec in specs if spec is not None}
    return sorted({name for plugin in known.plugins if plugin.name in namespaces and (name := _distribution(plugin))})


def advice(record: Mapping[str, Any]) -> str:
    """What to install for a file with that description; empty where it does not say, or where it says nonsense."""
    names = record.get("needs")
    if not isinstance(names, list) or not all(isinstance(name, str) and name.isprintable() for name in names):
        return ""
    return f" Install what it was made with: pip install {' '.join(names)}" if names else ""


def _distribution(plugin: Plugin) -> str | None:
    """Its name without the version; None for what no package installer knows."""
    name, _, version = plugin.origin.partition(" ")
    return name if version and "/" not in plugin.origin else None
