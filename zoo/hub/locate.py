"""From what a user writes to a weight file: a path, or the name of published weights."""

import os
from pathlib import Path

from zoo.errors import CheckpointError
from zoo.hub.hubs import NoRecordError, all_records, find_record
from zoo.hub.pull import pull
from zoo.hub.record import Record, split


def find_file(weights: str | os.PathLike[str]) -> Path:
    """The file behind a path or ``"model.tag"``; published weights are fetched if they are not here.

    Raises:
        CheckpointError: There is no such file, and there are no such published weights; says which there are.
        RecordError: The record cannot be used.
        DownloadError: The published weights cannot be fetched.
    """
    path = Path(weights)
    if not isinstance(weights, str) or _is_path(weights):
        return path
    try:
        record = find_record(weights)
    except NoRecordError as error:
        if path.suffix in ("", ".safetensors") and len(path.parts) > 1:
            raise CheckpointError(f"there is no weight file {weights!r}") from None
        raise CheckpointError(f"there is no weight file {weights!r}, and no published weights: {error}") from None
    return pull(record)


def find_weights(model: str, weights: str | os.PathLike[str]) -> Path:
    """The file behind ``weights=`` for the model of that name: a path, a tag, ``"default"``, or ``"model.tag"``.

    Raises:
        CheckpointError: There is no such file.
        RecordError: There is no such record; says which there are.
        DownloadError: It cannot be fetched.
    """
    if not isinstance(weights, str) or _is_path(weights):
        if not Path(weights).is_file():
            raise CheckpointError(f"there is no weight file {str(weights)!r}")
        return Path(weights)
    return pull(record_for(model, weights))


def record_for(model: str, weights: str) -> Record:
    """The record that ``weights=`` means for a model.

    Raises:
        RecordError: There is none.
    """
    if "." in weights:
        split(weights)
        return find_record(weights)
    return find_record(canonical(model), weights)


def published_encoder(encoder: str, tag: str) -> Path:
    """The file with published weights of an encoder, for its option ``encoder_weights``.

    Raises:
        RecordError: There are none with that tag; says which there are.
        DownloadError: They cannot be fetched.
    """
    return pull(find_record(encoder, tag))


def encoder_weights(encoder: str, asked: str) -> str:
    """What the option ``encoder_weights`` of an encoder means: a tag of published weights becomes their file.

    Anything else is left for the encoder to understand: a path, ``"imagenet"``, a tag of another library's.
    """
    name = encoder.partition(".")[0]
    for record in all_records() if asked and not _is_path(asked) else ():
        if record.of_encoder and record.table["encoder"] == name and asked in (record.tag, record.name):
            return str(pull(record))
    return asked


def canonical(model: str) -> str:
    """The name under which the weights of a model are published: canonical where the bare name is unambiguous."""
    from zoo.registry import registry

    base, at, encoder = model.partition("@")
    spec = registry().lookup("model", base) or registry().lookup("architecture", base)
    return f"{spec.name}{at}{encoder}" if spec is not None else model


def _is_path(weights: str) -> bool:
    """Whether a text means a file: it is one, or it is written like one."""
    path = Path(weights)
    return path.is_file() or path.is_absolute() or path.suffix == ".safetensors" or weights.startswith((".", "~"))
