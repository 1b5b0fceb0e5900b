import pytest

from zoo.training.recipe import ScheduleTable
from zoo.training.schedule import factor


def factors(steps, **settings):
    return [factor(ScheduleTable(**settings), step, steps) for step in range(steps)]


def test_poly_is_the_closed_form():
    assert factors(5, warmup=0, power=0.9) == pytest.approx([(1 - step / 5) ** 0.9 for step in range(5)])
    assert factors(4, warmup=0, power=1) == pytest.approx([1, 0.75, 0.5, 0.25])


def test_warm_up_rises_to_the_full_rate_and_goes_on_from_there():
    found = factors(20, warmup=0.2, power=1)
    assert found[:5] == pytest.approx([0.25, 0.5, 0.75, 1, 1])
    assert found[5:] == pytest.approx([1 - step / 16 for step in range(1, 16)])


def test_constant():
    assert factors(4, name="constant", warmup=0.5) == [0.5, 1, 1, 1]


@pytest.mark.parametrize("name", ["poly", "constant"])
@pytest.mark.parametrize("steps", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("warmup", [0, 0.05, 0.5, 0.99])
def test_no_step_is_wasted_at_zero(name, steps, warmup):
    found = factors(steps, name=name, warmup=warmup)
    assert all(0 < value <= 1 for value in found)


def test_warm_up_may_be_given_in_steps():
    assert factors(10, name="constant", warmup=4) == [0.25, 0.5, 0.75, *[1] * 7]
    assert factors(3, name="constant", warmup=1) == [1, 1, 1]


def test_warm_up_longer_than_the_run_just_rises():
    assert factors(2, warmup=8) == [1 / 8, 2 / 8]


def test_cosine_is_the_closed_form():
    import math

    found = factors(10, name="cosine", warmup=2, floor=0.1)
    assert found[2:] == pytest.approx([0.1 + 0.9 * (1 + math.cos(math.pi * t / 8)) / 2 for t in range(8)])


def test_poly_stops_at_its_floor():
    assert factors(4, warmup=0, power=1, floor=0.6) == [1, 0.75, 0.6, 0.6]


def test_steps_drop_as_caffes():
    assert factors(7, name="step", every=3, gamma=0.1, warmup=0) == pytest.approx([1, 1, 1, 0.1, 0.1, 0.1, 0.01])


def test_stages_may_be_steps_or_shares():
    expected = pytest.approx([1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25])
    assert factors(8, name="multistep", at=(2, 5), gamma=0.5, warmup=0) == expected
    assert factors(8, name="multistep", at=(0.25, 0.625), gamma=0.5, warmup=0) == expected
