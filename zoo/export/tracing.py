"""From a module to a program of torch.export, and from that to ONNX."""

import importlib.util
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zoo.errors import IncompatibleError, ZooError
from zoo.ops import AdaptiveAvgPool2d

_LARGEST_PROTOBUF = 1_900_000_000


def refuse_without(*packages: str, what: str) -> None:
    """Raise `ZooError`, saying that `what` needs them, where packages are not installed."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise ZooError(f'{what} needs {", ".join(missing)}: not installed; pip install "zoo-segmentation[onnx]"')


def trace(module: nn.Module, example: Tensor, name: str, *, static: bool = False) -> torch.export.ExportedProgram:
    """Trace a module of one picture tensor (N, C, H, W), of which N, H and W stay free.

    Args:
        module: In evaluation mode.
        example: What to trace with.
        name: What messages call the model.
        static: Fix N, H and W to those of `example`.

    Raises:
        IncompatibleError: torch cannot trace it.
    """
    free = torch.export.Dim.DYNAMIC
    shapes = None if static else ({0: free, 2: free, 3: free},)
    try:
        with _fresh_compiler(), _pooled_by_products(module), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.export.export(module, (example,), dynamic_shapes=shapes, strict=True)
    except Exception as error:  # torch raises a dozen kinds for what it cannot trace
        reason = (str(error) or type(error).__name__).strip().splitlines()[0]
        advice = "" if static else "; try one fixed size (--static)"
        raise IncompatibleError(f"{name} cannot be exported: {reason}{advice}") from error


def write_onnx(
    program: torch.export.ExportedProgram,
    path: Path,
    *,
    name: str,
    inputs: Sequence[str],
    outputs: Sequence[str],
    opset: int = 20,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a program as one ONNX file.

    Args:
        program: As `trace` returns it.
        path: The file.
        name: What messages call the model.
        inputs: Names of what goes in.
        outputs: Names of what comes out.
        opset: Version of ONNX's operators.
        metadata: What the file says of itself.

    Raises:
        IncompatibleError: ONNX cannot express it, or one file cannot hold it.
    """
    total = sum(tensor.nbytes for tensor in program.state_dict.values())
    if total > _LARGEST_PROTOBUF:
        raise IncompatibleError(f"the weights take {total:,} bytes; one ONNX file holds less than 2 GB")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = torch.onnx.export(
                program,
                dynamo=True,
                input_names=inputs,
                output_names=outputs,
                opset_version=opset,
                external_data=False,
                verbose=False,
            )
    except Exception as error:  # one for every kind of operator that has no counterpart
        lines = [line for line in str(error).splitlines() if line.strip()]
        reason = lines[-1] if lines else type(error).__name__
        raise IncompatibleError(f"{name} cannot be written as ONNX: {reason}") from error
    assert made is not None
    made.model.metadata_props.update(metadata or {})
    made.save(str(path), external_data=False)


def open_onnx(path: Path, threads: int = 0) -> Any:
    """An onnxruntime session of a file, on the CPU; 0 threads: as many as it likes."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    settings.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])


@contextmanager
def _pooled_by_products(module: nn.Module) -> Iterator[None]:
    """Means over grids, as other libraries' pyramids take them, in the form that can be written for all sizes."""
    pools = [
        pool
        for pool in module.modules()
        if type(pool) is nn.AdaptiveAvgPool2d and pool.output_size not in (1, (1, 1), [1, 1])
    ]
    try:
        for pool in pools:
            pool.__class__ = AdaptiveAvgPool2d
        yield
    finally:
        for pool in pools:
            pool.__class__ = nn.AdaptiveAvgPool2d


@contextmanager
def _fresh_compiler() -> Iterator[None]:
    """All models share the code of `SegmentationModel.forward`; dynamo gives up on code that it saw too often."""
    dynamo: Any = torch._dynamo
    dynamo.reset()
    try:
        yield
    finally:
        dynamo.reset()
