"""The course of a training as small drawings."""

from collections.abc import Sequence
from typing import NamedTuple

from zoo.html.curves import Curve, chart


class Point(NamedTuple):
    """What is known of a step; None where nothing was measured."""

    step: int
    loss: float | None = None
    miou: float | None = None


def plot(history: Sequence[Point]) -> str:
    """Loss and mIoU over the steps, for a page; empty where there is nothing to draw."""
    losses = [(point.step, point.loss) for point in history if point.loss is not None]
    scores = [(point.step, point.miou) for point in history if point.miou is not None]
    last = max((step for step, _ in (*losses, *scores)), default=0)
    if last <= 0 or len(losses) + len(scores) < 3:
        return ""
    drawn = (
        chart([Curve("training", losses)], title="Loss"),
        chart([Curve("validation", scores, dots=True, number=1)], title="Mean IoU", percent=True),
    )
    return f'<div class="plots">\n{"".join(drawn)}</div>\n'
