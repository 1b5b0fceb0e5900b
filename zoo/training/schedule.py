"""Learning-rate schedules: pure functions of the step, so a resumed run has nothing to restore."""

from zoo.training.recipe import ScheduleTable


def factor(schedule: ScheduleTable, step: int, steps: int) -> float:
    """The factor in (0, 1] that multiplies the base learning rate in a step.

    During warm-up, w = round(warmup · steps) steps, it rises linearly as (step + 1) / w. After it, ``poly`` falls
    as (1 - (step - w) / (steps - w)) ** power and ``constant`` stays at 1.

    Args:
        schedule: Which schedule, and its numbers.
        step: Steps already taken, 0 ≤ step < steps.
        steps: Length of the whole run.
    """
    warm = round(schedule.warmup * steps)
    if step < warm:
        return (step + 1) / warm
    if schedule.name == "constant":
        return 1.0
    left = 1 - (step - warm) / (steps - warm)
    return float(left**schedule.power)
