"""How much of the picture a map sees.

The receptive field of a map is the longest stretch of rows and of columns that one of its cells depends on, holes
included. Fields of cells at the border are cut off by the picture, and those of nets that look at all of it grow with
it; so a model is followed at growing sizes until the answer no longer changes. On the meta device size costs nothing.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from zoo.interfaces import Features
from zoo.model import SegmentationModel
from zoo.summary.intervals import UndefinedError, picture
from zoo.summary.tracing import Tracing

WHOLE = "whole picture"
GROWS = "grows with the picture"
NOTHING = "nothing"
UNDEFINED = "not defined"
SIZES = (512, 1024, 2048, 4096, 6144, 8192)
_ENOUGH = 4096

Sight = int | tuple[int, int] | str
"""Rows and columns, one number where they are equal; or `WHOLE`, `GROWS`, `NOTHING`, or ``"not defined: reason"``."""

_Measured = tuple[int, int] | str


def receptive_fields(model: SegmentationModel, only_size: tuple[int, int] | None = None) -> dict[str, Sight]:
    """The receptive fields of a model on the meta device, in evaluation mode.

    Args:
        model: The model.
        only_size: (H, W) that is looked at where the model cannot take pictures of other sizes.

    Returns:
        Those of its answers by their keys, and of the encoder's taps as ``"encoder.NAME"``. An operation that is not
        understood makes what follows ``"not defined: NAME"``, never a number that may be wrong.
    """
    runs: list[tuple[int, dict[str, _Measured], bool]] = []
    for size in SIZES:
        try:
            runs.append((size, *measure(model, (size, size))))
        except UndefinedError as error:
            return dict.fromkeys(runs[-1][1] if runs else ["out"], f"{UNDEFINED}: {error}")
        except Exception:  # what a stranger's net raises for a size that it does not take
            break
        if all(_settled(runs, key) is not None for key in runs[-1][1]):
            break
    if not runs:
        return _at_one_size(model, only_size)
    return {key: _settled(runs, key) or _unsettled(runs, key) for key in runs[-1][1]}


def measure(model: SegmentationModel, size: tuple[int, int]) -> tuple[dict[str, _Measured], bool]:
    """What maps see of a picture of `size`, cut off at its borders; and whether no interval was widened."""
    x = torch.empty(1, model.config.in_channels, *size, device="meta")
    with torch.inference_mode(), Tracing() as tracing:
        tracing.start(x, picture(*size))
        features: Features = model.encoder(x, [tap.name for tap in model.encoder.features], model.with_pools)
        found: Mapping[str, Tensor] = model(x)
    maps = {**found, **{f"encoder.{name}": value for name, value in features.maps.items()}}
    return {key: _seen(tracing, value, size) for key, value in maps.items()}, not tracing.loose


def _seen(tracing: Tracing, tensor: Tensor, size: tuple[int, int]) -> _Measured:
    try:
        field = tracing.field(tensor)
    except UndefinedError as error:
        return f"{UNDEFINED}: {error}"
    if field is None:
        return NOTHING
    return WHOLE if field.sees_all(*size) else field.extent()


def _settled(runs: list[tuple[int, dict[str, _Measured], bool]], key: str) -> Sight | None:
    """The answer, as soon as the sizes that were looked at allow one."""
    size, found, _ = runs[-1]
    now = found[key]
    if isinstance(now, str) and now != WHOLE:
        return now
    if now == WHOLE:
        # At the first size, nothing is widened: no more than the truth is said.
        first = runs[0][1][key] == WHOLE and runs[0][2]
        return WHOLE if size >= _ENOUGH and (first or runs[-1][2]) else None
    if len(runs) < 2:
        return None
    size, found, exact = runs[-2]
    before = found[key]
    # With half of the picture to spare, some cell of every phase has its whole field inside.
    if before == now and exact and isinstance(now, tuple) and 2 * max(now) <= size:
        return now[0] if now[0] == now[1] else now
    return None


def _unsettled(runs: list[tuple[int, dict[str, _Measured], bool]], key: str) -> Sight:
    if runs[-1][0] < SIZES[-1]:
        return f"{UNDEFINED}: it takes no picture larger than {runs[-1][0]}×{runs[-1][0]}"
    return GROWS if isinstance(runs[-1][1][key], tuple) and runs[-1][2] else f"{UNDEFINED}: too many cells"


def _at_one_size(model: SegmentationModel, size: tuple[int, int] | None) -> dict[str, Sight]:
    """A net for one size of picture: it sees all of it, or less than half, or nothing can be said."""
    if size is None:
        return {"out": f"{UNDEFINED}: it takes pictures of some sizes only"}
    try:
        found, exact = measure(model, size)
    except Exception as error:
        return {"out": f"{UNDEFINED}: {type(error).__name__}"}
    answers: dict[str, Sight] = {}
    for key, seen in found.items():
        if isinstance(seen, str):
            answers[key] = seen if exact or seen != WHOLE else f"{UNDEFINED}: too many cells"
        elif exact and 2 * seen[0] <= size[0] and 2 * seen[1] <= size[1]:
            answers[key] = seen[0] if seen[0] == seen[1] else seen
        else:
            answers[key] = f"{UNDEFINED}: it takes no larger pictures"
    return answers
