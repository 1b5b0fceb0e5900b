"""``zoo info``."""

import json
import os
from typing import Any

import click

from zoo.cli._record import lines
from zoo.cli._size import EXPECTED, parse_size
from zoo.errors import OptionError, UnknownNameError, did_you_mean
from zoo.manifest import KINDS, Spec
from zoo.registry import registry


@click.command()
@click.argument("name", metavar="NAME|FILE")
@click.option("--build", is_flag=True, help="Also build it, without weights: parameters, operations, taps, shapes.")
@click.option("--size", metavar="HxW", help="With --build: size of the picture, as 512x512 (the default) or 512.")
@click.option("--num-classes", type=int, metavar="K", help="With --build: number of classes.")
@click.option("--in-channels", type=int, metavar="C", help="With --build: channels of the picture.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def command(
    name: str, build: bool, size: str | None, num_classes: int | None, in_channels: int | None, as_json: bool
) -> None:
    """Show what is known of a model, architecture, pair, encoder, data set …, or of a weight file or a pipeline.

    \b
    zoo info fcn8s_vgg16
    zoo info fcn8s@resnet50
    zoo info run/best.safetensors
    zoo info fcn8s@resnet50 --build --size 480x640
    """
    given = {"--size": size, "--num-classes": num_classes, "--in-channels": in_channels}
    if not build and (alone := [option for option, value in given.items() if value is not None]):
        raise OptionError(f"{' and '.join(alone)} without --build: nothing would be built")
    is_pipeline = name.lower().endswith((".toml", ".json"))
    is_file = name.endswith(".safetensors") or (os.path.isfile(name) and not _named(name.partition("@")[0]))
    is_file = is_file and not is_pipeline
    record = _of_pipeline(name) if is_pipeline else _of_file(name) if is_file else _of_name(name)
    built = _built(name, is_file, record, size, num_classes, in_channels) if build else None
    if as_json:
        record |= {} if built is None else {"built": built}
        text = json.dumps(record, indent=2, ensure_ascii=False)
        click.echo(text.encode("utf-8", "backslashreplace"))  # a stranger's file may hold half a character
    else:
        click.echo("\n".join(lines(record)))
        if built is not None:
            from zoo.cli import _built as shown

            click.echo("\n".join(["", *shown.lines(built)]))


def _built(
    name: str, is_file: bool, record: dict[str, Any], size: str | None, classes: int | None, channels: int | None
) -> dict[str, Any]:
    """What is known only of a model that is built; it imports torch."""
    pixels = None if size is None else parse_size(size)
    if size is not None and pixels is None:
        raise OptionError(f"--size {size!r}: {EXPECTED}")
    if is_file and (classes is not None or channels is not None):
        raise OptionError(f"{name} has its own number of classes and channels; leave out --num-classes, --in-channels")
    if not is_file and record["kind"] not in ("model", "architecture"):
        raise OptionError(f"{name!r} is of kind {record['kind']}: --build is for models, architectures, weight files")
    from zoo.assembly import resolve
    from zoo.summary import SIZE, summarize

    if is_file:
        from zoo.hub.header import read_header

        config = read_header(name).config
    else:
        config = resolve(name, num_classes=classes, in_channels=channels)
    return summarize(config, pixels or SIZE).to_json()


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


def _of_pipeline(path: str) -> dict[str, Any]:
    from zoo.pipeline.opening import describe

    found = describe(path)
    return {"file": path, "kind": "pipeline", "protocol": found.describe(), **found.to_json()}


def _of_name(name: str) -> dict[str, Any]:
    published = _published(name) if "@" in name or not _named(name) else None
    if published is not None:
        return published
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


def _published(name: str) -> dict[str, Any] | None:
    """The record of published weights with that name, in whichever hub."""
    from zoo.hub.hubs import all_records

    if "." not in name:
        return None
    record = next((record for record in all_records() if record.name == name), None)
    return None if record is None else {**record.to_json(), "kind": "weights", "hub": record.hub}


def _named(name: str) -> list[Spec]:
    """Every component of that name, of whatever kind."""
    return [spec for kind in KINDS if (spec := registry().lookup(kind, name)) is not None]


def _described(spec: Spec) -> dict[str, Any]:
    from zoo.signature import static_options

    record = {key: value for key, value in spec.to_json().items() if value not in ({}, [], None)}
    record["plugin"] = spec.plugin
    record.setdefault("needs", spec.needs) if spec.kind == "architecture" else None
    if spec.kind == "recipe":
        from zoo.training.shelf import shown

        tables = shown(spec)
        record |= tables[0] if len(tables) == 1 else {"stages": tables}
    if spec.kind == "pipeline":
        from zoo.pipeline.opening import described

        found = described(spec)
        own = {key: value for key, value in found.to_json().items() if key != "pipeline"}
        record |= {"combine": found.combine, "protocol": found.describe(), "models": own.pop("model"), **own}
        return record
    options = static_options(spec)
    if options:
        record["options"] = {**options, **record.get("options", {})}
    return record
