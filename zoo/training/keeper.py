"""What a run writes into its folder, and tells whoever watches."""

import contextlib
from types import TracebackType
from typing import Self

from zoo.evaluation.metrics import Metrics
from zoo.training.checkpoint import Checkpoints
from zoo.training.engine import Snapshot
from zoo.training.events import Events
from zoo.training.folder import RunFolder, writing
from zoo.training.log import Record, Report, RunLog
from zoo.training.measured import Measured
from zoo.training.parallel.team import Team
from zoo.training.prepare import Data
from zoo.training.recipe import Recipe
from zoo.training.state import Progress


class Keeper:
    """Keeps log, events, weights and state of a run. Of several processes only the lead writes and tells.

    It is a context manager; the files of the log are open within its block, which begins with `open`. What
    goes wrong in writing, a `RunError`, is raised at once where the process is alone, and else at the next `check`.

    Args:
        folder: Of the run.
        recipe: Resolved.
        data: Of the run.
        team: The processes.
        watch: Told every record.
    """

    def __init__(self, folder: RunFolder, recipe: Recipe, data: Data, team: Team, watch: Report | None) -> None:
        self._folder, self._recipe, self._team = folder, recipe, team
        self._watch = watch if team.lead else None
        self._checkpoints = Checkpoints(folder, recipe, data)
        self._log: RunLog | None = None
        self._events: Events | None = None
        self._files = contextlib.ExitStack()

    def open(self, resumed: Progress | None) -> Self:
        """Begin to write; from here on the folder is this run's. Raises `RunError` where it is another's already."""
        with self._team.together():
            if self._team.lead:
                with writing(self._folder.path):
                    self._log = self._files.enter_context(RunLog(self._folder.log, resumed))
                    self._folder.tidy()
                    self._folder.write_recipe(self._recipe)
                    self._events = Events(self._folder.path, self._log.records(), self._warn)
                    self._files.enter_context(self._events)
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.__exit__(kind, error, trace)

    def record(self, record: Record) -> None:
        """Write a record into the log, and tell it."""
        with self._team.holding():
            if self._log is not None and self._events is not None:
                with writing(self._folder.path):
                    self._log.write(record)
                self._events.write(record)
            self.tell(record)

    def tell(self, record: Record) -> None:
        """Tell a record that does not belong into the log."""
        if self._watch is not None:
            self._watch(record)

    def best(self, snapshot: Snapshot, measured: Measured) -> None:
        """Save the best weights so far, and what was measured of them."""
        with self._team.holding():
            if self._team.lead:
                with writing(self._folder.path):
                    measured.write(self._folder.path)
                self._checkpoints.save_best(snapshot.served, measured.metrics)

    def last(self, snapshot: Snapshot, progress: Progress, metrics: Metrics | None) -> None:
        """Save where the run is; `metrics` of these weights, if they were measured."""
        with self._team.holding():
            if self._team.lead:
                self._checkpoints.save_last(
                    snapshot.model,
                    snapshot.optimizer,
                    progress,
                    metrics,
                    served=snapshot.served,
                    extra=snapshot.extra,
                )

    def _warn(self, text: str) -> None:
        self.tell({"kind": "warning", "step": 0, "text": text})
