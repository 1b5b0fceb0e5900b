"""What a record claims: its name, its licences, where the model comes from, what it was trained on and measured on."""

import platform
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from zoo import __version__
from zoo.config import ModelConfig
from zoo.errors import CheckpointError
from zoo.evaluation.protocol import MATRIX
from zoo.hub.header import Header
from zoo.hub.needed import distributions
from zoo.hub.record import RecordError, split
from zoo.registry import registry


def claims(header: Header, licence: Mapping[str, str] | None, summary: str | None) -> dict[str, Any]:
    """The part of a record that is known before the weights are read.

    Raises:
        CheckpointError: The model comes from a plugin that others cannot install.
    """
    trained = trained_on(header)
    return {
        "summary": summary or f"{header.config.name}, trained on {trained.get('name', 'unknown data')}",
        "model": header.config.to_json(),
        "data": trained,
        "licence": licences(licence, header),
        "needs": needs(header.config),
        "recipe": _table(header, "recipe"),
        "metrics": measured(header),
        "environment": {"zoo": __version__, "torch": torch.__version__, "python": platform.python_version()},
    }


def record_name(name: str | None, header: Header, stem: str) -> str:
    """The name to publish under: by default the model's with the data's, or with `stem` where no data are known.

    Weights of ``model@encoder`` may be called after the model alone: they are then its weights, encoder and all.

    Raises:
        RecordError: It is no name, or another model's.
    """
    model = header.config.name
    if name is None:
        tag = re.sub(r"[^A-Za-z0-9_+]+", "_", str(trained_on(header).get("name") or stem)).strip("_")
        if not tag:
            raise RecordError(f"the file does not say what {model} was trained on; give --name {model}.TAG")
        name = f"{model}.{tag}"
    elif not name.startswith(f"{model}.") and re.fullmatch(r"\w[\w+\-]*", name):
        name = f"{model}.{name}"
    if not header.config.is_of(split(name)[0]):
        raise RecordError(f"{name!r} is the name of another model: these are weights of {model!r}; write {model}.TAG")
    return name


def licences(given: Mapping[str, str] | None, header: Header) -> dict[str, str]:
    """The licences of weights and data, as far as they are given, in the file, or known of the data set."""
    stored = header.record.get("licence")
    known = dict(stored) if isinstance(stored, dict) else {}
    spec = None if known.get("data") else registry().lookup("dataset", str(trained_on(header).get("name") or "-"))
    if spec is not None and isinstance(spec.meta.get("licence"), str):
        known["data"] = spec.meta["licence"]
    known |= {key: text for key, text in (given or {}).items() if text and text.strip()}
    said = {key: str(text).strip() for key, text in sorted(known.items()) if key in ("weights", "data")}
    return {key: text for key, text in said.items() if text}


def unlicensed(licence: Mapping[str, str]) -> str | None:
    """What to say of licences that are missing: nobody else may use the weights; None where none is."""
    lacking = [key for key in ("weights", "data") if key not in licence]
    if not lacking:
        return None
    options = " and ".join(f"--licence-{key} LICENCE" for key in lacking)
    return (
        f"the licence of the {' and of the '.join(lacking)} is unknown, and the card says so: nobody knows what "
        f"they may do; publish again with {options} (as 'MIT', 'CC BY-NC 4.0') and --force"
    )


def needs(config: ModelConfig) -> list[str]:
    """What others install besides Zoo to load the model.

    Raises:
        CheckpointError: A part of it comes from no plugin that can be installed.
    """
    known = registry()
    plugins = {plugin.name for plugin in known.plugins if plugin.status == "ok"}
    parts = {"architecture": known.lookup("architecture", config.architecture)}
    if parts["architecture"] is None:
        parts["architecture"] = known.lookup("model", config.architecture)
    if config.encoder is not None:
        bare = config.encoder.partition(".")[0]  # a timm name may have the tag of its weights
        parts["encoder"] = known.lookup("encoder", config.encoder) or known.lookup("encoder", bare)
    for kind, spec in parts.items():
        if spec is None:
            name = config.encoder if kind == "encoder" else config.architecture
            raise CheckpointError(f"{config.name}: there is no {kind} {name!r} here; install the plugin that brings it")
        if spec.plugin not in plugins or spec.object is not None:
            raise CheckpointError(
                f"{config.name}: the {kind} {spec.name!r} was registered in this process only, so nobody else could "
                "load these weights; make a plugin of it that can be installed, and train or save with that"
            )
    return [*distributions(config)]


def trained_on(header: Header) -> dict[str, Any]:
    """``{"name": …, "split": …}``, or empty."""
    return _table(header, "data")


def measured(header: Header) -> dict[str, Any]:
    """The file's numbers; the set that they are of is called ``data``, and Zoo's own way of measuring is named."""
    metrics = _table(header, "metrics")
    if not metrics:
        return {}
    if "name" in metrics:
        metrics.setdefault("data", metrics.pop("name"))
    metrics.setdefault("protocol", MATRIX)
    return metrics


def _table(header: Header, key: str) -> dict[str, Any]:
    given = header.record.get(key)
    cleaned = _without_paths(given) if isinstance(given, dict) else {}
    return dict(cleaned)


def _without_paths(value: Any) -> Any:
    """The same, with the last part alone of every absolute path: where files lie here is nobody's business."""
    if isinstance(value, Mapping):
        return {key: _without_paths(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_paths(item) for item in value]
    if isinstance(value, str) and (value.startswith("~") or Path(value).is_absolute()):
        return Path(value).name
    return value
