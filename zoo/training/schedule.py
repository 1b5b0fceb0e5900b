"""Learning-rate schedules: pure functions of the step, so a resumed run has nothing to restore."""

import math

from zoo.training.tables import ScheduleTable


def factor(schedule: ScheduleTable, step: int, steps: int) -> float:
    """The factor in (0, 1] that multiplies the base learning rate in a step.

    During warm-up, w steps, it rises linearly as (step + 1) / w. After it, with t = (step - w) / (steps - w):

    * ``poly``: (1 - t) ** power, not below `floor`;
    * ``cosine``: floor + (1 - floor) · (1 + cos πt) / 2;
    * ``step``: gamma ** (step // every), counted from the first step of all, as Caffe does;
    * ``multistep``: gamma ** (how many of `at` have come);
    * ``constant``: 1.

    Args:
        schedule: Which schedule, and its numbers.
        step: Steps already taken, 0 ≤ step < steps.
        steps: Length of the whole run.
    """
    warm = _steps(schedule.warmup, steps)
    if step < warm:
        return (step + 1) / warm
    match schedule.name:
        case "poly":
            left = 1 - (step - warm) / (steps - warm)
            return max(float(left**schedule.power), schedule.floor)
        case "cosine":
            done = (step - warm) / (steps - warm)
            return schedule.floor + (1 - schedule.floor) * (1 + math.cos(math.pi * done)) / 2
        case "step":
            assert schedule.every is not None
            return float(schedule.gamma ** (step // schedule.every))
        case "multistep":
            return float(schedule.gamma ** sum(step >= _steps(at, steps) for at in schedule.at))
        case "constant":
            return 1.0


def _steps(given: float, steps: int) -> int:
    """Steps as they are; a share of the run as steps."""
    return round(given * steps) if given < 1 else int(given)
