"""`zoo.optimize`: a model that answers the same, faster."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from zoo.errors import OptionError
from zoo.inference.forward import answering
from zoo.inference.marks import fingerprint
from zoo.inference.output_stride import Described
from zoo.interfaces import Head
from zoo.model import SegmentationModel
from zoo.speed.enlarged import EnlargingConv, enlarge_within, postponing, settled
from zoo.speed.folding import fold_norms
from zoo.speed.framed import frame_trunks
from zoo.speed.fused import fuse, note_relus
from zoo.speed.memory import give_back, kept_memory
from zoo.speed.packing import pack
from zoo.speed.precision import choose_dtype, to_bfloat16
from zoo.speed.product import multiply_wide
from zoo.speed.sharing import parameter, sharing_copy
from zoo.speed.shifted import shift_dilated
from zoo.speed.upsample import separate_upsampling
from zoo.speed.winograd import multiply_less

if TYPE_CHECKING:
    from zoo.inference.picture import Picture
    from zoo.inference.prediction import Prediction

BACKENDS = ("eager", "compiled", "onnx")

Run = Callable[[Tensor], dict[str, Tensor]]


class OptimizedModel(nn.Module):
    """What `zoo.optimize` returns: it answers, and does not learn.

    ``model(x)`` maps (N, C, H, W) to ``{"out": (N, K, H, W)}`` in float32, as the model that it was made of; `config`
    and `predict` are that model's.

    Args:
        model: The model that it was made of: what describes it is taken over.
        dtype: What is computed in.
        net: What holds its weights, if a module does.
        run: How it is called, if not as `net`.
    """

    def __init__(
        self, model: SegmentationModel, dtype: torch.dtype, net: SegmentationModel | None, run: Run | None = None
    ) -> None:
        super().__init__()
        self.config = model.config
        self.dtype = dtype
        self.encoder = Described(model.encoder.features)
        self.net = net
        self._run = run
        enlarges = net is not None and any(isinstance(module, EnlargingConv) for module in net.modules())
        self._around: Callable[[], AbstractContextManager[Any]] = postponing if enlarges else nullcontext
        if net is None:  # what tells it from one with other weights
            self.register_buffer("made_of", torch.tensor([*fingerprint(model).encode()], dtype=torch.uint8))
        self.eval()

    @property
    def head(self) -> Head | None:
        """The head, where it can be called apart from the rest."""
        return None if self.net is None or self._run is not None else self.net.head

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Map (N, C, H, W), floating point and normalised, to ``{"out": logits (N, K, H, W)}``, float32."""
        run: Any = self._run or self.net
        with torch.no_grad(), kept_memory(), self._around():
            return {key: settled(answer).float() for key, answer in run(self._taken(x)).items()}

    def coarse_scores(self, x: Tensor) -> Tensor:
        """As `SegmentationModel.coarse_scores`, where there is a `head`."""
        assert self.net is not None
        with torch.no_grad(), kept_memory(), self._around():
            return settled(self.net.coarse_scores(self._taken(x)))

    def _taken(self, x: Tensor) -> Tensor:
        return x.to(self.dtype).contiguous(memory_format=torch.channels_last)

    def train(self, mode: bool = True) -> "OptimizedModel":
        """Stay in evaluation mode.

        Raises:
            OptionError: Training mode was asked for.
        """
        if mode:
            raise OptionError("an optimized model only answers: train the model that it was made of")
        super().train(False)
        return self

    def predict(
        self, image: "Picture | list[Picture] | tuple[Picture, ...]", **options: Any
    ) -> "Prediction | list[Prediction]":
        """Segment one picture, or several one by one; options as of `SegmentationModel.predict`."""
        return SegmentationModel.predict(self, image, **options)  # type: ignore[call-overload, no-any-return]


def optimize(
    model: SegmentationModel, *, backend: str = "eager", dtype: str = "float32", inplace: bool = False
) -> OptimizedModel:
    """Make a model faster at equal answers.

    Args:
        model: Where it is to compute; its mode does not matter.
        backend: ``"eager"``: exact passes over its layers; ``"compiled"``: these, then torch's compiler, which needs a
            C++ compiler; ``"onnx"``: onnxruntime.
        dtype: ``"float32"``: equal up to rounding. ``"bfloat16"``: about three digits, several times faster where the
            hardware has it; ``"auto"``: that where it is so.
        inplace: Change `model` itself, which is of no use afterwards, instead of a copy. Saves memory.

    Returns:
        What answers as `model` does. It only answers, and stays on its device.

    Raises:
        OptionError: An unknown backend or dtype, or two that do not go together.
        ZooError: What a backend needs is not installed.
    """
    if backend not in BACKENDS:
        raise OptionError(f"backend={backend!r}: expected one of {', '.join(BACKENDS)}")
    if isinstance(model, OptimizedModel):
        raise OptionError("this model is optimized already")
    device = next((value.device for value in model.parameters()), torch.device("cpu"))
    chosen = choose_dtype(dtype if backend != "onnx" or dtype != "auto" else "float32", device)
    if backend == "onnx":
        from zoo.speed.onnx import through_onnxruntime

        if chosen != torch.float32:
            raise OptionError("backend='onnx' computes in float32; bfloat16 goes with 'eager' and 'compiled'")
        return OptimizedModel(model, chosen, None, through_onnxruntime(model))
    with answering(model):
        ready = model if inplace else sharing_copy(model)
        ready.eval()
        run_passes(ready, chosen, compiled=backend == "compiled")
    give_back()
    if backend == "compiled":
        from zoo.speed.compiled import compiled

        return OptimizedModel(model, chosen, ready, compiled(ready))
    return OptimizedModel(model, chosen, ready)


def run_passes(model: SegmentationModel, dtype: torch.dtype, compiled: bool = False) -> None:
    """Change a model in place: see the modules of this package, one for each pass.

    Args:
        model: Changed.
        dtype: What is to be computed in.
        compiled: Whether it is for torch's compiler, which follows no `postponing` and fuses by itself.
    """
    model.requires_grad_(False)
    model.drop_auxiliary()
    device = next((value.device for value in model.parameters()), torch.device("cpu"))
    example = torch.zeros(1, model.config.in_channels, 64, 64, device=device)
    fold_norms(model, example)
    if not compiled:
        note_relus(model, example)
        enlarge_within(model, example)
    separate_upsampling(model)
    frame_trunks(model)
    multiply_wide(model)
    if dtype == torch.bfloat16:
        to_bfloat16(model)
        shift_dilated(model)
        pack(model)
    else:
        multiply_less(model)
        if not compiled:
            fuse(model)
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.weight = parameter(module.weight.contiguous(memory_format=torch.channels_last))
