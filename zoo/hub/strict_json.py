"""JSON from strangers: a key that stands twice would mean different things to different readers."""

import json
from typing import Any


def loads(text: str) -> Any:
    """Parse JSON.

    Raises:
        ValueError: It is no JSON, is nested too deeply, or an object has a key twice.
    """
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a key stands twice")
    return table
