"""The model that a command is given: a weight file, published weights (of a hub by address, too), or a pipeline."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

if TYPE_CHECKING:
    from zoo.model import SegmentationModel

F = TypeVar("F", bound=Callable[..., Any])


def pipeline_options(command: F) -> F:
    """Give a command ``--weights`` and ``--boxes``, for `open_model`."""
    command = click.option(
        "--boxes",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="Of a pipeline with proposals: take the boxes of this file, .csv or .json.",
    )(command)
    return click.option(
        "--weights",
        metavar="MODEL=FILE",
        multiple=True,
        help="Of a pipeline: other weights for one of its models; may be repeated.",
    )(command)


def open_model(given: str, weights: Sequence[str] = (), boxes: Path | None = None) -> "SegmentationModel":
    """Load ``run/best.safetensors``, ``model.tag``, ``https://host/hub/model.tag``, or a pipeline, to be asked.

    Args:
        given: What the user named.
        weights: Of a pipeline: ``model=FILE`` for those of its models that take other weights.
        boxes: Of a pipeline: a file with the boxes of its proposals.

    Raises:
        ZooError: There is nothing of that name, or it cannot be fetched or read.
    """
    import zoo
    from zoo.errors import OptionError, UnknownNameError, did_you_mean
    from zoo.pipeline.opening import is_pipeline

    if is_pipeline(given):
        return _open_pipeline(given, weights, boxes)
    if weights or boxes is not None:
        option = "--weights" if weights else "--boxes"
        raise OptionError(f"{given} is no pipeline: {option} is for pipelines, `zoo list --kind pipeline` shows those")
    if "://" not in given:
        return _load(given)
    from zoo.hub.hubs import Hub
    from zoo.hub.pull import pull

    address, _, name = given.rstrip("/").rpartition("/")
    records = {record.name: record for record in Hub(address).records()}
    if name not in records:
        known = ", ".join(list(records)[:8]) or "nothing"
        raise UnknownNameError(f"{address} has no {name!r}.{did_you_mean(name, records)} It has {known}.")
    return zoo.load(pull(records[name]))


def _load(given: str) -> "SegmentationModel":
    import zoo
    from zoo.errors import CheckpointError, UnknownNameError, did_you_mean
    from zoo.registry import find

    try:
        return zoo.load(given)
    except CheckpointError as error:
        near = did_you_mean(given, [spec.name for spec in find("pipeline")])
        if not near or Path(given).exists():
            raise
        raise UnknownNameError(f"there is neither a weight file nor a pipeline {given!r}.{near}") from error


def _open_pipeline(given: str, weights: Sequence[str], boxes: Path | None) -> "SegmentationModel":
    from zoo.errors import OptionError
    from zoo.pipeline.opening import open_pipeline

    for pair in weights:
        name, _, file = pair.partition("=")
        if not name or not file:
            raise OptionError(f"--weights {pair}: expected MODEL=FILE, as in --weights fcn8s=run/best.safetensors")
    pairs = dict(pair.split("=", 1) for pair in weights)
    return cast("SegmentationModel", open_pipeline(given, weights=pairs, boxes=boxes))  # it answers as one
