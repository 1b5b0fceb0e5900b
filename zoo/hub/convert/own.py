"""Bringing files of an older Zoo up to date, and bare state dicts of our models into files that describe themselves."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from zoo.assembly import resolve
from zoo.config import ModelConfig
from zoo.errors import CheckpointError
from zoo.hub.checkpoint import save
from zoo.hub.convert.fitting import fitted
from zoo.hub.convert.foreign import read_foreign
from zoo.hub.convert.translation import built
from zoo.hub.header import KEY, SCHEMA
from zoo.plan import accepted_options
from zoo.registry import registry

Contents = tuple[dict[str, Any], dict[str, Tensor]]
"""What a file says of itself, and its tensors."""

MIGRATIONS: dict[int, Callable[[dict[str, Any], dict[str, Tensor]], Contents]] = {}
"""Schema → what makes of a file's contents those of the next schema. An entry is added whenever `SCHEMA` is raised."""

_KEPT = ("data", "metrics", "recipe", "licence")


def upgrade(path: Path, model: str, out: Path) -> Path:
    """Write a file of ours again, as this Zoo would.

    Args:
        path: A file of this or an older schema; or a state dict of a model of ours with no description, which may be
            a pickle of tensors: then the classes and an auxiliary head are seen from the tensors, all else is as the
            model has it by default.
        model: The model, architecture or pair that it must be of.
        out: The file to write.

    Raises:
        CheckpointError: It is damaged, of a newer schema, or of another model.
    """
    described = _described(path)
    state = read_foreign(path, "zoo").state
    record: dict[str, Any] = {}
    if described is None:
        config = _seen(path, model, state)
    else:
        record, state = _migrated(path, described, state)
        try:
            config = ModelConfig.from_json(record["model"])
        except (KeyError, TypeError, CheckpointError) as error:
            raise CheckpointError(f"{path}: its description is damaged: {error}") from None
        if model not in (config.name, config.architecture, f"{config.architecture}@{config.encoder}"):
            raise CheckpointError(f"{path} is of {config.name!r}, not of {model!r}")
    net = built(config, path)
    net.load_state_dict(fitted(state, net.state_dict(), f"{path} does not fit {config.name}"), assign=True)
    if described is None:
        config = config.describing(input=net.encoder.input.with_channels(config.in_channels))
    net.config = config
    return save(net, out, **{key: record.get(key) for key in _KEPT})


def _described(path: Path) -> dict[str, Any] | None:
    """What a file says of itself; None where it says nothing."""
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            text = (file.metadata() or {}).get(KEY)
    except (SafetensorError, OSError, ValueError):  # then it is a pickle, or `read_foreign` says what it is
        return None
    if text is None:
        return None
    try:
        record = json.loads(text)
        schema = record["schema"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{path}: its description is damaged: {error}") from None
    if not isinstance(schema, int) or schema > SCHEMA:
        raise CheckpointError(f"{path} has schema {schema!r}; this Zoo knows schemas up to {SCHEMA}: upgrade Zoo")
    return dict(record)


def _migrated(path: Path, record: dict[str, Any], state: dict[str, Tensor]) -> Contents:
    for schema in range(record["schema"], SCHEMA):
        if schema not in MIGRATIONS:
            known = ", ".join(str(known) for known in (*sorted(MIGRATIONS), SCHEMA))
            raise CheckpointError(f"{path} has schema {schema}, which was never published; this Zoo reads {known}")
        try:
            record, state = MIGRATIONS[schema](record, state)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(f"{path}: its description is damaged: {type(error).__name__}: {error}") from None
    return record, state


def _seen(path: Path, model: str, state: dict[str, Tensor]) -> ModelConfig:
    """The config of a model, as far as its tensors tell more than its name."""
    config = resolve(model)
    options: dict[str, Any] = {}
    architecture = registry().lookup("architecture", config.architecture)
    takes_aux = architecture is not None and "aux" in accepted_options(architecture)
    if takes_aux and any(name.startswith("auxiliary.aux.") for name in state):
        options = {"aux": True}
        config = resolve(model, options=options)
    own = built(config, path).state_dict()
    sizes = {
        state[name].shape[0]
        for name, tensor in own.items()
        if name in state
        and state[name].dim() == tensor.dim() > 0
        and tensor.shape[0] == config.num_classes != state[name].shape[0]
    }
    if len(sizes) > 1:
        counts = ", ".join(map(str, sorted(sizes)))
        raise CheckpointError(f"{path} does not fit {model}: its scores are of {counts} classes")
    return resolve(model, num_classes=sizes.pop(), options=options) if sizes else config
