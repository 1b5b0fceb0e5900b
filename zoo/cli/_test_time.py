"""The options that ask a model in more than the plain way, alike for `zoo predict` and `zoo eval`."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from zoo.cli._size import size_option

F = TypeVar("F", bound=Callable[..., Any])


def _scales(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[float, ...] | None:
    try:
        return None if value is None else tuple(float(part) for part in value.replace(" ", "").split(","))
    except ValueError:
        raise click.BadParameter(f"{value!r}: expected factors with commas between, such as 0.5,1,1.5") from None


def _overlap(ctx: click.Context, param: click.Parameter, value: str) -> float | int | str:
    if value == "auto":
        return value
    try:
        return int(value) if value.strip().isdecimal() else float(value)
    except ValueError:
        raise click.BadParameter(f"{value!r}: expected a share such as 0.33, a number of pixels, or auto") from None


_OPTIONS = (
    click.option("--scales", metavar="S,S…", callback=_scales, help="Average over the picture at these scales."),
    click.option("--mirror", is_flag=True, help="Average with what the mirror image gives."),
    click.option("--window", metavar="HxW", callback=size_option, help="Slide windows of this size over the picture."),
    click.option(
        "--overlap",
        metavar="SHARE|PIXELS",
        callback=_overlap,
        default="auto",
        show_default=True,
        help="How much windows (or tiles) overlap: 0.33 is a third of their side, 160 pixels.",
    ),
    click.option("--output-stride", metavar="8|16|32", type=int, help="Dilate the encoder to this stride."),
)


def test_time_options(command: F) -> F:
    """Give a command the options, of which `TestTime.asked` makes one thing."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
