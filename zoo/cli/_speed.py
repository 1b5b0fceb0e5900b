"""The options of all commands that run a model for its answers: how it is run. Nothing here imports torch."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import click

if TYPE_CHECKING:
    from zoo.model import SegmentationModel

BACKENDS = ("eager", "compiled", "onnx")
DTYPES = ("float32", "bfloat16", "auto")


def speed_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--backend`` and ``--dtype``."""
    command = click.option(
        "--dtype",
        type=click.Choice(DTYPES),
        help="What to compute in: bfloat16 is several times faster where the processor has it (auto: there only).",
    )(command)
    return click.option(
        "--backend",
        type=click.Choice(BACKENDS),
        help="Make the model faster at equal answers: eager at once, compiled needs a C++ compiler, onnx onnxruntime.",
    )(command)


def faster(model: "SegmentationModel", backend: str | None, dtype: str | None) -> "SegmentationModel":
    """The model, optimized if either option was given."""
    if backend is None and dtype is None:
        return model
    from zoo.pipeline.pipeline import Pipeline
    from zoo.speed import optimize

    asked: object = model
    if isinstance(asked, Pipeline):
        return cast("SegmentationModel", asked.faster(backend or "eager", dtype or "float32"))
    found = optimize(model, backend=backend or "eager", dtype=dtype or "float32", inplace=True)
    return cast("SegmentationModel", found)  # it answers as one
