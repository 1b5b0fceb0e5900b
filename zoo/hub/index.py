"""``index.json``: the list of a hub's records."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from zoo.files import atomic_path
from zoo.hub import strict_json
from zoo.hub.record import SCHEMA, Record, RecordError

FILE = "index.json"
LARGEST = 64_000_000
"""Bytes of an index; ten thousand records with all their metrics are less."""


def read_index(path: Path, *, base: str, hub: str) -> list[Record]:
    """The records of an index file, in its order.

    Args:
        path: The file.
        base: Address of the folder that it describes.
        hub: What to call it in messages.

    Raises:
        RecordError: It cannot be read, is damaged, is of a newer schema, or names a record twice.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise RecordError(f"the index of {hub} is larger than {LARGEST:,} bytes")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise RecordError(f"the index of {hub} cannot be read: {path}: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise RecordError(f"the index of {hub} is damaged: {error}") from None
    return parse_index(text, base=base, hub=hub)


def parse_index(text: str, *, base: str, hub: str) -> list[Record]:
    """As `read_index`, from the text."""
    try:
        table = strict_json.loads(text)
        schema, entries = table["schema"], table["records"]
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise ValueError("its records are no list of objects")
    except (ValueError, KeyError, TypeError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else error
        raise RecordError(f"the index of {hub} is damaged: {what}") from None
    if schema != SCHEMA:
        advice = "upgrade Zoo" if isinstance(schema, int) and schema > SCHEMA else "publish it again"
        raise RecordError(f"the index of {hub} has schema {schema!r}; this Zoo reads schema {SCHEMA}: {advice}")
    records = []
    for entry in entries:
        try:
            records.append(Record(entry.get("name"), entry, base, hub))
        except RecordError as error:
            raise RecordError(f"the index of {hub} is damaged: {error}") from None
    if len({record.name for record in records}) < len(records):
        names = [record.name for record in records]
        twice = next(name for name in names if names.count(name) > 1)
        raise RecordError(f"the index of {hub} has two records called {twice!r}")
    return records


def write_index(folder: Path, records: Iterable[Record]) -> Path:
    """Write the index of a hub's folder, sorted by name; it is replaced whole or not at all.

    Raises:
        RecordError: A record is not complete.
        OSError: It cannot be written.
    """
    chosen = sorted(records, key=lambda record: record.name)
    for record in chosen:
        record.check()
    table: dict[str, Any] = {"schema": SCHEMA, "records": [record.to_json() for record in chosen]}
    with atomic_path(folder / FILE) as temporary:
        text = json.dumps(table, indent=1, ensure_ascii=False, sort_keys=True, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")
    return folder / FILE
