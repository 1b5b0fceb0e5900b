"""A model through torch's compiler."""

import os
import shutil
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from zoo.errors import ZooError

_COMPILERS = ("g++", "clang++", "c++", "cl")


def compiled(model: nn.Module) -> Callable[[Tensor], dict[str, Tensor]]:
    """Compile a model, weights frozen into the program.

    Every new size of picture compiles once more, the second for all sizes where that is possible; that takes up to
    minutes.

    Args:
        model: In evaluation mode, without gradients.

    Raises:
        ZooError: There is no C++ compiler on a CPU, or, when it is called, the compiler fails.
    """
    device = next((value.device for value in model.parameters()), torch.device("cpu"))
    if device.type == "cpu" and not _compiler():
        raise ZooError(
            f"backend='compiled' needs a C++ compiler: none of {', '.join(_COMPILERS)} is on the PATH and the variable "
            "CXX names none. Install one, or use 'eager' or 'onnx'."
        )
    program: Any = torch.compile(model, options={"freezing": True})

    def run(x: Tensor) -> dict[str, Tensor]:
        try:
            answers: dict[str, Tensor] = program(x)
        except torch._dynamo.exc.TorchDynamoException as error:
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise ZooError(f"this model cannot be compiled: {reason}. Use the backend 'eager' or 'onnx'.") from error
        return answers

    return run


def _compiler() -> str | None:
    named = os.environ.get("CXX")
    return next((found for name in ([named] if named else _COMPILERS) if (found := shutil.which(name))), None)
