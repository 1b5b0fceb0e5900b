"""Asking a model about boxes of a picture, as DeconvNet is asked (Noh, Hong, Han 2015)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.data.objects import Box
from zoo.inference.forward import logits
from zoo.pipeline.options import Proposals

if TYPE_CHECKING:
    from zoo.model import SegmentationModel

BATCH = 8
"""So many boxes are asked about at once."""


def proposal_scores(
    model: "SegmentationModel",
    picture: Tensor,
    boxes: Sequence[Box],
    how: Proposals,
    *,
    amp: bool = False,
    batch: int = BATCH,
) -> Tensor:
    """The scores of a picture, put together from those of its boxes.

    Resizing is bilinear and averages where it shrinks, as the released program's does.

    Args:
        model: In evaluation mode, without gradients; see `zoo.inference.forward.answering`.
        picture: (C, H, W), uint8 or floating point in 0…1, on the model's device.
        boxes: What to ask about, enlarged already; each meets the picture. See `zoo.pipeline.boxes.boxes_of`.
        how: Side of the square, aggregation, and the released program's ways.
        amp: Compute in bfloat16; what is put together stays in float32.
        batch: So many boxes at once.

    Returns:
        (K, H, W) float32. Where no box lies all scores are 0.
    """
    height, width = picture.shape[-2:]
    off = int(how.shifted)  # the canvas begins so many pixels above and to the left of the picture
    bright = picture.float() / 255 if picture.dtype == torch.uint8 else picture
    start = 0.0 if how.clipped or how.aggregate == "mean" else -torch.inf
    canvas = bright.new_full((model.config.num_classes, height + off, width + off), start, dtype=torch.float32)
    count = bright.new_zeros((height + off, width + off), dtype=torch.float32)
    for first in range(0, len(boxes), batch):
        some = boxes[first : first + batch]
        crops = torch.cat([warped(bright, box, how.side) for box in some])
        for box, found in zip(some, logits(model, crops, amp=amp).float(), strict=True):
            _paste(canvas, count, found, box, how)
    if how.aggregate == "mean":
        canvas /= count.clamp_min(1)
    else:
        canvas = torch.where(count > 0, canvas, 0)
    return canvas[:, :height, :width]


def warped(picture: Tensor, box: Box, side: int) -> Tensor:
    """A box of a picture (C, H, W), floating point, as a square (1, C, side, side); black beyond the picture."""
    height, width = picture.shape[-2:]
    top, left, bottom, right = max(box.top, 0), max(box.left, 0), min(box.bottom, height), min(box.right, width)
    inside = picture[None, :, top:bottom, left:right]
    cut = F.pad(inside, (left - box.left, box.right - right, top - box.top, box.bottom - bottom))
    return _resized(cut, (side, side))


def _paste(canvas: Tensor, count: Tensor, scores: Tensor, box: Box, how: Proposals) -> None:
    """Add a box's scores (K, side, side) to a canvas (K, h, w), and 1 to the count (h, w) of boxes there."""
    off = int(how.shifted)
    resized = _resized(scores[None], (box.bottom - box.top, box.right - box.left))[0]
    top, left = box.top + off, box.left + off
    rows = slice(max(top, 0), min(box.bottom + off, canvas.shape[-2]))
    columns = slice(max(left, 0), min(box.right + off, canvas.shape[-1]))
    part = resized[:, rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    part = part.clamp_min(0) if how.clipped else part
    there = canvas[:, rows, columns]
    canvas[:, rows, columns] = there + part if how.aggregate == "mean" else torch.maximum(there, part)
    count[rows, columns] += 1


def _resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    if (x.shape[-2], x.shape[-1]) == size:
        return x
    return F.interpolate(x, size, mode="bilinear", antialias=True)
