"""A record, plain JSON, as text for people."""

from typing import Any

from zoo.cli._text import printable, table
from zoo.quantities import count


def lines(record: dict[str, Any], indent: str = "") -> list[str]:
    """The lines of a record: simple fields in two columns, tables below, indented."""
    simple = {key: value for key, value in record.items() if _flat(value)}
    rows = [(f"{indent}{printable(key)}", _text(key, value)) for key, value in simple.items() if value not in ({}, [])]
    text = table(rows).splitlines()
    for key, value in record.items():
        if key not in simple:
            for item in value if isinstance(value, list) else [value]:
                text += [f"{indent}{printable(key)}", *lines(item, indent + "  ")]
    return text


def _flat(value: Any) -> bool:
    """Whether a value goes on one line."""
    if isinstance(value, dict):
        return all(not isinstance(item, dict) for item in value.values()) and len(str(value)) < 70
    return not _tables(value) or len(str(value)) < 100


def _tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


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
