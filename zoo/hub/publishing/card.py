"""The model card of a record: Markdown, with the metadata that Hugging Face reads at its beginning."""

import json
import re
from collections.abc import Mapping
from typing import Any

from zoo.hub.publishing import facts
from zoo.hub.record import Record

LIBRARY = "zoo"

_LICENCES = (
    "apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "bsd-3-clause-clear", "cc", "cc0-1.0", "cc-by-2.0",
    "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0",
    "cc-by-nd-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0",
    "gpl-2.0", "gpl-3.0", "lgpl-2.1", "lgpl-3.0", "agpl-3.0", "mpl-2.0", "unlicense", "openrail", "isc",
)  # fmt: skip
"""Identifiers that Hugging Face knows; anything else is "other", by name."""


def front_matter(record: Record) -> str:
    """The metadata between two lines ``---``, as YAML."""
    return f"---\n{_yaml(_metadata(record))}---"


def metadata_of(records: list[Record]) -> str:
    """The metadata of a repository with several records."""
    tables = [_metadata(record) for record in records]
    licences = {json.dumps([table["license"], table.get("license_name")]) for table in tables}
    licence, licence_name = json.loads(licences.pop()) if len(licences) == 1 else ("other", "several")
    merged: dict[str, Any] = {
        "license": licence,
        **({"license_name": licence_name} if licence_name else {}),
        "library_name": LIBRARY,
        "pipeline_tag": "image-segmentation",
        "tags": ["semantic-segmentation", "pytorch"],
        "datasets": sorted({entry for table in tables for entry in table.get("datasets", [])}),
        "model-index": [entry for table in tables for entry in table.get("model-index", [])],
    }
    return f"---\n{_yaml({key: value for key, value in merged.items() if value})}---\n"


def card(record: Record) -> str:
    """The whole card. What comes from records and files is escaped: it cannot end a table, or bring in HTML."""
    parts = [
        front_matter(record),
        f"# {_md(record.name)}",
        _md(record.summary),
        _picture(record),
        _what(record),
        _numbers(record),
        _per_class(record),
        _use(record),
        f"## Input\n\n{facts.input_words(record)}",
        _recipe(record),
        _licence(record),
        "## Limits\n\n" + "\n".join(f"- {_md(line)}" for line in facts.limits(record)),
        _files(record),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def licence_id(licence: str) -> str:
    """The identifier that Hugging Face knows a licence by; ``"other"`` for those that it does not know."""
    plain = re.sub(r"[\s_]+", "-", licence.strip().lower())
    plain = {"cc0": "cc0-1.0", "bsd": "bsd-3-clause", "apache2": "apache-2.0", "apache-2": "apache-2.0"}.get(
        plain, plain
    )
    return plain if plain in _LICENCES else "other"


def _metadata(record: Record) -> dict[str, Any]:
    licence = facts.words(record, "licence", "weights", "unknown")
    identifier = licence_id(licence)
    data = facts.words(record, "data", "name")
    results = [
        {"type": key, "name": text, "value": round(value * 100, 2)} for key, text, value in facts.numbers(record)
    ]
    metrics = facts.table(record, "metrics")
    measured = str(metrics.get("data", data) or "unknown")
    index = {
        "name": record.name,
        "results": [
            {
                "task": {"type": "image-segmentation", "name": "Semantic segmentation"},
                "dataset": {"name": measured, "type": _slug(measured), "split": str(metrics.get("split", ""))},
                "metrics": results,
            }
        ],
    }
    return {
        "license": identifier,
        **({"license_name": _slug(licence)} if identifier == "other" else {}),
        "library_name": LIBRARY,
        "pipeline_tag": "image-segmentation",
        "tags": ["semantic-segmentation", "pytorch", _slug(record.model)],
        **({"datasets": [_slug(data)]} if data else {}),
        "metrics": [key for key, _, _ in facts.numbers(record)],
        **({"model-index": [index]} if results else {}),
    }


def _picture(record: Record) -> str:
    if not record.table.get("samples"):
        return ""
    return "![Picture, prediction and truth, side by side](samples.jpg)"


def _what(record: Record) -> str:
    config = facts.config(record)
    if config is None:
        return ""
    built = config.architecture + (f" on {config.encoder}" if config.encoder else "")
    parameters = facts.amount(record.table.get("parameters"))
    lines = [
        f"A semantic segmentation model, {_md(built)}, {parameters} parameters, trained on {_md(facts.data(record))}; "
        f"it gives every pixel one of {config.num_classes} classes.",
        facts.storage(record),
        _md(facts.speed(record)),
        f"It needs a plugin: `{install}`." if (install := facts.install(record)) else "",
    ]
    names = ", ".join(_md(name) for name, _ in facts.classes(record)[:200])
    return "## What it is\n\n" + " ".join(line for line in lines if line) + f"\n\nClasses: {names}."


def _numbers(record: Record) -> str:
    found = facts.numbers(record)
    if not found:
        return "## Numbers\n\nNone were measured."
    head = " | ".join(text for _, text, _ in found)
    values = " | ".join(facts.percent(value) for _, _, value in found)
    protocol = facts.words(record, "metrics", "protocol", "of an unknown protocol")
    rule = " | ".join("---:" for _ in found)
    return (
        f"## Numbers\n\nOn {_md(facts.measured_on(record))}, in per cent: {_md(protocol)}.\n\n"
        f"| {head} |\n| {rule} |\n| {values} |"
    )


def _per_class(record: Record) -> str:
    found = facts.per_class(record)
    if not found:
        return ""
    rows = "\n".join(f"| {_md(name)} | {facts.percent(iou)} |" for name, _, iou in found)
    return f"## Every class\n\n| class | IoU |\n| --- | ---: |\n{rows}"


def _use(record: Record) -> str:
    blocks = [
        f"{title}:\n\n```{'bash' if title == 'Command line' else 'python'}\n{text}\n```"
        for title, text in facts.commands(record)
    ]
    return "## How to use it\n\n" + "\n\n".join(blocks)


def _recipe(record: Record) -> str:
    recipe = facts.table(record, "recipe")
    if not recipe:
        return "## Training\n\nThe recipe is not known."
    text = toml(recipe).replace("`", "'")
    return f"## Training\n\n```toml\n{text}```"


def _licence(record: Record) -> str:
    weights, data = (facts.words(record, "licence", key, "unknown") for key in ("weights", "data"))
    return f"## Licences\n\n- Weights: {_md(weights)}\n- Data they were trained on: {_md(data)}"


def _files(record: Record) -> str:
    rows = "\n".join(f"| {_md(file.name)} | {file.bytes:,} | `{file.sha256}` |" for file in record.files)
    return f"## Files\n\n| file | bytes | sha256 |\n| --- | ---: | --- |\n{rows}"


def toml(tables: Mapping[str, Any]) -> str:
    """A recipe as it is written for `zoo train --recipe`; what does not look like one, as JSON."""
    lines = []
    for name, values in tables.items():
        if not isinstance(values, Mapping):
            return json.dumps(tables, indent=1, ensure_ascii=False) + "\n"
        lines.append(f"[{name}]")
        lines += [f"{key} = {_value(value)}" for key, value in values.items() if value is not None]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return (
            "{}"
            if not value
            else "{ " + ", ".join(f"{json.dumps(str(key))} = {_value(item)}" for key, item in value.items()) + " }"
        )
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _md(text: str) -> str:
    """Text that Markdown shows as it is."""
    line = " ".join(text.split())
    line = re.sub(r"([\\`*_{}\[\]#|~])", r"\\\1", line)
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9.\-]+", "-", text.lower()).strip("-.") or "unknown"


def _yaml(value: Any, indent: str = "") -> str:
    """Block YAML of plain JSON; strings are quoted as JSON quotes them, which is YAML too."""
    if isinstance(value, Mapping):
        lines = ""
        for key, item in value.items():
            nested = isinstance(item, Mapping | list) and item
            lines += f"{indent}{key}:" + (f"\n{_yaml(item, indent + '  ')}" if nested else f" {_scalar(item)}\n")
        return lines
    lines = ""
    for item in value:
        if isinstance(item, Mapping) and item:
            block = _yaml(item, indent + "  ")
            lines += f"{indent}- {block[len(indent) + 2 :]}"
        else:
            lines += f"{indent}- {_scalar(item)}\n"
    return lines


def _scalar(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return "".join(letter if letter.isprintable() else f"\\U{ord(letter):08x}" for letter in text)
