"""From what a user writes to a weight file: a path, or the tag of a weight record."""

import os
from pathlib import Path

from zoo.errors import CheckpointError
from zoo.registry import registry

DEFAULT = "default"
"""The tag that ``pretrained=True`` asks for."""


def find_weights(model: str, weights: str | os.PathLike[str]) -> Path:
    """The file behind ``weights=`` for the model of that name.

    Raises:
        CheckpointError: There is no such file and no such record; says which records there are.
    """
    path = Path(weights)
    if path.is_file():
        return path
    if path.suffix or len(path.parts) > 1:
        raise CheckpointError(f"there is no weight file {str(weights)!r}")
    tags = [spec.name for spec in registry().find("weights") if spec.name.partition(".")[0] == model]
    known = f"it has {', '.join(tags)}" if tags else "there are no published weights of it in any plugin"
    asked = "default weights" if weights == DEFAULT else f"weights tagged {str(weights)!r}"
    raise CheckpointError(f"no {asked} of {model!r}: {known}; give the path of a .safetensors file, or none")
