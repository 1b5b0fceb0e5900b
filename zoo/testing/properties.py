"""All properties, and the two ways to run them."""

from collections.abc import Callable, Iterable
from typing import Any

from zoo.manifest import LIMITS
from zoo.testing import contract, globals, golden, learning, modes, quiet, shapes, state
from zoo.testing.subject import NotApplicable, NotConforming, Subject

CHECKS: dict[str, Callable[[Subject], None]] = {
    "sizes": shapes.sizes,
    "in_channels": shapes.in_channels,
    "num_classes": shapes.num_classes,
    "batch_of_one": shapes.batch_of_one,
    "parameters": shapes.parameters,
    "options": contract.options,
    "declared": contract.declared,
    "maps": contract.maps,
    "needs": contract.needs,
    "pairs": contract.pairs,
    "backward": learning.backward,
    "state_dict": state.state_dict,
    "save_and_load": state.save_and_load,
    "seed": state.seed,
    "golden": golden.golden,
    "inspecting": quiet.inspecting,
    "global_state": globals.global_state,
    "bf16": modes.bf16,
    "channels_last": modes.channels_last,
    "compile": modes.compile,
    "export": modes.export,
}

PROPERTIES = tuple(CHECKS)
"""The names of all properties."""

SHAPES = ("sizes", "in_channels", "num_classes", "batch_of_one", "parameters", "options", "declared", "inspecting")
"""Those that need no numbers, so that a net of any width can be checked on the meta device."""


def check_property(property: str, model: str | Subject, **options: Any) -> None:
    """Check one property of one model.

    Args:
        property: One of `PROPERTIES`.
        model: Its name, or a `Subject` where more is to be said than a name and options.
        options: `encoder`, and options of architecture and encoder, as for `zoo.create_model`.

    Raises:
        NotConforming: It does not hold; or the manifest declares that it cannot hold, and it does.
        NotApplicable: There is nothing to check; pytest takes it for a skip.
        Exception: Whatever the model raised.
    """
    if property not in CHECKS:
        raise ValueError(f"there is no property {property!r}; there are {', '.join(PROPERTIES)}")
    if isinstance(model, Subject):
        if options:
            raise TypeError("give the options of a Subject to the Subject")
        subject = model
    else:
        subject = Subject(model, options.pop("encoder", None), options)
    if subject.shapes_only and property not in SHAPES:
        raise ValueError(f"{property!r} needs numbers; a subject with shapes_only has none")
    try:
        hold(property, subject)
    except NotConforming as error:
        raise NotConforming(f"{subject}: {property}: {error}", mend=error.mend, where=error.where) from None


def hold(property: str, subject: Subject) -> None:
    """Check one property of one model, a declared limit the other way round; raises as `check_property`."""
    if property not in LIMITS or property not in subject.limits:
        CHECKS[property](subject)
        return
    try:
        CHECKS[property](subject)
    except Exception:
        return
    raise NotConforming(
        f"declares cannot = [{property!r}], but it can: take it out of the manifest",
        mend=f"take {property!r} out of `cannot`, so that users know what they may do with it",
    )


def check_model(model: str | Subject, *, only: Iterable[str] | None = None, **options: Any) -> None:
    """Check all properties of one model, and report all failures at once.

    Args:
        model: As for `check_property`.
        only: Which properties; by default all that apply.
        options: As for `check_property`.

    Raises:
        NotConforming: One line for each property that does not hold.
    """
    applying = SHAPES if isinstance(model, Subject) and model.shapes_only else PROPERTIES
    failures = []
    for property in applying if only is None else only:
        try:
            check_property(property, model, **dict(options))
        except NotApplicable:
            continue
        except NotConforming as error:
            failures.append(str(error))
        except Exception as error:
            failures.append(f"{property}: {type(error).__name__}: {error}")
    if failures:
        raise NotConforming("\n".join(failures))
