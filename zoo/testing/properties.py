"""All properties, and the two ways to run them."""

from collections.abc import Callable, Iterable
from typing import Any

from zoo.manifest import LIMITS
from zoo.testing import learning, modes, quiet, shapes, state
from zoo.testing.subject import NotConforming, Subject

_CHECKS: dict[str, Callable[[Subject], None]] = {
    "sizes": shapes.sizes,
    "in_channels": shapes.in_channels,
    "num_classes": shapes.num_classes,
    "batch_of_one": shapes.batch_of_one,
    "parameters": shapes.parameters,
    "backward": learning.backward,
    "state_dict": state.state_dict,
    "save_and_load": state.save_and_load,
    "seed": state.seed,
    "inspecting": quiet.inspecting,
    "bf16": modes.bf16,
    "channels_last": modes.channels_last,
    "compile": modes.compile,
    "export": modes.export,
}

PROPERTIES = tuple(_CHECKS)
"""The names of all properties."""

SHAPES = ("sizes", "in_channels", "num_classes", "batch_of_one", "parameters", "inspecting")
"""Those that need no numbers, so that a net of any width can be checked on the meta device."""


def check(property: str, model: str | Subject, **options: Any) -> None:
    """Check one property of one model.

    Args:
        property: One of `PROPERTIES`.
        model: Its name, or a `Subject` where more is to be said than a name and options.
        options: `encoder`, and options of architecture and encoder, as for `zoo.create_model`.

    Raises:
        NotConforming: It does not hold; or the manifest declares that it cannot hold, and it does.
        Exception: Whatever the model raised.
    """
    if property not in _CHECKS:
        raise ValueError(f"there is no property {property!r}; there are {', '.join(PROPERTIES)}")
    if isinstance(model, Subject):
        if options:
            raise TypeError("give the options of a Subject to the Subject")
        subject = model
    else:
        subject = Subject(model, options.pop("encoder", None), options)
    if subject.shapes_only and property not in SHAPES:
        raise ValueError(f"{property!r} needs numbers; a subject with shapes_only has none")
    if property in LIMITS and property in subject.limits:
        try:
            _CHECKS[property](subject)
        except Exception:
            return
        raise NotConforming(f"{subject} declares cannot = [{property!r}], but it can: take it out of the manifest")
    try:
        _CHECKS[property](subject)
    except NotConforming as error:
        raise NotConforming(f"{subject}: {property}: {error}") from None


def check_model(model: str | Subject, *, only: Iterable[str] | None = None, **options: Any) -> None:
    """Check all properties of one model, and report all failures at once.

    Args:
        model: As for `check`.
        only: Which properties; by default all that apply.
        options: As for `check`.

    Raises:
        NotConforming: One line for each property that does not hold.
    """
    applying = SHAPES if isinstance(model, Subject) and model.shapes_only else PROPERTIES
    failures = []
    for property in applying if only is None else only:
        try:
            check(property, model, **dict(options))
        except NotConforming as error:
            failures.append(str(error))
        except Exception as error:
            failures.append(f"{property}: {type(error).__name__}: {error}")
    if failures:
        raise NotConforming("\n".join(failures))
