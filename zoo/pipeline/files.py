"""The file of a pipeline: TOML or JSON, which refers to weight files and never contains them."""

import hashlib
import json
import os
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from zoo.errors import CheckpointError, ZooError
from zoo.files import atomic_path
from zoo.pipeline.config import Member, PipelineConfig
from zoo.training.toml import dump

SUFFIXES = (".toml", ".json")


def read_config(path: str | os.PathLike[str]) -> PipelineConfig:
    """Read a pipeline's file, ``.toml`` or ``.json``; paths in it stay as they are, relative to its folder.

    Raises:
        ZooError: It is missing, cannot be parsed, or says what makes no sense.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        record = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except FileNotFoundError:
        raise ZooError(f"there is no pipeline file {path}") from None
    except (OSError, ValueError, RecursionError) as error:  # decoding and parsing errors are ValueErrors
        raise ZooError(f"{path}: cannot be read as a pipeline: {getattr(error, 'strerror', None) or error}") from None
    try:
        return PipelineConfig.from_json(record)
    except ZooError as error:
        raise type(error)(f"{path}: {error}") from None


def checked(path: str | os.PathLike[str]) -> Path:
    """A path as one that a pipeline can be written to; raises `ZooError` where it ends in neither suffix."""
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ZooError(f"a pipeline is saved as .toml or .json; {str(path)!r} ends in neither")
    return path


def write_config(config: PipelineConfig, path: str | os.PathLike[str]) -> Path:
    """Write a pipeline's file, whole or not at all.

    Raises:
        ZooError: It ends in neither ``.toml`` nor ``.json``, or cannot be written.
    """
    path = checked(path)
    record = config.to_json()
    text = dump(record) if path.suffix.lower() == ".toml" else json.dumps(record, indent=2, ensure_ascii=False) + "\n"
    try:
        with atomic_path(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ZooError(f"cannot write {path}: {error.strerror or error}") from None
    return path


def is_path(weights: str) -> bool:
    """Whether a text is a weight file's path rather than the name of published weights."""
    return weights.endswith(".safetensors") or weights.startswith((".", "~")) or Path(weights).is_absolute()


def located(config: PipelineConfig, folder: Path) -> PipelineConfig:
    """The same with the paths in it made absolute, that lay relative to a folder."""
    return replace(
        config,
        models=tuple(
            _with_paths(member, lambda path: str(folder / Path(path).expanduser())) for member in config.models
        ),
    )


def relative(config: PipelineConfig, folder: Path) -> PipelineConfig:
    """The same with the absolute paths in it made relative to a folder, with slashes on every system."""

    def shortened(path: str) -> str:
        try:
            return Path(os.path.relpath(path, folder)).as_posix()
        except ValueError:  # on another drive
            return path

    return replace(config, models=tuple(_with_paths(member, shortened) for member in config.models))


def _with_paths(member: Member, change: Callable[[str], str]) -> Member:
    if member.weights is not None and is_path(member.weights):
        changed = change(member.weights)  # without a suffix it would be read as the name of published weights
        member = replace(member, weights=changed if is_path(changed) else f"./{changed}")
    if member.proposals is not None and member.proposals.file is not None:
        member = replace(member, proposals=replace(member.proposals, file=change(member.proposals.file)))
    return member


def digest(path: Path) -> str:
    """The sha256 of a file.

    Raises:
        CheckpointError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from None


def check(path: Path, sha256: str) -> None:
    """Raise `CheckpointError` where a weight file is not the one that was meant."""
    found = digest(path)
    if found != sha256:
        raise CheckpointError(
            f"{path} is not the file that the pipeline was made with: its sha256 is {found}, expected {sha256}. "
            "Put the right file there, or remove sha256 from the pipeline's file"
        )
