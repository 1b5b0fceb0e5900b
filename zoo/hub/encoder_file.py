"""Weight files of encoders alone: safetensors whose header says which encoder, and how pictures are prepared for it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from zoo import __version__
from zoo.config import InputSpec
from zoo.encoders._first_conv import adapt_first_conv
from zoo.errors import CheckpointError
from zoo.files import atomic_path
from zoo.hub.header import KEY, SCHEMA, canonical_json


def save_encoder(
    state: Mapping[str, Tensor], path: Path, *, name: str, input: InputSpec, record: Mapping[str, Any]
) -> Path:
    """Write an encoder's tensors; the same ones always give the same bytes.

    Args:
        state: Its state dict.
        path: The file.
        name: The encoder's name.
        input: How pictures are prepared.
        record: ``data``, ``metrics``, ``licence``: what else is known.

    Raises:
        CheckpointError: The file cannot be written.
    """
    described = {key: record.get(key) or {} for key in ("data", "metrics", "licence")}
    encoder = {"name": name, "input": input.to_json()}
    text = canonical_json({"schema": SCHEMA, "zoo": __version__, "encoder": encoder, **described})
    try:
        with atomic_path(path) as temporary:
            save_file({key: tensor.contiguous() for key, tensor in state.items()}, temporary, metadata={KEY: text})
    except (OSError, SafetensorError, RuntimeError) as error:
        raise CheckpointError(f"{path} cannot be written: {error}") from None
    return path


def load_encoder(
    encoder: nn.Module, path: Path, *, first: str, in_channels: int, may_lack: tuple[str, ...] = ()
) -> bool:
    """Fill an encoder from a file of `save_encoder`, and take over how pictures are prepared.

    Layers that the encoder does not have are left out: it may be built less deep.

    Args:
        encoder: The encoder.
        path: The file.
        first: Key of the first convolution's weight, which is adapted to `in_channels`.
        in_channels: Channels of its input.
        may_lack: Beginnings of keys that keep their initial values where the file does not have them.

    Returns:
        Whether it was such a file; if not, nothing was done.

    Raises:
        CheckpointError: It is, but lacks a layer of the encoder or holds it in another shape.
    """
    if path.suffix != ".safetensors":
        return False
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            described = json.loads((file.metadata() or {}).get(KEY, "{}")).get("encoder")
            if described is None:
                return False
            name, input = described["name"], InputSpec.from_json(described["input"])
            own = encoder.state_dict()
            state = {key: file.get_tensor(key) for key in file.keys() if key in own}  # noqa: SIM118  (not a dict)
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} is not a file of weights: {error}") from None
    if first in state and state[first].shape[2:] == own[first].shape[2:]:
        adapt_first_conv(state, first, in_channels)
    for key, tensor in own.items():
        if key not in state and key.startswith(may_lack) and may_lack:
            state[key] = tensor
        elif key not in state or state[key].shape != tensor.shape:
            what = f"of shape {tuple(state[key].shape)}" if key in state else "missing"
            raise CheckpointError(f"{path} (of {name}) does not fit: {key}, {tuple(tensor.shape)} here, is {what}")
    encoder.load_state_dict(state)
    encoder.input = input.with_channels(in_channels)  # type: ignore[assignment]
    return True
