"""Throughput: seconds and steps of training alone."""

import time


class Clock:
    """A watch that runs during steps and stands during evaluations."""

    def __init__(self) -> None:
        self._total = self._since = 0.0
        self._steps = self._steps_since = 0
        self._mark = 0.0

    def start(self) -> None:
        self._mark = time.perf_counter()

    def stop(self) -> None:
        self.lap(steps=0)

    def lap(self, steps: int = 1) -> None:
        """Count the time since the last call, and `steps` steps."""
        now = time.perf_counter()
        self._total += now - self._mark
        self._since += now - self._mark
        self._mark = now
        self._steps += steps
        self._steps_since += steps

    def rate(self, batch_size: int) -> float | None:
        """Images per second over all steps; None before the first."""
        return self._steps * batch_size / self._total if self._steps else None

    def recent(self, batch_size: int) -> float | None:
        """Images per second since this was last asked."""
        rate = self._steps_since * batch_size / self._since if self._steps_since else None
        self._since, self._steps_since = 0.0, 0
        return rate
