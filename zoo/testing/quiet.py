"""Looking at a model changes nothing."""

import contextlib
import io
import random

import numpy as np
import torch

from zoo.registry import find, registry
from zoo.testing.subject import Subject, require


def inspecting(subject: Subject) -> None:
    """Listing, resolving and ``zoo info`` leave the global generators, the default type and the gradient mode alone."""
    before = _global_state()
    for kind in ("model", "architecture", "encoder"):
        find(kind)
    registry().lookup("model", subject.name)
    subject.resolved()
    _info(subject)
    require(_global_state() == before, "looking at it changes global state: a generator, the default type or the mode")


def _info(subject: Subject) -> None:
    from zoo.cli.info import command

    name = subject.name if subject.encoder is None else f"{subject.name}@{subject.encoder}"
    with contextlib.redirect_stdout(io.StringIO()) as text:
        command.main([name], standalone_mode=False)
    require(bool(text.getvalue().strip()), f"`zoo info {name}` says nothing")


def _global_state() -> tuple[object, ...]:
    numpy_state = np.random.get_state(legacy=False)
    return (
        torch.get_rng_state().numpy().tobytes(),
        random.getstate(),
        repr(numpy_state),
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.is_grad_enabled(),
    )
