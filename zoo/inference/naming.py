"""Which pictures a model is being asked about: for what knows something of a picture by its name.

A model is given tensors. Boxes that were written to a file belong to a picture of a name, and whoever asks says here
which one it is.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple


class Asked(NamedTuple):
    """The pictures of the batch that a model is asked about.

    Attributes:
        names: One for each, a path or a data set's label; None where there is none.
        size: (H, W) of the whole pictures, which the model may be shown parts of.
        mirrored: Whether it is shown them with left and right exchanged.
    """

    names: tuple[str | None, ...]
    size: tuple[int, int]
    mirrored: bool = False


_asked: ContextVar[Asked | None] = ContextVar("zoo_asked", default=None)


@contextmanager
def asking_about(names: Sequence[str | None], size: tuple[int, int]) -> Iterator[None]:
    """Say which pictures a model is asked about within the block."""
    with _saying(Asked(tuple(names), size)):
        yield


@contextmanager
def mirrored() -> Iterator[None]:
    """Say that within the block the pictures are shown with left and right exchanged."""
    asked = _asked.get()
    with _saying(None if asked is None else asked._replace(mirrored=not asked.mirrored)):
        yield


def asked_about() -> Asked | None:
    """What was said last; None where nobody said anything."""
    return _asked.get()


@contextmanager
def _saying(asked: Asked | None) -> Iterator[None]:
    token = _asked.set(asked)
    try:
        yield
    finally:
        _asked.reset(token)
