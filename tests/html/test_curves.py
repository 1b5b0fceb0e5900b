import math
import re

import pytest
from page_reader import Page

from zoo.html.curves import Curve, chart, nice


def lines(svg):
    """The points of each line."""
    return [
        [tuple(map(float, point.split(","))) for point in line["points"].split()]
        for line in Page(svg).named("polyline")
    ]


def test_points_lie_where_the_ticks_say():
    svg = chart([Curve("a", [(0, 0.0), (50, 0.25), (100, 0.5)], dots=True)], title="mIoU", percent=True)
    (line,) = lines(svg)
    texts = re.findall(r'<text x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]+)<', svg)
    height = {words: float(y) - 4 for _, y, words in texts if words.endswith("%")}
    across = {words: float(x) for x, _, words in texts if not words.endswith("%")}
    assert line[0] == pytest.approx((across["0"], height["0 %"]), abs=0.2)
    assert line[2][1] == pytest.approx(height["50 %"], abs=0.2)
    assert line[1][1] == pytest.approx((height["20 %"] + height["30 %"]) / 2, abs=0.2)
    assert line[1][0] == pytest.approx((line[0][0] + line[2][0]) / 2, abs=0.2)
    assert "a: 25.00% at 50" in Page(svg).words


def test_nothing_to_draw():
    assert chart([], title="x") == ""
    assert chart([Curve("a", []), Curve("b", [(1, math.nan)])], title="x") == ""


@pytest.mark.parametrize(
    "values",
    [[3.0], [0.0, 0.0], [-5.0, 5.0], [1e-9, 2e-9], [1e9, 2e12], [1.0, math.inf, 2.0], [1e300, 1e-300]],
)
def test_any_numbers_stay_inside(values):
    svg = chart([Curve("a", list(enumerate(values)))], title="x")
    for line in lines(svg):
        assert all(0 <= x <= 560 and 0 <= y <= 260 for x, y in line)
    assert "nan" not in svg
    assert "inf" not in svg


def test_many_points_are_thinned_and_one_high_one_does_not_flatten_the_rest():
    values = [(step, 1000.0 if step == 0 else 1.0 + (step % 2)) for step in range(10_000)]
    (line,) = lines(chart([Curve("a", values)], title="x"))
    assert len(line) <= 400
    assert 0.1 * 260 < line[-1][1] < 0.7 * 260
    assert min(y for _, y in line) >= 0


def test_names_are_escaped_and_every_curve_looks_different():
    svg = chart([Curve(f"<b>{n}", [(0, n), (1, n + 1)]) for n in range(12)], title='a "title" & more', x="<i>")
    page = Page(f"<div>{svg}</div>")
    assert "<b>11" in page.words
    assert not page.named("b")[1:]
    styles = [line["style"] for line in page.named("polyline")]
    assert len(set(styles)) == 12


@pytest.mark.parametrize(("step", "expected"), [(0.9, 1), (1, 1), (1.1, 2), (3, 5), (7, 10), (0.03, 0.05), (0, 1)])
def test_steps_that_people_count_in(step, expected):
    assert nice(step) == pytest.approx(expected)
