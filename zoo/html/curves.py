"""Curves as SVG, for a page of `zoo.html.page`, whose colours they take."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, isfinite, log10

_WIDTH, _HEIGHT = 560, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 12, 30
_MOST = 400
_COLORS = 8
_DOTS = 60
_TICKS = 5

Point = tuple[float, float]


@dataclass(frozen=True)
class Curve:
    """One of the curves of a chart.

    Attributes:
        name: For the legend.
        points: (x, y) in the order of x; what is not finite is left out.
        dots: Whether each point is shown, with its numbers on hovering.
        number: Which colour and dash; by default its place in the chart.
    """

    name: str
    points: Sequence[Point]
    dots: bool = False
    number: int | None = None


def chart(
    curves: Sequence[Curve], *, title: str, x: str = "steps", percent: bool = False, marks: Iterable[Point] = ()
) -> str:
    """A figure with a legend; empty where no curve has a point.

    Args:
        curves: Those without points are left out.
        title: What y is.
        x: What x is.
        percent: y is in 0…1 and shown in per cent.
        marks: Points to put a ring around.
    """
    shown = [(curve, _finite(curve.points)) for curve in _numbered(curves)]
    shown = [(curve, points) for curve, points in shown if points]
    if not shown:
        return ""
    everything = [point for _, points in shown for point in points]
    across = _Axis(0, max(max(place for place, _ in everything), 1), _LEFT, _WIDTH - _RIGHT)
    low, high = _range([value for _, value in everything], percent)
    up = _Axis(low, high, _HEIGHT - _BOTTOM, _TOP)
    drawn = [
        f'<svg class="plot" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">',
        *_grid(up, percent),
        *_feet(across, x),
        *(_line(curve, _thinned(points), across, up) for curve, points in shown),
        *(dot for curve, points in shown if curve.dots for dot in _dots(curve, points, across, up, percent)),
        *(
            f'<circle cx="{across(place):.1f}" cy="{up(value):.1f}" r="6" '
            'style="fill: none; stroke: var(--text); stroke-width: 1.4"/>'
            for place, value in marks
        ),
        "</svg>",
    ]
    legend = "".join(
        f'<span style="--c: {_color(curve)}; --dash: {"dashed" if _dashed(curve) else "solid"}">'
        f"{escape(curve.name)}</span>"
        for curve, _ in shown
    )
    return f"<figure><figcaption><b>{escape(title)}</b>{legend}</figcaption>\n" + "\n".join(drawn) + "</figure>\n"


@dataclass(frozen=True)
class _Axis:
    """From numbers to places in the drawing."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / ((self.high - self.low) or 1)
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)

    def ticks(self) -> list[float]:
        step = nice((self.high - self.low) / _TICKS)
        first, last = ceil(self.low / step - 1e-9), floor(self.high / step + 1e-9)
        return [number * step for number in range(first, last + 1)]


def nice(step: float) -> float:
    """The next larger number that people count in: 1, 2 or 5 times a power of ten."""
    if step <= 0:
        return 1.0
    unit: float = 10.0 ** floor(log10(step))
    return next(factor * unit for factor in (1, 2, 5, 10) if factor * unit >= step * (1 - 1e-9))


def _numbered(curves: Sequence[Curve]) -> list[Curve]:
    return [
        curve if curve.number is not None else Curve(curve.name, curve.points, curve.dots, place)
        for place, curve in enumerate(curves)
    ]


def _finite(points: Iterable[Point]) -> list[Point]:
    return [point for point in points if all(map(isfinite, point))]


def _range(values: list[float], percent: bool) -> tuple[float, float]:
    """From zero, and not to the top of a single high value at the beginning of a long curve."""
    ordered = sorted(values)
    low, high = min(ordered[0], 0.0), ordered[-1]
    usual = ordered[floor(0.98 * (len(ordered) - 1))]
    if not percent and len(values) > 50 and high > 3 * usual > 0:
        high = 1.5 * usual
    if percent:
        step = nice(max(high, 0.05) / _TICKS)
        high = min(ceil(max(high, 0.05) / step - 1e-9) * step, max(1.0, high))
    return low, high if high > low else low + 1.0


def _thinned(points: list[Point]) -> list[Point]:
    """At most so many points, each the mean of its neighbours."""
    each = -(-len(points) // _MOST)
    if each <= 1:
        return points
    groups = [points[start : start + each] for start in range(0, len(points), each)]
    return [(group[-1][0], sum(value for _, value in group) / len(group)) for group in groups]


def _grid(up: _Axis, percent: bool) -> Iterable[str]:
    ticks = up.ticks()
    digits = _digits(ticks, percent)
    for tick in ticks:
        y = up(tick)
        yield f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" style="stroke: var(--line)"/>'
        words = f"{tick * 100:.{digits}f} %" if percent else f"{tick:.{digits}f}" if digits < 5 else f"{tick:.1e}"
        yield _text(_LEFT - 6, y + 4, words, "end")


def _digits(ticks: list[float], percent: bool) -> int:
    step = (ticks[1] - ticks[0]) * (100 if percent else 1) if len(ticks) > 1 else 1
    return max(0, -floor(log10(step) + 1e-9)) if step > 0 else 0


def _feet(across: _Axis, x: str) -> Iterable[str]:
    ticks = across.ticks()
    for place, tick in enumerate(ticks):
        last = place == len(ticks) - 1
        at = across(tick)
        anchor = "end" if at > _WIDTH - _RIGHT - 30 else "middle"
        words = f"{tick:,.{_digits(ticks, False)}f}"
        yield f'<path d="M{at:.1f} {_HEIGHT - _BOTTOM}v4" style="stroke: var(--soft)"/>'
        yield _text(at, _HEIGHT - _BOTTOM + 17, f"{words} {x}" if last else words, anchor)


def _line(curve: Curve, points: list[Point], across: _Axis, up: _Axis) -> str:
    placed = " ".join(f"{across(place):.1f},{up(value):.1f}" for place, value in points)
    dash = "; stroke-dasharray: 6 3" if _dashed(curve) else ""
    return (
        f'<polyline points="{placed}" style="fill: none; stroke: {_color(curve)}; stroke-width: 1.7; '
        f'stroke-linejoin: round{dash}"/>'
    )


def _dots(curve: Curve, points: list[Point], across: _Axis, up: _Axis, percent: bool) -> Iterable[str]:
    if len(points) > _DOTS:
        return
    for place, value in points:
        words = f"{value:.2%}" if percent else f"{value:.4g}"
        yield (
            f'<circle cx="{across(place):.1f}" cy="{up(value):.1f}" r="3" style="fill: {_color(curve)}">'
            f"<title>{escape(curve.name)}: {words} at {place:,g}</title></circle>"
        )


def _color(curve: Curve) -> str:
    return f"var(--s{(curve.number or 0) % _COLORS})"


def _dashed(curve: Curve) -> bool:
    return ((curve.number or 0) // _COLORS) % 2 == 1


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="12" style="fill: var(--soft)">'
        f"{escape(text)}</text>"
    )
