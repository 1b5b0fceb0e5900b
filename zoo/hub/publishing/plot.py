"""The course of a training as a small drawing."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

_WIDTH, _HEIGHT = 640, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 44, 14, 26
_MOST = 400


class Point(NamedTuple):
    """What is known of a step; None where nothing was measured."""

    step: int
    loss: float | None = None
    miou: float | None = None


def plot(history: Sequence[Point]) -> str:
    """Loss and mIoU over the steps, as SVG for a page; empty where there is nothing to draw."""
    losses = _thinned([(point.step, point.loss) for point in history if point.loss is not None])
    scores = _thinned([(point.step, point.miou) for point in history if point.miou is not None])
    last = max((step for step, _ in (*losses, *scores)), default=0)
    if last <= 0 or len(losses) + len(scores) < 3:
        return ""
    top = max((loss for _, loss in losses), default=1.0) or 1.0
    drawn = [
        f'<svg class="plot" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="Loss and mean IoU over the steps">',
        f'<path d="M{_LEFT} {_TOP}V{_HEIGHT - _BOTTOM}H{_WIDTH - _RIGHT}V{_TOP}" '
        'style="fill: none; stroke: var(--line)"/>',
        _line(losses, last, top, "var(--soft)"),
        _line(scores, last, 1.0, "var(--accent)"),
        *(_dot(step, score, last) for step, score in scores),
        _text(_LEFT - 6, _TOP + 8, f"{top:.2g}", "end", "var(--soft)"),
        _text(_LEFT + 6, _TOP + 8, "loss" if losses else "", "start", "var(--soft)"),
        _text(_WIDTH - _RIGHT + 6, _TOP + 8, "100", "start", "var(--accent)"),
        _text(_WIDTH - _RIGHT - 6, _TOP + 8, "mean IoU, %" if scores else "", "end", "var(--accent)"),
        _text(_LEFT, _HEIGHT - 8, "0", "middle", "var(--soft)"),
        _text(_WIDTH - _RIGHT, _HEIGHT - 8, f"{last:,} steps", "end", "var(--soft)"),
        "</svg>\n",
    ]
    return "".join(drawn)


def _thinned(points: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """At most so many points, each the mean of its neighbours."""
    each = -(-len(points) // _MOST)
    if each <= 1:
        return points
    groups = [points[start : start + each] for start in range(0, len(points), each)]
    return [(group[-1][0], sum(value for _, value in group) / len(group)) for group in groups]


def _line(points: Iterable[tuple[int, float]], last: int, top: float, color: str) -> str:
    placed = " ".join(f"{x:.1f},{y:.1f}" for x, y in (_place(*point, last, top) for point in points))
    return f'<polyline points="{placed}" style="fill: none; stroke: {color}; stroke-width: 1.6"/>' if placed else ""


def _dot(step: int, score: float, last: int) -> str:
    x, y = _place(step, score, last, 1.0)
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.4" style="fill: var(--accent)"/>'


def _place(step: int, value: float, last: int, top: float) -> tuple[float, float]:
    share = min(max(value / top, 0.0), 1.0)
    return _LEFT + step / last * (_WIDTH - _LEFT - _RIGHT), _TOP + (1 - share) * (_HEIGHT - _TOP - _BOTTOM)


def _text(x: float, y: float, text: str, anchor: str, color: str) -> str:
    return (
        f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-size="12" style="fill: {color}">{text}</text>'
        if text
        else ""
    )
