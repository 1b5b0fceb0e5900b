"""From a module to a program of torch.export, and from that to ONNX."""

import importlib.util
import math
import operator
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


def write_program(program: torch.export.ExportedProgram, path: Path, *, name: str, metadata: Mapping[str, str]) -> None:
    """Write a program as `torch.export.load` reads it.

    Args:
        program: As `trace` returns it; changed in form.
        path: The file.
        name: What messages call the model.
        metadata: Further files in it: name → text.

    Raises:
        IncompatibleError: torch cannot write it.
    """
    _round_up_in_whole_numbers(program.graph_module)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.export.save(program, str(path), extra_files=dict(metadata))
    except OSError:
        raise
    except Exception as error:  # one for every kind of number or operator that it has no form for
        reason = (str(error) or type(error).__name__).strip().splitlines()[0]
        raise IncompatibleError(f"{name} cannot be written as a program of torch.export: {reason}") from error


def _round_up_in_whole_numbers(module: torch.fx.GraphModule) -> None:
    """⌈a / b⌉ as -⌊-a / b⌋: torch writes no ``math.ceil`` of sizes, which timm's padding as in TensorFlow asks for."""
    graph = module.graph
    for node in list(graph.nodes):
        if node.target is not math.ceil or getattr(node.args[0], "target", None) is not operator.truediv:
            continue
        quotient = node.args[0]
        above, under = quotient.args
        size, divisor = (part.meta["val"] if isinstance(part, torch.fx.Node) else part for part in (above, under))
        with graph.inserting_before(node):
            steps = (
                (operator.neg, (), -size),
                (operator.floordiv, (under,), -size // divisor),
                (operator.neg, (), -(-size // divisor)),
            )
            below: Any = above
            for target, further, value in steps:
                below = graph.call_function(target, (below, *further))
                below.meta["val"] = value
        node.replace_all_uses_with(below)
        graph.erase_node(node)
        if not quotient.users:
            graph.erase_node(quotient)
    module.recompile()


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
