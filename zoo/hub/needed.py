"""Which plugins a model needs: noted in its file, so that one who lacks them is told what to install."""

from collections.abc import Mapping
from typing import Any

from zoo.config import ModelConfig
from zoo.discovery import Plugin
from zoo.plan import architecture_of
from zoo.registry import registry


def distributions(config: ModelConfig) -> dict[str, str]:
    """The installed distributions, other than Zoo itself, that bring a model's architecture and encoder → versions."""
    known = registry()
    specs = [architecture_of(config)]
    if config.encoder is not None:
        specs.append(known.lookup("encoder", config.encoder))
    namespaces = {spec.plugin for spec in specs if spec is not None}
    return dict(sorted(own for plugin in known.plugins if plugin.name in namespaces and (own := _distribution(plugin))))


def advice(record: Mapping[str, Any]) -> str:
    """What to install for a file with that description; empty where it does not say, or where it says nonsense."""
    names = record.get("needs")
    if not isinstance(names, list) or not all(isinstance(name, str) and name.isprintable() for name in names):
        return ""
    return f" Install what it was made with: pip install {' '.join(names)}" if names else ""


def changed(record: Mapping[str, Any]) -> str:
    """Which distributions are of another version than those that a file was made with; empty where none is."""
    made_with = record.get("made_with")
    if not isinstance(made_with, dict):
        return ""
    installed = dict(own for plugin in registry().plugins if (own := _distribution(plugin)))
    others = {
        name: version
        for name, version in made_with.items()
        if f"{name}{version}".isprintable() and installed.get(name, version) != version
    }
    if not others:
        return ""
    pairs = " and ".join(f"{name} {version} ({installed[name]} is installed)" for name, version in others.items())
    pins = " ".join(f"{name}=={version}" for name, version in others.items())
    return f". It was made with {pairs}: pip install {pins}, or ask its author how to bring the file up to date"


def _distribution(plugin: Plugin) -> tuple[str, str] | None:
    """Its name and version; None for what no package installer knows."""
    name, _, version = plugin.origin.partition(" ")
    return (name, version) if version and "/" not in plugin.origin else None
