"""Asking one model of a pipeline, as its description says."""

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.inference.forward import ask, logits, model_input
from zoo.inference.probabilities import probabilities
from zoo.inference.tiled import own_part, tile_weights
from zoo.inference.tiles import Tiling, plan_tiles
from zoo.pipeline.boxes import Listed, boxes_of, listed_for
from zoo.pipeline.combine import LEAST
from zoo.pipeline.config import Member
from zoo.pipeline.options import Proposals
from zoo.pipeline.proposals import proposal_scores

if TYPE_CHECKING:
    from zoo.inference.test_time import TestTime
    from zoo.model import SegmentationModel


def scores(model: "SegmentationModel", member: Member, pictures: Tensor, listed: Listed | None, amp: bool) -> Tensor:
    """Raw scores where the model is asked once, else logarithms of probabilities: the softmax is the answer.

    Args:
        model: In evaluation mode, at the output stride that it is asked at.
        member: How it is asked.
        pictures: (N, C, H, W), uint8 or floating point in 0…1.
        listed: The boxes of the file that `member` names.
        amp: Compute in bfloat16.

    Returns:
        (N, K, H, W) float32.
    """
    size = (pictures.shape[-2], pictures.shape[-1])
    if member.proposals is not None:
        return _of_boxes(model, member.proposals, pictures, listed, amp)
    if member.frame is not None:
        return _framed(model, pictures, member.frame, amp)
    tiling = plan_tiles(model, size, member.tile, member.overlap, member.test_time)
    if tiling is not None:
        return _tiled(model, pictures, tiling, member.test_time, amp).clamp_min_(LEAST).log_()
    if member.test_time.plain:
        return logits(model, pictures, amp=amp).float()
    return probabilities(model, pictures, member.test_time, amp=amp).clamp_min_(LEAST).log_()


def _of_boxes(model: "SegmentationModel", how: Proposals, pictures: Tensor, listed: Listed | None, amp: bool) -> Tensor:
    size = (pictures.shape[-2], pictures.shape[-1])
    found = []
    for number, picture in enumerate(pictures):
        own = None if listed is None else listed_for(listed, number, size, str(how.file))
        found.append(proposal_scores(model, picture, boxes_of(picture, how, own), how, amp=amp))
    return torch.stack(found)


def _framed(model: "SegmentationModel", pictures: Tensor, frame: tuple[int, int], amp: bool) -> Tensor:
    """The model's mean colour, 0 once normalised, below and to the right; the answer is cut back."""
    height, width = pictures.shape[-2:]
    x = model_input(model, pictures)
    x = F.pad(x, (0, max(frame[1] - width, 0), 0, max(frame[0] - height, 0)))
    return ask(model, x, amp=amp).float()[..., :height, :width]


def _tiled(model: "SegmentationModel", pictures: Tensor, tiling: Tiling, test_time: "TestTime", amp: bool) -> Tensor:
    """Probabilities (N, K, H, W), those of the tiles times weights that add up to 1."""
    height, width = pictures.shape[-2:]
    rows, columns = tiling.spans(height), tiling.spans(width)
    total = pictures.new_zeros((len(pictures), model.config.num_classes, height, width), dtype=torch.float32)
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            tile = pictures[..., row.start : row.stop, column.start : column.stop]
            found = own_part(probabilities(model, tile, test_time, amp=amp), row, column)
            share = tile_weights(rows, i, columns, j).to(found.device)
            total[..., row.first : row.last, column.first : column.last] += found * share
    return total
