"""Choosing taps and rates."""

from collections.abc import Sequence

from zoo.errors import IncompatibleError
from zoo.interfaces import FeatureSpec
from zoo.options import whole_numbers


def at_stride(encoder: str, offered: Sequence[FeatureSpec], stride: int) -> list[FeatureSpec]:
    """The taps of that stride, shallow to deep.

    Raises:
        IncompatibleError: There is none.
    """
    fitting = [tap for tap in offered if tap.stride == stride]
    if not fitting:
        has = ", ".join(f"{tap.name} ({tap.stride})" for tap in offered)
        raise IncompatibleError(f"encoder {encoder!r} with these options has no tap at stride {stride}; it has {has}")
    return fitting


def aspp_rates(rates: Sequence[int] | None, stride: int) -> tuple[int, ...]:
    """The rates asked for, or those of the papers: 6, 12 and 18 at stride 16, doubled at stride 8."""
    if rates is None:
        return tuple(max(rate * 16 // stride, 1) for rate in (6, 12, 18))
    return whole_numbers("rates", rates)
