"""Exporting a model, and proving that the file answers as the model does."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from zoo.errors import IncompatibleError, OptionError, ZooError
from zoo.export.picture import PictureModel, description
from zoo.export.tracing import open_onnx, refuse_without, trace, write_onnx, write_program
from zoo.files import atomic_path
from zoo.inference.forward import answering
from zoo.model import SegmentationModel
from zoo.pipeline.pipeline import Pipeline
from zoo.registry import registry

FORMATS = {"onnx": ".onnx", "pt2": ".pt2"}
"""Format → the suffix of its files."""

TOLERANCE = 1e-4
"""Largest difference of a logit, relative to the largest logit."""

AGREEMENT = 0.999
"""Least share of pixels with the same label; between two equal scores either is right."""

Runner = Callable[[Tensor], list[Tensor]]


class Parity(NamedTuple):
    """How a file compares with the model on a random picture.

    Attributes:
        size: (N, C, H, W) of the input.
        deviation: Largest difference of a logit, relative to the largest logit.
        agreement: Share of pixels with the same label.
    """

    size: tuple[int, ...]
    deviation: float
    agreement: float


def export(
    model: SegmentationModel | Pipeline,
    path: str | os.PathLike[str],
    *,
    format: str = "onnx",
    size: tuple[int, int] = (256, 320),
    second: tuple[int, int] | None = None,
    static: bool = False,
    opset: int = 20,
) -> list[Parity]:
    """Write a model to a file that runs without Zoo; it appears only if it answers as the model does.

    Batch, height and width stay free, so the file is tried at the size it was made at and at a second one.

    Args:
        model: Any model on the CPU, in whatever mode; or a `zoo.pipeline.Pipeline` that is one model asked once.
        path: The file.
        format: ``"onnx"`` (for onnxruntime and others) or ``"pt2"`` (``torch.export.load``).
        size: (H, W) to trace at.
        second: (H, W) to compare at as well; None: about two thirds of `size`, odd.
        static: Fix the size to (1, C) and `size`, for nets or runtimes that need it.
        opset: Version of ONNX's operators.

    Returns:
        The comparisons.

    Raises:
        OptionError: An unknown format, or a size that is none.
        IncompatibleError: The manifest says that the net cannot be exported, or torch or ONNX cannot express it; or it
            is a pipeline that is more than a model, or a model that was made faster.
        ZooError: The file answers differently from the model; nothing is written. Or a package is missing, or the file
            cannot be written.
    """
    path = Path(path)
    model = _as_built(model)
    if format not in FORMATS:
        raise OptionError(f"format {format!r} is none of {', '.join(FORMATS)}")
    if min(size) < 1 or (second is not None and min(second) < 1):
        raise OptionError(f"sizes are height and width of at least 1, got {size} and {second}")
    _allowed(model, static)
    if format == "onnx":
        refuse_without("onnx", "onnxscript", "onnxruntime", what="exporting to ONNX")
    other = second or (max(size[0] * 2 // 3, 1) | 1, max(size[1] * 3 // 4, 1) | 1)
    with answering(model):
        wrapped = PictureModel(model, _answers(model)).eval()
        example = torch.zeros((1 if static else 2, model.config.in_channels, *size), dtype=torch.uint8)
        program = trace(wrapped, example, model.config.name, static=static)
        shapes = [example.shape] if static else [example.shape, (1, example.shape[1], *other)]
        try:
            with atomic_path(path) as temporary:
                if format == "onnx":
                    run = _write_onnx(program, wrapped, temporary, opset)
                else:
                    run = _write_pt2(program, wrapped, temporary)
                return [_compare(wrapped, run, tuple(shape), path) for shape in shapes]
        except OSError as error:
            raise ZooError(f"cannot write {path}: {error.strerror or error}") from None


def _as_built(model: SegmentationModel | Pipeline) -> SegmentationModel:
    """The model, or the only one of a pipeline, as an architecture built it."""
    found = model.only_model() if isinstance(model, Pipeline) else model
    if isinstance(found, SegmentationModel):
        return found
    name = model.config.name
    if isinstance(model, Pipeline):
        raise IncompatibleError(
            f"pipeline {name} cannot be exported, a file holds one model that is asked once; this is: "
            f"{model.description.describe()}. Export its models one by one"
        )
    raise IncompatibleError(f"{name} was made faster and cannot be exported: export the model that it was made of")


def _allowed(model: SegmentationModel, static: bool) -> None:
    specs = [registry().lookup("architecture", model.config.architecture)]
    specs.append(registry().lookup("model", model.config.name))
    if model.config.encoder is not None:
        specs.append(registry().lookup("encoder", model.config.encoder))
    for spec in specs:
        if spec is not None and "export" in spec.meta.get("cannot", []) and not static:
            raise IncompatibleError(
                f"{spec.kind} {spec.name!r} cannot be exported for pictures of any size, says its manifest; "
                "try one fixed size (--static)"
            )


def _answers(model: SegmentationModel) -> tuple[str, ...]:
    return ("out", *model.further)


def _write_onnx(program: torch.export.ExportedProgram, wrapped: PictureModel, path: Path, opset: int) -> Runner:
    """Write a program as ONNX; returns what runs the file."""
    write_onnx(
        program,
        path,
        name=wrapped.model.config.name,
        inputs=["image"],
        outputs=wrapped.output_names,
        opset=opset,
        metadata={"zoo": description(wrapped.model)},
    )
    session = open_onnx(path)

    def run(image: Tensor) -> list[Tensor]:
        return [torch.from_numpy(value) for value in session.run(None, {"image": image.numpy()})]

    return run


def _write_pt2(program: torch.export.ExportedProgram, wrapped: PictureModel, path: Path) -> Runner:
    """Write a program of torch.export; returns what runs the file."""
    write_program(program, path, name=wrapped.model.config.name, metadata={"zoo.json": description(wrapped.model)})
    module = torch.export.load(str(path)).module()
    return lambda image: list(module(image))


def _compare(wrapped: PictureModel, run: Runner, shape: tuple[int, ...], path: Path) -> Parity:
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    expected = list(wrapped(image))
    try:
        found = run(image)
    except Exception as error:  # whatever the runtime raises
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        raise ZooError(f"{path} is not written: it does not run at {shape}: {reason[-300:]}") from error
    deviation = _deviation(found[1:], expected[1:])
    agreement = float((found[0] == expected[0]).float().mean()) if found[0].shape == expected[0].shape else 0.0
    if not deviation <= TOLERANCE or agreement < AGREEMENT:
        raise ZooError(
            f"{path} is not written: at {shape} it answers differently from the model: logits off by {deviation:.1e} "
            f"of the largest (at most {TOLERANCE:.0e}), {agreement:.2%} of the labels equal (at least {AGREEMENT:.1%})"
        )
    return Parity(shape, deviation, agreement)


def _deviation(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    worst = 0.0
    for mine, exact in zip(found, expected, strict=True):
        if mine.shape != exact.shape:
            return float("inf")
        worst = max(worst, float((mine - exact).abs().max() / exact.abs().max().clamp_min(1e-12)))
    return worst
