"""Measuring a model on a split, each process a part of it."""

from contextlib import nullcontext
from dataclasses import dataclass
from itertools import pairwise

import torch

from zoo.data.dataset import SegmentationDataset
from zoo.evaluation.evaluate import Progress, evaluate
from zoo.evaluation.metrics import Metrics
from zoo.evaluation.pictures import PictureScores
from zoo.inference.forward import answering, logits
from zoo.model import SegmentationModel
from zoo.training.observers import ValidationLoss
from zoo.training.parallel.team import Team


class Left(Exception):  # noqa: N818  (not an error: it carries a stop request out of an evaluation)
    """The evaluation was left."""


@dataclass(frozen=True)
class Found:
    """What was measured.

    Attributes:
        metrics: Those of the whole split, the same as one process finds.
        scores: Of its pictures, in order.
        loss: On the whole split.
    """

    metrics: Metrics
    scores: tuple[float | None, ...]
    loss: float | None


def measure(
    model: SegmentationModel,
    dataset: SegmentationDataset,
    loss: ValidationLoss,
    team: Team,
    *,
    batch_size: int,
    amp: bool,
    progress: Progress,
    in_step: bool,
) -> Found | None:
    """Evaluate a model together.

    Each process takes neighbouring batches; the counts are integers and add up exactly.

    Args:
        model: The same on all processes.
        dataset: Also.
        loss: Measures the loss.
        team: Who takes part.
        batch_size: At most so many pictures at once.
        amp: Compute in bfloat16.
        progress: May raise `Left`.
        in_step: The processes compute every picture together, so that all need as many forward passes.

    Returns:
        What was found; None where `progress` raised `Left` on this process.

    Raises:
        As `evaluate`.
    """
    scores = PictureScores(dataset.num_classes)
    size = 1 if in_step else batch_size
    part, passes = _part(len(dataset), size, team)
    metrics = None
    # When in step, the others are in the middle of a pass and could not be met.
    with nullcontext() if in_step else team.together():
        try:
            metrics = evaluate(
                model, dataset, batch_size=size, amp=amp, progress=progress, observers=[scores, loss], pictures=part
            )
        except Left:
            if in_step:
                raise
    if in_step:  # before anything else: the others may still be in their passes
        _keep_step(model, passes - len(part), amp=amp)
    elif not all(team.gather(metrics is not None)):
        return None
    assert metrics is not None
    if team.size > 1:
        metrics = Metrics.from_confusion(metrics.confusion.merged(team.sum), list(metrics.iou))
    return Found(metrics, tuple(score for part in team.gather(scores.scores()) for score in part), loss.value(team.sum))


def _part(pictures: int, size: int, team: Team) -> tuple[range, int]:
    """The pictures of this process, whole batches of them, and how many the one with the most has."""
    batches = -(-pictures // size)
    bounds = [min(batches * rank // team.size * size, pictures) for rank in range(team.size + 1)]
    most = max(end - start for start, end in pairwise(bounds))
    return range(bounds[team.rank], bounds[team.rank + 1]), most


def _keep_step(model: SegmentationModel, passes: int, *, amp: bool) -> None:
    """Take part in passes of the others, with nothing of one's own."""
    picture = torch.zeros(1, model.config.in_channels, 32, 32)
    with answering(model):
        for _ in range(passes):
            logits(model, picture, amp=amp)
