"""Sizes of pictures as they are written on a command line."""

import re

import click

EXPECTED = "expected HEIGHTxWIDTH in pixels, such as 473x473, or one number for a square"

_SIZE = re.compile(r"\s*0*([1-9]\d{0,5})\s*(?:[x×]\s*0*([1-9]\d{0,5})\s*)?", re.ASCII | re.IGNORECASE)


def parse_size(text: str) -> tuple[int, int] | None:
    """``"480x640"`` is (480, 640), height first, and ``"512"`` a square; None for anything else."""
    found = _SIZE.fullmatch(text)
    return None if found is None else (int(found[1]), int(found[2] or found[1]))


def size_option(ctx: click.Context, option: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """The callback of an option that takes a size."""
    if value is None:
        return None
    found = parse_size(value)
    if found is None:
        raise click.BadParameter(f"{value!r}: {EXPECTED}", param=option)
    return found
