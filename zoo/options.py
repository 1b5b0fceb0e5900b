"""Checking the values that a user gives for options."""

from collections.abc import Sequence

from zoo.errors import OptionError


def whole_numbers(option: str, values: Sequence[int], count: int | None = None) -> tuple[int, ...]:
    """The values as a tuple.

    Raises:
        OptionError: They are not whole numbers of at least 1, or not `count` of them.
    """
    fine = isinstance(values, Sequence) and all(type(value) is int and value >= 1 for value in values)
    if not fine or not values or count not in (None, len(values)):
        how_many = "" if count is None else f"{count} "
        raise OptionError(f"{option}={values!r}: expected a list of {how_many}whole numbers of at least 1")
    return tuple(values)
