"""Writing TOML: the tables of a recipe, as `tomllib` reads them back."""

import json
from collections.abc import Mapping, Sequence
from typing import Any


def dump(tables: Mapping[str, Mapping[str, Any] | Sequence[Mapping[str, Any]]]) -> str:
    """Return `tables` as TOML text: one ``[table]`` each, or ``[[table]]`` for a list of them; inner mappings inline.

    TOML has no null, so a key whose value is None is left out.

    Raises:
        TypeError: A value that TOML cannot hold.
    """
    blocks = []
    for name, given in tables.items():
        single = isinstance(given, Mapping)
        for table in [given] if isinstance(given, Mapping) else given:
            lines = [f"[{_key(name)}]" if single else f"[[{_key(name)}]]"]
            lines += [f"{_key(key)} = {value(item)}" for key, item in table.items() if item is not None]
            blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def value(item: Any) -> str:
    """Return one value as TOML writes it: a string in quotes, a mapping as an inline table."""
    match item:
        case bool():  # before int, which a bool also is
            return "true" if item else "false"
        case int() | float():
            return repr(item)
        case str():
            return _string(item)
        case Mapping():
            pairs = [f"{_key(str(key))} = {value(inner)}" for key, inner in item.items() if inner is not None]
            return f"{{ {', '.join(pairs)} }}" if pairs else "{}"
        case Sequence():
            return f"[{', '.join(value(inner) for inner in item)}]"
    raise TypeError(f"TOML has no form for {item!r}, a {type(item).__name__}")


def _key(key: str) -> str:
    bare = key.isascii() and key.replace("-", "").replace("_", "").isalnum()
    return key if bare else _string(key)


def _string(text: str) -> str:
    # JSON's escapes are TOML's, except for surrogate pairs (not used: the text stays as it is) and DEL.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
