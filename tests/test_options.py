import pytest

from zoo.errors import OptionError
from zoo.options import whole_numbers


def test_lists_become_tuples():
    assert whole_numbers("rates", [6, 12, 18]) == (6, 12, 18)
    assert whole_numbers("rates", (1,), count=1) == (1,)


@pytest.mark.parametrize("values", [[], [0], [1, -2], [1.0], [True], ["1"], "12", 3, None])
def test_others_are_refused(values):
    with pytest.raises(OptionError, match=r"rates=.*: expected a list of whole numbers of at least 1"):
        whole_numbers("rates", values)


def test_the_count_is_said():
    with pytest.raises(OptionError, match="a list of 3 whole numbers"):
        whole_numbers("multi_grid", [1, 2], count=3)
