"""Label maps without the logits: the scores are brought to the pixels a few rows at a time."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from zoo.heads import PixelHead, ResizingHead
from zoo.inference.forward import answers, ask, model_input

if TYPE_CHECKING:
    from zoo.model import SegmentationModel

_HELD = 2**24
"""So many logits, 64 MiB in float32, are simply held; of more, only so many at a time."""

_LANES = 64  # bytes of the widest vector registers: classes beside each other in memory are computed that many together


def class_map(
    model: "SegmentationModel", pictures: Tensor, *, amp: bool = False, held: int = _HELD
) -> tuple[Tensor, Tensor]:
    """The most likely class of every pixel.

    Where the head interpolates its scores the labels are those of the whole logits, bit for bit. Where it convolves
    them (the FCN nets), several threads may add up in another order than for the whole.

    Args:
        model: Already in evaluation mode, without gradients; see `zoo.inference.forward.answering`.
        pictures: (N, C, H, W), as for `zoo.inference.forward.logits`.
        amp: Compute in bfloat16.
        held: About how many logits may be in memory at once, if the model's head allows.

    Returns:
        Labels (N, H, W) int64 on the model's device; and whether there was NaN among the logits, () bool, for
        `zoo.inference.forward.refuse_nan`.
    """
    size = (pictures.shape[-2], pictures.shape[-1])
    few = len(pictures) * model.config.num_classes * size[0] * size[1] <= held
    x = model_input(model, pictures)
    head = None if few else _second_step(model)
    if head is None:
        return answers(ask(model, x, amp=amp))
    x = x.contiguous(memory_format=torch.channels_last)
    with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=amp):
        scores = model.coarse_scores(x)
        del x
        step = head.row_step(scores, size)
        if step is not None:
            return _by_rows(head, scores, size, step, held)
        if isinstance(head, ResizingHead):
            return _by_classes(head, scores, size, held)
        return answers(head.to_pixels(scores, size))


def _second_step(model: "SegmentationModel") -> PixelHead | None:
    """What brings a model's coarse scores to the pixels; None where two steps would leave out some of its own call."""
    head = getattr(model, "head", None)
    if not isinstance(head, PixelHead) or type(head).forward is not PixelHead.forward:
        return None
    if _defines(model, "forward") is not _defines(model, "coarse_scores"):
        return None
    return None if any(part._forward_hooks or part._forward_pre_hooks for part in (model, head)) else head


def _defines(model: nn.Module, method: str) -> type | None:
    """The class that a model has a method of."""
    return next((kind for kind in type(model).__mro__ if method in vars(kind)), None)


def _by_rows(head: PixelHead, scores: Tensor, size: tuple[int, int], step: int, held: int) -> tuple[Tensor, Tensor]:
    height, width = size
    per_row = scores.shape[0] * scores.shape[1] * width
    rows = max(held // per_row // step, 1) * step
    labels = torch.empty((len(scores), *size), dtype=torch.int64, device=scores.device)
    broken = torch.zeros((), dtype=torch.bool, device=scores.device)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        labels[:, top:bottom], found = answers(head.some_rows(scores, size, top, bottom))
        broken |= found
    return labels, broken


def _by_classes(head: ResizingHead, scores: Tensor, size: tuple[int, int], held: int) -> tuple[Tensor, Tensor]:
    """A few classes at a time, each stretch against the best so far."""
    alike = torch.channels_last if scores.is_contiguous(memory_format=torch.channels_last) else torch.contiguous_format
    lanes = _LANES // scores.element_size()
    most = max(held // (len(scores) * size[0] * size[1]) // lanes, 1) * lanes
    best = labels = None
    starts = [start for start in range(0, scores.shape[1], most) if start == 0 or scores.shape[1] - start >= 4]
    for start, end in zip(starts, [*starts[1:], scores.shape[1]], strict=True):
        part = scores[:, start:end].contiguous(memory_format=alike)
        values, found = head.to_pixels(part, size).max(1)
        if best is None or labels is None:
            best, labels = values, found
            continue
        better = (values > best) | values.isnan()
        labels = torch.where(better, found.add_(start), labels)
        best = torch.maximum(best, values)
    assert best is not None
    assert labels is not None
    return labels, best.isnan().any()
