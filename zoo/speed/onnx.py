"""A model through onnxruntime."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from zoo.errors import ZooError
from zoo.export.tracing import open_onnx, refuse_without, trace, write_onnx
from zoo.inference.forward import answering
from zoo.model import SegmentationModel


class _Logits(nn.Module):
    """A model whose answers are a tuple: what an exporter can name."""

    def __init__(self, model: SegmentationModel) -> None:
        super().__init__()
        self.model = model
        self.keys = ("out", *model.further)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        answers = self.model(x)
        return tuple(answers[key] for key in self.keys)


def through_onnxruntime(model: SegmentationModel) -> Callable[[Tensor], dict[str, Tensor]]:
    """Export a model and run the file, which nobody sees, in onnxruntime, on the CPU, with torch's number of threads.

    Args:
        model: On the CPU.

    Raises:
        ZooError: onnxruntime or what writes its files is not installed, or the model lies on another device.
        IncompatibleError: The model cannot be written as ONNX.
    """
    refuse_without("onnx", "onnxscript", "onnxruntime", what="backend='onnx'")
    device = next((value.device for value in model.parameters()), torch.device("cpu"))
    if device.type != "cpu":
        raise ZooError(
            f"backend='onnx' runs on the CPU; the model is on {device}. Move it, or use 'eager' or 'compiled'."
        )
    wrapped = _Logits(model)
    with answering(wrapped), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        example = torch.zeros(2, model.config.in_channels, 96, 128)
        program = trace(wrapped, example, model.config.name)
        write_onnx(program, path, name=model.config.name, inputs=["x"], outputs=[*wrapped.keys])
        session = open_onnx(path, torch.get_num_threads())
    keys = wrapped.keys

    def run(x: Tensor) -> dict[str, Tensor]:
        found = session.run(None, {"x": x.contiguous().numpy()})
        return {key: torch.from_numpy(value) for key, value in zip(keys, found, strict=True)}

    return run
