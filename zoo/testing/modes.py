"""Other ways to compute the same answers: reduced precision, memory format, compiled, exported."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from zoo.testing.subject import Subject, answer, awaken, require

_EXPORTED_SIZES = ((75, 101), (130, 70))
"""Not too small: torch.export takes a map of one cell for a special case."""


def bf16(subject: Subject) -> None:
    """Under bfloat16 autocast on the CPU, the answers are finite and nearly those of float32."""
    model = subject.build().eval()
    awaken(model)
    x = subject.input(model)
    with torch.no_grad():
        exact = answer(model, x)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rough = answer(model, x)
    require(_distance(rough, exact) < 0.2, f"bfloat16 moves the answers by {_distance(rough, exact):.0%}")


def channels_last(subject: Subject) -> None:
    """In channels-last memory format, model and input, the answers are the same up to rounding."""
    model = subject.build().eval()
    awaken(model)
    x = subject.input(model)
    with torch.no_grad():
        exact = answer(model, x)
        model = model.to(memory_format=torch.channels_last)
        other = answer(model, x.to(memory_format=torch.channels_last))
    require(_distance(other, exact) < 1e-3, f"channels last moves the answers by {_distance(other, exact):.1e}")


def compile(subject: Subject) -> None:
    """``torch.compile(fullgraph=True)`` takes it whole, while training and while not, with the same answers.

    The backend runs the traced graph as it is: what is checked is that there is one graph.
    """
    model = subject.build()
    awaken(model)
    x = subject.input(model)
    with _fresh_compiler():
        compiled = torch.compile(model, backend="eager", fullgraph=True)
        result = compiled(x)
        require("out" in result and result.keys() == model(x).keys(), "compiled, it answers with other keys")
        model.eval()
        with torch.no_grad():
            require(_distance(compiled(x)["out"], model(x)["out"]) < 1e-4, "compiled, it answers differently")


def export(subject: Subject) -> None:
    """``torch.export`` (strict) takes it with dynamic height and width; its program answers alike at other sizes."""
    model = subject.build().eval()
    awaken(model)
    sizes = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    with _fresh_compiler(), torch.no_grad():
        program = torch.export.export(model, (subject.input(model),), dynamic_shapes={"x": sizes}, strict=True)
        exported = program.module()
        for size in (subject.size, *_EXPORTED_SIZES):
            x = subject.input(model, size)
            distance = _distance(exported(x)["out"], answer(model, x))
            require(distance < 1e-4, f"exported, it answers differently at {size}: by {distance:.1e}")


def _distance(found: Tensor, exact: Tensor) -> float:
    """Norm of the difference, relative to the norm of what is expected."""
    exact = exact.double()
    return float((found.double() - exact).norm() / exact.norm().clamp_min(1e-12))


@contextmanager
def _fresh_compiler() -> Iterator[None]:
    """All models share the code of `SegmentationModel.forward`; dynamo gives up on code that it saw too often.

    What torch thinks aloud about inequalities that it cannot solve is left out: the exception says it.
    """
    solver = logging.getLogger("torch.fx.experimental.symbolic_shapes")
    level = solver.level
    solver.setLevel(logging.CRITICAL)
    torch._dynamo.reset()
    try:
        yield
    finally:
        torch._dynamo.reset()
        solver.setLevel(level)
