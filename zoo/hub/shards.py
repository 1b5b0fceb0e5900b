"""Weights in several files: ``name-00001-of-00003.safetensors`` and its siblings.

The description in every shard says which of how many it is, so that none can be missing or stand for another.
"""

import re
from pathlib import Path
from typing import Any

from zoo.errors import CheckpointError
from zoo.hub.header import Header, read_header

_NUMBERED = re.compile(r"(?P<stem>.+)-(?P<index>\d{5})-of-(?P<count>\d{5})\.safetensors")


def shard_name(stem: str, index: int, count: int) -> str:
    """The file name of shard `index`, counted from 1, of `count`."""
    return f"{stem}-{index:05}-of-{count:05}.safetensors"


def files_of(path: Path, header: Header) -> list[Path]:
    """All files of the weights that `path` is one of: itself, or it and the other shards, in order.

    Raises:
        CheckpointError: A shard is missing, stands in another's place, or belongs to other weights.
    """
    shard = header.record.get("shard")
    if shard is None:
        return [path]
    index, count = _position(shard, path)
    named = _NUMBERED.fullmatch(path.name)
    if named is None or (int(named["index"]), int(named["count"])) != (index, count):
        raise CheckpointError(
            f"{path} holds shard {index} of {count}, so its name should be "
            f"{shard_name(named['stem'] if named else 'NAME', index, count)}; was it swapped or renamed?"
        )
    paths = [path.with_name(shard_name(named["stem"], number, count)) for number in range(1, count + 1)]
    missing = [sibling.name for sibling in paths if not sibling.is_file()]
    if missing:
        raise CheckpointError(f"{path} is shard {index} of {count}, but {', '.join(missing)} is missing beside it")
    common = {key: value for key, value in header.record.items() if key != "shard"}
    for number, sibling in enumerate(paths, start=1):
        other = read_header(sibling)
        if _position(other.record.get("shard"), sibling) != (number, count):
            raise CheckpointError(f"{sibling} is not shard {number} of {count}: it says {other.record.get('shard')!r}")
        if {key: value for key, value in other.record.items() if key != "shard"} != common:
            raise CheckpointError(f"{sibling} and {path} are shards of different weights")
    return paths


def _position(shard: Any, path: Path) -> tuple[int, int]:
    try:
        index, count = shard["index"], shard["of"]
    except (TypeError, KeyError):
        index, count = None, None
    if type(index) is not int or type(count) is not int or not 1 <= index <= count <= 99999:
        raise CheckpointError(f"{path}: which shard it is cannot be read from {shard!r}")
    return index, count
