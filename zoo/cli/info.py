"""``zoo info``."""

import json
import os
from typing import Any

import click

from zoo.cli._text import count, printable, table
from zoo.errors import UnknownNameError, did_you_mean
from zoo.manifest import KINDS, Spec
from zoo.registry import registry


@click.command()
@click.argument("name", metavar="NAME|FILE")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def command(name: str, as_json: bool) -> None:
    """Show what is known of a model, architecture, pair, encoder, data set …, or of a weight file.

    \b
    zoo info fcn8s_vgg16
    zoo info fcn8s@resnet50
    zoo info run/best.safetensors
    """
    is_file = name.endswith(".safetensors") or (os.path.isfile(name) and not _named(name.partition("@")[0]))
    record = _of_file(name) if is_file else _of_name(name)
    if as_json:
        text = json.dumps(record, indent=2, ensure_ascii=False)
        click.echo(text.encode("utf-8", "backslashreplace"))  # a stranger's file may hold half a character
    else:
        click.echo("\n".join(_lines(record)))


def _of_file(path: str) -> dict[str, Any]:
    from zoo.hub.header import read_header

    header = read_header(path)
    record = {key: value for key, value in header.record.items() if key != "model" and value not in ({}, None)}
    own = {
        "file": path,
        "bytes": header.size,
        "parameters": header.parameters,
        "tensors": len(header.shapes),
        "model": header.record["model"],
    }
    return own | {key: value for key, value in record.items() if key not in own}


def _of_name(name: str) -> dict[str, Any]:
    base, _, paired = name.partition("@")
    found = _named(base)
    if not found:
        known = [spec.name for kind in KINDS for spec in registry().find(kind)]
        raise UnknownNameError(f"nothing is named {base!r}.{did_you_mean(base, known)} `zoo list` shows all models.")
    spec = found[0]
    record = _described(spec)
    architecture = spec
    if spec.kind == "model" and "architecture" in spec.meta:
        architecture = registry().get("architecture", spec.meta["architecture"], spec.plugin)
        record["architecture"] = _described(architecture)
    encoder = paired or spec.meta.get("encoder")
    if encoder:
        encoder_spec = registry().lookup("encoder", encoder, architecture.plugin) or registry().get(
            "encoder", encoder.partition(".")[0], architecture.plugin
        )
        record["encoder"] = _described(encoder_spec)
        record["encoder"].pop("taps", None)
        if paired:
            from zoo.compatibility import missing

            record["name"] = name
            record.pop("parameters", None)
            record["lacks"] = missing(architecture.needs, encoder_spec.offers, encoder_spec.name)
    return record


def _named(name: str) -> list[Spec]:
    """Every component of that name, of whatever kind."""
    return [spec for kind in KINDS if (spec := registry().lookup(kind, name)) is not None]


def _described(spec: Spec) -> dict[str, Any]:
    from zoo.signature import static_options

    record = {key: value for key, value in spec.to_json().items() if value not in ({}, [], None)}
    record["plugin"] = spec.plugin
    record.setdefault("needs", spec.needs) if spec.kind == "architecture" else None
    options = static_options(spec)
    if options:
        record["options"] = {**options, **record.get("options", {})}
    return record


def _lines(record: dict[str, Any], indent: str = "") -> list[str]:
    simple = {key: value for key, value in record.items() if not isinstance(value, dict) or _flat(value)}
    rows = [(f"{indent}{printable(key)}", _text(key, value)) for key, value in simple.items() if value not in ({}, [])]
    lines = table(rows).splitlines()
    for key, value in record.items():
        if key not in simple:
            lines += [f"{indent}{printable(key)}", *_lines(value, indent + "  ")]
    return lines


def _flat(table: dict[str, Any]) -> bool:
    return all(not isinstance(value, dict) for value in table.values()) and len(str(table)) < 70


def _text(key: str, value: Any) -> str:
    if key == "parameters" and isinstance(value, int):
        return f"{value:,} ({count(value)})"
    if isinstance(value, dict):
        return ", ".join(f"{printable(name)} = {_text('', item)}" for name, item in value.items())
    if isinstance(value, list):
        if value and isinstance(value[0], dict):
            return "; ".join(_text("", item) for item in value)
        return ", ".join(_text("", item) for item in value)
    if isinstance(value, float):
        return f"{value:.6g}"
    return printable(str(value))
