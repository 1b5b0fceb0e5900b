"""What a run folder tells of the course of a run."""

import shlex
import tomllib
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from pathlib import Path
from typing import Any, Self

from zoo.errors import RunError
from zoo.training.log import read_log

Point = tuple[float, float]


@dataclass(frozen=True)
class Course:
    """The log and the recipe of a run, finished or not.

    Attributes:
        path: The run folder.
        records: The log; see `zoo.training.log`.
        recipe_text: The recipe as it stands; empty where there is none.
    """

    path: Path
    records: tuple[dict[str, Any], ...]
    recipe_text: str

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a run folder; lines of the log that make no sense are passed over.

        Raises:
            RunError: It is not a run folder, or nothing has happened in it yet.
        """
        try:
            records = tuple(read_log(path / "metrics.jsonl"))
        except OSError:
            raise RunError(f"{path} is no run folder: there is no metrics.jsonl in it") from None
        if not records:
            raise RunError(f"{path} holds no run yet: its metrics.jsonl is empty")
        try:
            recipe = (path / "recipe.toml").read_text(encoding="utf-8", errors="replace")
        except OSError:
            recipe = ""
        return cls(path, records, recipe)

    @property
    def name(self) -> str:
        """What to call it: the name of its folder."""
        return self.path.resolve().name or str(self.path)

    @cached_property
    def recipe(self) -> dict[str, Any]:
        """The recipe's tables; empty where it cannot be read."""
        try:
            return tomllib.loads(self.recipe_text)
        except tomllib.TOMLDecodeError:
            return {}

    @cached_property
    def opening(self) -> dict[str, Any]:
        """What runs where, as it was last begun or resumed."""
        return next((record for record in reversed(self.records) if record["kind"] in ("start", "resume")), {})

    def command(self, *words: str) -> str:
        """A command line of Zoo, with the plugins that the run was given."""
        plugins = [part for path in self.opening.get("plugins", ()) for part in ("--plugin", str(path))]
        return shlex.join(["zoo", *plugins, *words])

    @property
    def resumed(self) -> int:
        """How often it was resumed."""
        return sum(record["kind"] == "resume" for record in self.records)

    @property
    def step(self) -> int:
        """Steps that the log knows of."""
        return max(int(record["step"]) for record in self.records)

    @property
    def steps(self) -> int | None:
        """Steps of the whole run."""
        steps = self.opening.get("steps")
        return steps if isinstance(steps, int) else None

    @property
    def finished(self) -> bool:
        return bool(self.records[-1]["kind"] == "end")

    @property
    def stopped(self) -> str:
        """Why it could not go on, as with a loss that is no number; empty otherwise."""
        last = self.records[-1]
        return str(last.get("why", "")) if last["kind"] == "stop" else ""

    @property
    def evaluations(self) -> list[dict[str, Any]]:
        """All evaluations."""
        return self._of("eval")

    @property
    def best(self) -> dict[str, Any]:
        """The evaluation of the best weights; empty before the first."""
        chosen = [record for record in self.evaluations if record.get("best") is True]
        return chosen[-1] if chosen else {}

    def curve(self, kind: str, key: str) -> list[Point]:
        """(step, value) for each record of a kind that has the number."""
        return [(record["step"], value) for record in self._of(kind) if (value := number(record.get(key))) is not None]

    def last(self, kind: str, key: str) -> float | None:
        """The last value of such a curve."""
        points = self.curve(kind, key)
        return points[-1][1] if points else None

    @property
    def training_seconds(self) -> float:
        """How long its steps took, over all its processes: from the throughput that they noted."""
        images = number(self.opening.get("batch_size")) or 0
        total, before = 0.0, 0
        for record in self._of("train"):
            rate = number(record.get("images_per_second"))
            if rate:
                total += (record["step"] - before) * images / rate
            before = record["step"]
        return total

    @property
    def evaluation_seconds(self) -> float:
        """How long its evaluations took."""
        return sum(value for _, value in self.curve("eval", "seconds"))

    @property
    def seconds(self) -> float:
        """How long it took, starting up left out where it was resumed."""
        noted = self.last("end", "seconds")
        return noted if noted is not None and not self.resumed else self.training_seconds + self.evaluation_seconds

    @property
    def images_per_second(self) -> float | None:
        """Throughput of the steps."""
        noted = self.last("end", "images_per_second")
        if noted is not None and not self.resumed:
            return noted
        rates = sorted(value for _, value in self.curve("train", "images_per_second"))
        return rates[len(rates) // 2] if rates else None

    def _of(self, kind: str) -> list[dict[str, Any]]:
        return [record for record in self.records if record["kind"] == kind]


def number(given: Any) -> float | None:
    """A finite number, or None."""
    if isinstance(given, bool) or not isinstance(given, int | float):
        return None
    return given if isfinite(given) else None
