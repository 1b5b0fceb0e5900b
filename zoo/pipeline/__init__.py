"""Models put together: several of them, asked in more than the plain way, and what is done to their answers.

`config` (with `options`) describes a pipeline, `files` reads and writes the description; both know no torch. `asking`
asks one model, `boxes` and `proposals` about parts of a picture (DeconvNet's way), `combine` makes one answer of
several, `pipeline` is the module that answers as a model does, `opening` finds pipelines by name.
"""

from typing import TYPE_CHECKING, Any

from zoo.pipeline.config import Member, PipelineConfig
from zoo.pipeline.options import Crf, Proposals

if TYPE_CHECKING:
    from zoo.pipeline.pipeline import Pipeline

__all__ = ["Crf", "Member", "Pipeline", "PipelineConfig", "Proposals"]


def __getattr__(name: str) -> Any:
    if name == "Pipeline":  # only when wanted: it imports torch
        from zoo.pipeline.pipeline import Pipeline

        return Pipeline
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
