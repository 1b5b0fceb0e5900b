"""The self-describing header of a weight file, read with the standard library alone.

A file is safetensors with exactly one metadata key, ``zoo``, holding canonical JSON: with two keys the writer's
order, and so the file's hash, would be random.
"""

import json
import math
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.config import ModelConfig
from zoo.errors import CheckpointError
from zoo.hub import strict_json

SCHEMA = 1
KEY = "zoo"
_LARGEST = 100 * 1000 * 1000  # the limit of the safetensors format itself


@dataclass(frozen=True, slots=True)
class Header:
    """What a weight file says of itself.

    Attributes:
        config: Makes the model.
        record: The whole description: ``schema``, ``model``, ``defaults``, ``data``, ``metrics``, ``recipe``,
            ``licence``, ``zoo``.
        shapes: Tensor name → shape.
        parameters: Sum of the sizes of all tensors.
        size: Bytes of the file.
    """

    config: ModelConfig
    record: dict[str, Any]
    shapes: dict[str, tuple[int, ...]]
    parameters: int
    size: int


def canonical_json(record: Any) -> str:
    """JSON that is the same for equal records: sorted keys, no spaces, no NaN."""
    return json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def read_header(path: str | os.PathLike[str]) -> Header:
    """Read and check a weight file's header; its tensors are not read, but must all be there.

    Raises:
        CheckpointError: No such file, not safetensors, cut short, not written by Zoo, or of another schema.
    """
    path = Path(path)
    table, size = _read_table(path)
    metadata = table.pop("__metadata__", None)
    if not isinstance(metadata, dict) or KEY not in metadata:
        raise CheckpointError(
            f"{path} holds tensors but no description by Zoo (metadata key {KEY!r}); "
            "it was not written by zoo.save, so the model that it belongs to is not known"
        )
    try:
        record = json.loads(metadata[KEY])
        schema = record["schema"]
    except (TypeError, ValueError, KeyError, RecursionError) as error:
        raise CheckpointError(f"{path}: its description is damaged: {error}") from None
    if schema != SCHEMA:
        newer = isinstance(schema, int) and schema > SCHEMA
        advice = "upgrade Zoo" if newer else "save it again with the Zoo it is from"
        raise CheckpointError(f"{path} has schema {schema!r}; this Zoo reads schema {SCHEMA}: {advice}")
    if "model" not in record and isinstance(record.get("encoder"), dict):
        name = record["encoder"].get("name")
        raise CheckpointError(
            f"{path} holds weights of the encoder {name!r}, not of a model: give it to a model of that encoder as the "
            "option encoder_weights"
        )
    try:
        config = ModelConfig.from_json(record["model"])
    except (KeyError, CheckpointError) as error:
        raise CheckpointError(f"{path}: {error}") from None
    shapes = {name: tuple(entry["shape"]) for name, entry in table.items()}
    return Header(config, record, shapes, sum(map(math.prod, shapes.values())), size)


def _read_table(path: Path) -> tuple[dict[str, Any], int]:
    """The header's JSON object and the file's size, after checking that the tensors fill the file exactly."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            start = file.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else -1
            if not 2 <= length <= min(_LARGEST, size - 8):
                raise CheckpointError(f"{path} is not a safetensors file, or its beginning is missing ({size} bytes)")
            text = file.read(length)
    except FileNotFoundError:
        raise CheckpointError(f"there is no weight file {path}") from None
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from None
    try:
        table = strict_json.loads(text.decode("utf-8"))
        if not isinstance(table, dict):
            raise ValueError("not an object")
        tensors = [entry for name, entry in table.items() if name != "__metadata__"]
        if not all(type(number) is int and number >= 0 for entry in tensors for number in _numbers(entry)):
            raise ValueError("shapes and offsets must be whole numbers")
        expected = 8 + length + max((entry["data_offsets"][1] for entry in tensors), default=0)
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise CheckpointError(f"{path} is not a safetensors file: its header is damaged: {error}") from None
    if size != expected:
        what = "cut short" if size < expected else "longer than it should be"
        raise CheckpointError(f"{path} is {what}: {size} bytes where its header promises {expected}; fetch it again")
    return table, size


def _numbers(entry: dict[str, Any]) -> list[Any]:
    return [*entry["shape"], *entry["data_offsets"]]
