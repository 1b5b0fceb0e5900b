"""Saving a model to one self-describing file, and loading it again without a name or a second file."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from zoo import __version__
from zoo.errors import CheckpointError, UnknownNameError, ZooError
from zoo.files import atomic_path
from zoo.hub.defaults import defaults, settled
from zoo.hub.header import KEY, SCHEMA, Header, canonical_json, read_header
from zoo.hub.locate import find_file
from zoo.hub.needed import advice, changed, distributions
from zoo.hub.shards import files_of, shard_name
from zoo.hub.skeleton import skeleton
from zoo.model import SegmentationModel

logger = logging.getLogger("zoo")

AUXILIARY = "auxiliary."
"""What the names of the tensors of auxiliary heads begin with."""
HALF = "float16"
"""What a description says under ``storage`` where float32 was kept in half the space."""


def save(
    model: SegmentationModel,
    path: str | os.PathLike[str],
    *,
    data: Mapping[str, Any] | None = None,
    metrics: Mapping[str, Any] | None = None,
    recipe: Mapping[str, Any] | None = None,
    licence: Mapping[str, str] | None = None,
    shard_bytes: int | None = None,
) -> Path:
    """Write a model to a safetensors file that describes itself. The file appears whole or not at all.

    Args:
        model: The model; its `config` says how to build it again.
        path: Where to; should end in ``.safetensors``.
        data: What it was trained on: ``{"name": …, "split": …}``.
        metrics: Its numbers, with the protocol: ``{"miou": …, "data": …, "split": …}``.
        recipe: The resolved recipe.
        licence: ``{"weights": …, "data": …}``.
        shard_bytes: Write several files of at most about so many bytes, if the model is larger.

    Returns:
        `path`; of several files the first, ``NAME-00001-of-00003.safetensors``.

    Raises:
        CheckpointError: The folder does not exist or cannot be written to; or what describes the model is not JSON.
    """
    record: dict[str, Any] = {
        "model": model.config.to_json(),
        "data": dict(data or {}),
        "metrics": dict(metrics or {}),
        "recipe": dict(recipe or {}),
        "licence": dict(licence or {}),
    }
    usual = defaults(model.config)
    if usual:
        record["defaults"] = usual
    needs = distributions(model.config)
    if needs:
        record |= {"needs": [*needs], "made_with": needs}
    return write_state(path, model.state_dict(), record, shard_bytes=shard_bytes)


def write_state(
    path: str | os.PathLike[str],
    state: Mapping[str, Tensor],
    record: Mapping[str, Any],
    *,
    shard_bytes: int | None = None,
    half: bool = False,
) -> Path:
    """`save` for tensors that are in no model, with the whole description given.

    Args:
        path: Where to.
        state: The tensors by name.
        record: ``model``, ``data``, ``metrics``, ``recipe``, ``licence``, and what else is to be kept.
        shard_bytes: As in `save`.
        half: Keep float32 tensors of two or more dimensions in float16. The description says so, and `load` makes
            float32 of them again; single columns, among them the statistics of norms, stay as they are.

    Raises:
        CheckpointError: As `save`; or a number is too large for float16.
    """
    path = Path(path)
    record = {**record, "schema": SCHEMA, "zoo": __version__, **({"storage": HALF} if half else {})}
    try:
        description = canonical_json(record)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: its description must be plain JSON, without NaN or infinity: {error}") from None
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    if half:
        tensors = {name: _halved(name, tensor) for name, tensor in tensors.items()}
    parts = [tensors] if shard_bytes is None else _parts(tensors, shard_bytes)
    if len(parts) == 1:
        return _write(path, tensors, description)
    paths = []
    for index, part in enumerate(parts, start=1):
        description = canonical_json({**record, "shard": {"index": index, "of": len(parts)}})
        paths.append(_write(path.with_name(shard_name(path.stem, index, len(parts))), part, description))
    return paths[0]


def _halved(name: str, tensor: Tensor) -> Tensor:
    if tensor.dtype != torch.float32 or tensor.ndim < 2:
        return tensor
    small = tensor.half()
    if not torch.equal(small.isfinite(), tensor.isfinite()):
        raise CheckpointError(f"{name} has numbers beyond 65,504, the largest of float16; keep it in float32")
    return small


def _parts(tensors: dict[str, Tensor], most: int) -> list[dict[str, Tensor]]:
    """Tensors in their order, in parts of at most so many bytes where no single tensor is larger."""
    parts: list[dict[str, Tensor]] = [{}]
    filled = 0
    for name, tensor in tensors.items():
        if parts[-1] and filled + tensor.nbytes > most:
            parts.append({})
            filled = 0
        parts[-1][name] = tensor
        filled += tensor.nbytes
    return parts


def _write(path: Path, tensors: dict[str, Tensor], description: str) -> Path:
    try:
        with atomic_path(path) as temporary:
            save_file(tensors, temporary, metadata={KEY: description})
    except (OSError, SafetensorError, RuntimeError) as error:  # the last where tensors share their memory
        raise CheckpointError(f"{path} cannot be written: {error}") from None
    return path


def load(path: str | os.PathLike[str]) -> SegmentationModel:
    """Load a model that `save` wrote: built from the file's own description, in evaluation mode.

    Nothing is initialised at random; the parameters are mapped from the file and read when they are used.

    Args:
        path: A file, or any of several shards; or the name of published weights, ``"model.tag"``, which are fetched
            from a hub if they are not here.

    Raises:
        CheckpointError: The file is missing, damaged, not ours, of another schema, or does not fit its description;
            or a component that it names is not installed.
        ZooError: There are no such published weights, or they cannot be fetched.
    """
    from zoo.assembly import build

    path = find_file(path)
    header = read_header(path)
    state = read_tensors(path, header)
    try:
        config = settled(header)
        try:
            with skeleton():
                model = build(config)
            complete = state.keys() >= {name for name, _ in (*model.named_parameters(), *model.named_buffers())}
        except RuntimeError as error:  # a constructor that reads numbers out of tensors
            if "meta" not in str(error):
                raise
            complete = False
        if not complete:
            model = build(config)  # some of its tensors are computed and in no file: make them for real
    except UnknownNameError as error:
        raise CheckpointError(
            f"{path} needs a component of a plugin that is not installed: {error}"
            f"{changed(header.record) or advice(header.record)}"
        ) from None
    except (ZooError, RuntimeError, TypeError) as error:  # torch refuses absurd sizes and values with the latter
        raise CheckpointError(
            f"{path} describes a model that cannot be built: {error}{changed(header.record)}"
        ) from error
    _assign(model, state, path, changed(header.record))
    return model.eval()


def _assign(model: SegmentationModel, state: dict[str, Tensor], path: Path, hint: str) -> None:
    """Give the model the tensors of the file; auxiliary heads may be in one of the two only."""
    own = model.state_dict()
    trainable = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    extra = {name for name in state if name.startswith(AUXILIARY) and name not in own}
    absent = {name: own[name] for name in own if name.startswith(AUXILIARY) and name not in state}
    fitting = {name: tensor for name, tensor in state.items() if name not in extra}
    if absent:
        logger.warning("%s has no auxiliary head; starting anew: %s", path.name, listed(list(absent)))
    try:
        model.load_state_dict({**fitting, **absent}, strict=True, assign=True)
    except RuntimeError as error:
        raise CheckpointError(f"{path} does not fit its own description ({model.config.name}): {error}{hint}") from None
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(trainable[name])


def read_tensors(path: Path, header: Header) -> dict[str, Tensor]:
    """Map the tensors of a file, or of all its shards, into memory; pages are read when they are touched.

    Raises:
        CheckpointError: A file is damaged, or a shard is missing or another's.
    """
    state: dict[str, Tensor] = {}
    for part in files_of(path, header):
        try:
            with safe_open(part, framework="pt", device="cpu") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
            if header.record.get("storage") == HALF:
                tensors = {
                    name: tensor.float() if tensor.dtype == torch.float16 else tensor
                    for name, tensor in tensors.items()
                }
        except (SafetensorError, OSError, ValueError) as error:
            raise CheckpointError(f"{part} is not a valid safetensors file: {error}") from None
        twice = tensors.keys() & state.keys()
        if twice:
            raise CheckpointError(f"{part}: another shard has {listed(sorted(twice))} too")
        state |= tensors
    return state


def listed(names: list[str], most: int = 6) -> str:
    """The first few of many names, for a message."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


__all__ = ["Header", "load", "read_header", "read_tensors", "save", "write_state"]
