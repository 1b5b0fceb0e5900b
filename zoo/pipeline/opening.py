"""Pipelines by file or by name."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import OptionError, PluginError, UnknownNameError, ZooError, did_you_mean
from zoo.manifest import Spec
from zoo.pipeline.config import Member, PipelineConfig
from zoo.pipeline.files import SUFFIXES, check, is_path, located, read_config
from zoo.registry import registry

if TYPE_CHECKING:
    from zoo.model import SegmentationModel
    from zoo.pipeline.pipeline import Pipeline


def is_pipeline(given: str) -> bool:
    """Whether a text is a pipeline's file (it ends in ``.toml`` or ``.json``) or name. Nothing is imported."""
    return given.lower().endswith(SUFFIXES) or registry().lookup("pipeline", given) is not None


def describe(given: str | os.PathLike[str]) -> PipelineConfig:
    """The description of a pipeline by its file or name; paths in it are absolute. Imports no torch.

    Raises:
        UnknownNameError: There is none of that name.
        ZooError: Its file is missing or wrong, or its plugin is.
    """
    text = os.fspath(given)
    if text.lower().endswith(SUFFIXES):
        path = Path(text)
        return located(read_config(path), path.absolute().parent)
    return described(registry().get("pipeline", text))


def described(spec: Spec) -> PipelineConfig:
    """The description behind a component: its target is one, or a table of the same form, or a function of none.

    Raises:
        PluginError: Its target is something else.
    """
    found: Any = spec.load()
    found = found() if callable(found) else found
    try:
        found = found if isinstance(found, PipelineConfig) else PipelineConfig.from_json(found)
    except ZooError as error:
        raise PluginError(f"pipeline {spec.name!r} of plugin {spec.plugin!r}: {error}") from None
    found = replace(found, name=spec.name, summary=found.summary or spec.summary)
    return found if spec.folder is None else located(found, spec.folder)


def open_pipeline(
    given: str | os.PathLike[str],
    *,
    weights: Mapping[str, str] | None = None,
    boxes: str | os.PathLike[str] | None = None,
) -> "Pipeline":
    """Put a pipeline together, its weights loaded.

    Args:
        given: Its file, or its name.
        weights: Other weights for some of its models: name of the model → weight file, or published weights.
        boxes: A file of boxes that takes the place of other proposals; see `zoo.pipeline.boxes.read_boxes`.

    Raises:
        UnknownNameError: There is no such pipeline, or no such model in it.
        OptionError: None of its models is asked about boxes.
        ZooError: Weights cannot be had, or the models do not go together.
    """
    from zoo.pipeline.pipeline import Pipeline

    config = _with_weights(describe(given), weights or {})
    config = config if boxes is None else _with_boxes(config, Path(boxes))
    opened = [_opened(config, member) for member in config.models]
    return Pipeline(config, [model for model, _ in opened], files=[file for _, file in opened])


def _with_weights(config: PipelineConfig, weights: Mapping[str, str]) -> PipelineConfig:
    names = [member.name for member in config.models]
    for name in weights:
        if name not in names:
            near = did_you_mean(name, names)
            raise UnknownNameError(f"pipeline {config.name} has no model {name!r}.{near} It has {', '.join(names)}.")
    changed = tuple(
        replace(member, weights=_absolute(weights[member.name]), sha256=None) if member.name in weights else member
        for member in config.models
    )
    return replace(config, models=changed)


def _with_boxes(config: PipelineConfig, boxes: Path) -> PipelineConfig:
    if not any(member.proposals for member in config.models):
        raise OptionError(f"pipeline {config.name} asks no model about boxes; leave out those of {boxes}")
    changed = tuple(
        replace(member, proposals=replace(member.proposals, source="file", file=str(boxes.absolute())))
        if member.proposals
        else member
        for member in config.models
    )
    return replace(config, models=changed)


def _absolute(weights: str) -> str:
    path = Path(weights).expanduser()
    return str(path.absolute()) if is_path(weights) or path.is_file() else weights


def _opened(config: PipelineConfig, member: Member) -> "tuple[SegmentationModel, Path]":
    from zoo.hub.checkpoint import load
    from zoo.hub.locate import find_file

    if member.weights is None:
        raise ZooError(
            f"pipeline {config.name} names no weights for its model {member.name!r}: "
            f"give some, --weights {member.name}=FILE, or write them into its file"
        )
    try:
        file = find_file(member.weights)
        if member.sha256 is not None:
            check(file, member.sha256)
        return load(file), file
    except ZooError as error:
        advice = f"A file of your own can take its place: --weights {member.name}=FILE"
        said = f"pipeline {config.name}, model {member.name!r}: {str(error).rstrip('.')}. {advice}"
        raise type(error)(said) from None
