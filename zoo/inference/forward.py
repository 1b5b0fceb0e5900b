"""Running a model for its answers: what prediction and evaluation share."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from zoo.errors import ZooError
from zoo.ops import normalize

if TYPE_CHECKING:
    from zoo.model import SegmentationModel


def logits(model: "SegmentationModel", pictures: Tensor, *, amp: bool = False) -> Tensor:
    """Return the logits of pictures, at their own size.

    Args:
        model: Already in evaluation mode; see `answering`.
        pictures: (N, C, H, W); uint8, or floating point in [0, 1]; moved to the model's device.
        amp: Compute in bfloat16.

    Returns:
        (N, K, H, W), floating point, on the model's device.
    """
    return ask(model, model_input(model, pictures), amp=amp)


def model_input(model: "SegmentationModel", pictures: Tensor) -> Tensor:
    """What a model takes: pictures (N, C, H, W), as for `logits`, normalised, on its device, of its type."""
    device, dtype = _home(model)
    return normalize(pictures.to(device, non_blocking=True), model.config.input).to(dtype)


def ask(model: "SegmentationModel", x: Tensor, *, amp: bool = False) -> Tensor:
    """The logits (N, K, H, W) of `model_input` (N, C, H, W)."""
    x = x.contiguous(memory_format=torch.channels_last)  # faster on a CPU, even while the weights are not
    with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=amp):
        out: Tensor = model(x)["out"]
    return out


def most_likely(logits: Tensor) -> Tensor:
    """Return the class of every pixel: (N, K, H, W) → (N, H, W) int64.

    Raises:
        ZooError: The logits hold NaN, so that every class would be as good as any other.
    """
    labels, broken = answers(logits)
    refuse_nan(broken)
    return labels


def answers(logits: Tensor) -> tuple[Tensor, Tensor]:
    """The class of every pixel, (N, H, W) int64, and whether there is NaN among the logits, () bool.

    Nothing waits for the device; hand the second to `refuse_nan` when it may.
    """
    values, labels = logits.max(1)  # several times faster than argmax on a CPU, and NaN comes through
    return labels, values.isnan().any()


def refuse_nan(broken: Tensor) -> None:
    """Raise `ZooError` where `answers` found NaN."""
    if bool(broken):
        raise ZooError(
            "the model answers with NaN: its weights are damaged, or its training diverged. "
            "Load an earlier checkpoint, or train with a lower learning rate."
        )


@contextmanager
def answering(model: nn.Module, device: str | torch.device | None = None) -> Iterator[None]:
    """Put a model into evaluation mode without gradients for the length of a block.

    Every module gets its own mode back (a frozen norm inside a training model stays frozen). The block runs under
    `no_grad` rather than `inference_mode`: what a model caches here must be usable in the next training step.

    Args:
        model: Moved to `device`, and stays there.
        device: As for `choose_device`; None leaves the model where it is.
    """
    if device is not None:
        model.to(choose_device(device))
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module in training:
            module.training = True


def choose_device(device: str | torch.device) -> torch.device:
    """Turn ``"cpu"``, ``"cuda:1"`` … or ``"auto"`` (the accelerator where there is one) into a device that works.

    Raises:
        ZooError: No such device, or it is not available here.
    """
    if device == "auto":
        found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        return found or torch.device("cpu")
    try:
        chosen = torch.device(device)
        if chosen.type == "meta":
            raise RuntimeError("it computes nothing")
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # what the backends raise differs
        reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        raise ZooError(
            f"device {str(device)!r} cannot be used: {reason}. Give 'cpu', 'cuda', 'cuda:1', 'mps' … or 'auto'."
        ) from None
    return chosen


def _home(model: nn.Module) -> tuple[torch.device, torch.dtype]:
    """Where a model lives and what it computes in."""
    for parameter in model.parameters():
        if parameter.is_floating_point():
            return parameter.device, parameter.dtype
    return torch.device("cpu"), torch.float32
