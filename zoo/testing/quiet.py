"""Looking at a model changes nothing."""

import contextlib
import io

from zoo.registry import find, registry
from zoo.testing.globals import changed, generator, state
from zoo.testing.subject import Subject, require


def inspecting(subject: Subject) -> None:
    """Listing, resolving and ``zoo info`` leave the global generators, the default type and the gradient mode alone."""
    before, drawn = state(), generator()
    for kind in ("model", "architecture", "encoder"):
        find(kind)
    registry().lookup("model", subject.name)
    subject.resolved()
    _info(subject)
    moved = [*changed(before, state()), *["torch's random generator"] * (generator() != drawn)]
    require(not moved, f"looking at it changes global state: {', '.join(moved)}")


def _info(subject: Subject) -> None:
    from zoo.cli.info import command

    name = subject.name if subject.encoder is None else f"{subject.name}@{subject.encoder}"
    with contextlib.redirect_stdout(io.StringIO()) as text:
        command.main([name], standalone_mode=False)
    require(bool(text.getvalue().strip()), f"`zoo info {name}` says nothing")
