"""Golden pairs: a picture and what the model answers to it, kept beside published weights to prove them later."""

import os
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from zoo.errors import CheckpointError, ZooError
from zoo.files import atomic_path
from zoo.inference.forward import answering, logits, most_likely
from zoo.model import SegmentationModel

TOLERANCE = 1e-3
"""Relative to the largest logit: other processors round differently, wrong weights differ by far more."""

_SIZE = (64, 96)
_LARGEST = 250_000
"""Bytes of logits to keep; for many classes every second, third … row and column is."""

_MOST = 1 << 22  # pixels of an input that is replayed; a file from elsewhere must not fill the memory


def golden_input(channels: int) -> Tensor:
    """A picture with edges, ramps, stripes and discs of several sizes, the same everywhere.

    Whole numbers only, so that no processor rounds it differently.

    Returns:
        (1, `channels`, 64, 96) uint8.
    """
    height, width = _SIZE
    y = torch.arange(height).view(-1, 1)
    x = torch.arange(width).view(1, -1)
    planes = []
    for channel in range(channels):
        plane = (x * 2 + y * (1 + channel % 3)) % 256  # a ramp
        plane = torch.where((x - 22) ** 2 + (y - 20) ** 2 < 196, 230 - 70 * (channel % 4), plane)
        plane = torch.where((x - 70) ** 2 + (y - 44) ** 2 < 256, 30 + 60 * (channel % 4), plane)
        stripes = ((x // 3 + channel) % 2) * 180 + 20
        plane = torch.where((y >= 46) & (x < 40), stripes.expand(height, width), plane)
        checks = ((x // 4 + y // 4 + channel) % 2) * 120 + 60
        plane = torch.where((y < 24) & (x >= 60), checks, plane)
        grain = (x * 37 + y * 101 + x * y * 7 + channel * 53) % 23 - 11
        planes.append((plane + grain).clamp(0, 255))
    return torch.stack(planes)[None].to(torch.uint8)


def make_golden(model: SegmentationModel) -> dict[str, Tensor]:
    """Ask a model about the golden picture.

    Returns:
        ``input`` (1, C, H, W) uint8; ``logits`` (1, K, h, w) float32, every `stride`-th row and column of what the
        model answers; ``labels`` (1, H, W), uint8 or int32, of every pixel; ``stride`` (1,).

    Raises:
        ZooError: The model answers with NaN or infinity.
    """
    picture = golden_input(model.config.in_channels)
    answer = _answer(model, picture)
    if not bool(answer.isfinite().all()):
        raise ZooError(f"{model.config.name} answers with NaN or infinity; weights like that are not worth keeping")
    classes = answer.shape[1]
    stride = next(step for step in range(1, max(_SIZE) + 1) if _bytes(classes, step) <= _LARGEST or step == max(_SIZE))
    return {
        "input": picture,
        "logits": answer[..., ::stride, ::stride].contiguous(),
        "labels": answer.argmax(1).to(torch.uint8 if classes <= 256 else torch.int32),
        "stride": torch.tensor([stride]),
    }


def write_golden(model: SegmentationModel, path: str | os.PathLike[str]) -> Path:
    """Write a golden pair of a model; the file appears whole or not at all.

    Raises:
        ZooError: As `make_golden`, or the file cannot be written.
    """
    path = Path(path)
    golden = make_golden(model)
    try:
        with atomic_path(path) as temporary:
            save_file(golden, temporary)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} cannot be written: {error}") from None
    return path


def replay(model: SegmentationModel, path: str | os.PathLike[str], tolerance: float = TOLERANCE) -> str | None:
    """Ask a model the same again, with its own input convention, and compare.

    Args:
        model: Left in the mode it is in.
        path: What `write_golden` wrote.
        tolerance: How far a logit may be off, relative to the largest. A label may differ only where the two classes
            are closer than that allows.

    Returns:
        What is wrong, in words, or None.
    """
    try:
        golden = _read(Path(path), model)
        deviation, misled = _compare(model, golden, tolerance)
    except ZooError as error:
        return str(error)
    if not deviation <= tolerance:
        return f"the logits differ by {deviation:.2g} of the largest one; up to {tolerance:.2g} is allowed"
    if misled:
        return f"{misled} of {golden['labels'].numel()} labels differ"
    return None


def deviation(model: SegmentationModel, path: str | os.PathLike[str]) -> float:
    """How far the logits are from the golden ones at most, relative to the largest.

    Raises:
        ZooError: The file cannot be read or is not for this model, or the model answers with NaN.
    """
    return _compare(model, _read(Path(path), model), 0.0)[0]


def rounding(model: SegmentationModel) -> float | None:
    """How far float32 is from float64 on the golden picture, relative to the largest logit.

    This is about what another processor may be off by. None where the model cannot compute in float64.

    Args:
        model: In float32.
    """
    picture = golden_input(model.config.in_channels)
    single = _answer(model, picture)
    try:
        double = _answer(model.double(), picture)
    except (RuntimeError, TypeError):  # a layer that makes float32 of its own
        return None
    finally:
        model.float()  # exactly what it was
    return _relative(single, double)


def _answer(model: SegmentationModel, picture: Tensor) -> Tensor:
    with answering(model):
        answer = logits(model, picture).cpu()
    return answer if answer.dtype == torch.float64 else answer.float()


def _compare(model: SegmentationModel, golden: dict[str, Tensor], tolerance: float) -> tuple[float, int]:
    """The largest deviation, and how many labels differ though the classes are far enough apart."""
    answer = _answer(model, golden["input"])
    stride = int(golden["stride"])
    kept = answer[..., ::stride, ::stride]
    labels = golden["labels"].long()
    if kept.shape != golden["logits"].shape or labels.shape != (1, *answer.shape[-2:]):
        given, expected = tuple(kept.shape), tuple(golden["logits"].shape)
        raise CheckpointError(f"the model answers in another shape, {given} where {expected} is expected")
    if not 0 <= int(labels.min()) <= int(labels.max()) < answer.shape[1]:
        raise CheckpointError("the golden pair has labels that the model does not know")
    distance = _relative(kept, golden["logits"])
    own = most_likely(answer)
    margin = answer.amax(1) - answer.gather(1, labels[:, None])[:, 0]
    allowed = 2 * tolerance * float(golden["logits"].abs().max())
    return distance, int(((own != labels) & (margin > allowed)).sum())


def _relative(one: Tensor, other: Tensor) -> float:
    largest = float(other.abs().max())
    return float((one - other).abs().max()) / (largest or 1.0)


def _read(path: Path, model: SegmentationModel) -> dict[str, Tensor]:
    try:
        golden = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path}: the golden pair cannot be read: {error}") from None
    try:
        picture, kept, labels, stride = (golden[key] for key in ("input", "logits", "labels", "stride"))
    except KeyError as error:
        raise CheckpointError(f"{path} is no golden pair: {error} is missing") from None
    sound = (
        picture.dtype == torch.uint8
        and picture.ndim == 4
        and picture.shape[0] == 1
        and 0 < picture.shape[2] * picture.shape[3] <= _MOST
        and kept.is_floating_point()
        and kept.ndim == 4
        and kept.numel() > 0
        and bool(kept.isfinite().all())
        and labels.dtype in (torch.uint8, torch.int32)
        and stride.numel() == 1
        and int(stride) >= 1
    )
    if not sound:
        raise CheckpointError(f"{path} is no golden pair that can be replayed: its tensors are not what they should be")
    if picture.shape[1] != model.config.in_channels:
        raise CheckpointError(
            f"the golden pair is for {picture.shape[1]} input channels, the model takes {model.config.in_channels}"
        )
    return golden


def _bytes(classes: int, stride: int) -> int:
    height, width = (-(-length // stride) for length in _SIZE)
    return 4 * classes * height * width
