"""One process's part of a run: steps, evaluations, saves."""

import math
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import torch

from zoo.data.loader import Batch
from zoo.errors import RunError
from zoo.evaluation.metrics import Metrics
from zoo.memory import peak_memory
from zoo.model import SegmentationModel
from zoo.training import prepare
from zoo.training.clock import Clock
from zoo.training.engine import Engine, NotFiniteError, Snapshot
from zoo.training.environment import environment
from zoo.training.folder import RunFolder
from zoo.training.interrupt import Interrupted, StopRequest
from zoo.training.keeper import Keeper
from zoo.training.log import Record, Report
from zoo.training.loss import class_weights
from zoo.training.measured import Measured
from zoo.training.norm import lone_values_allowed
from zoo.training.parallel import launch
from zoo.training.parallel.measure import Left, measure
from zoo.training.parallel.team import ALONE, Team
from zoo.training.prepare import Data
from zoo.training.recipe import Recipe
from zoo.training.state import Progress


class Run:
    """A model on its way along a resolved recipe; with a `team`, on all of its processes.

    Attributes:
        progress: Where it is.
        metrics: The last evaluation of this process.
        images_per_second: Throughput of all training steps of this process; None before the first.
    """

    def __init__(
        self,
        recipe: Recipe,
        folder: RunFolder,
        data: Data,
        model: SegmentationModel,
        device: torch.device,
        report: Report | None = None,
        team: Team = ALONE,
    ) -> None:
        self.progress = Progress(images=len(data.train))
        self.metrics: Metrics | None = None
        self._recipe, self._folder, self._data, self._device, self._team = recipe, folder, data, device, team
        found = data.found
        weights = class_weights(recipe.loss.class_weights, found.pixels, found.image_pixels, data.train.classes)
        self._engine = Engine(recipe, model, device, weights, team)
        self._loader = prepare.make_loader(recipe, data, device, team)
        self._steps = prepare.length(recipe, self._loader.steps_per_epoch)
        self._batches = recipe.run.accumulate  # in a step
        self._keeper = Keeper(folder, recipe, data, team, report)
        self._stop = StopRequest(
            lambda: self._keeper.tell({"kind": "stopping", "step": self.progress.step}), patient=team.size > 1
        )
        self._clock = Clock()

    @property
    def images_per_second(self) -> float | None:
        return self._clock.rate(self._recipe.data.batch_size * self._batches)

    @property
    def peak_memory(self) -> int | None:
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device)
        return peak_memory()

    def restore(self, saved: dict[str, Any]) -> None:
        """Continue from a state.

        Raises:
            RunError: The state is further than this run goes, or of other data.
            CheckpointError: It does not fit the model.
        """
        progress = self._engine.restore(saved)
        if progress.step > self._steps:
            raise RunError(f"{self._folder.path} has done {progress.step} steps already; {self._steps} were asked for")
        if progress.images != self.progress.images:
            raise RunError(
                f"{self._data.train.name} had {progress.images} training pictures when {self._folder.path} was begun, "
                f"and has {self.progress.images} now; start a new run with another --out"
            )
        self.progress = progress

    def go(self, *, resumed: bool) -> float:
        """Take all steps that are left; returns the seconds this took.

        Raises:
            RunError: The loss is not finite, or a file cannot be written; what was saved before stays.
            Interrupted: A signal came; everything is saved.
        """
        began = time.perf_counter()
        progress = self.progress
        if progress.step == self._steps and progress.evaluated == self._steps:
            self._keeper.tell(self._opening("resume"))
            return 0.0
        with (
            self._keeper.open(progress if resumed else None),
            self._stop,
            lone_values_allowed(self._engine.model),
            self._team.talking(),
        ):
            self._keeper.record(self._opening("resume" if resumed else "start"))
            if self._due:
                self._evaluate()
            self._engine.training()
            self._train()
            seconds = time.perf_counter() - began
            self._keeper.record(
                {
                    "kind": "end",
                    "step": progress.step,
                    "images_per_second": _rounded(self.images_per_second),
                    "peak_memory": self.peak_memory,
                    "seconds": round(seconds, 1),
                    "best_miou": progress.best_miou,
                    "best_step": progress.best_step,
                }
            )
            self._team.check()
        return seconds

    @property
    def _due(self) -> bool:
        """Whether the step that was just taken is to be evaluated and has not been."""
        step, every = self.progress.step, self._recipe.run.eval_every
        assert isinstance(every, int)
        return step > 0 and (step % every == 0 or step == self._steps) and self.progress.evaluated < step

    def _train(self) -> None:
        progress, every, save_every = self.progress, self._recipe.run.log_every, self._recipe.run.save_every
        # Closed in good order, the workers end at once; left to the garbage collector, they do not.
        with closing(self._loader.batches(progress.step * self._batches, self._steps * self._batches)) as batches:
            losses = self._engine.losses
            self._clock.start()
            while progress.step < self._steps:
                parts: list[Batch] = []
                with self._team.holding():
                    parts = [self._next(batches) for _ in range(self._batches)]
                self._leave_if_asked()
                loss, rate = self._step(parts)
                progress.step += 1
                self._clock.lap()
                self._keeper.tell({"kind": "step", "step": progress.step, "loss": loss, "lr": rate})
                if progress.step % every == 0 or progress.step == self._steps:
                    record = {
                        "kind": "train",
                        "step": progress.step,
                        "epoch": (progress.step * self._batches - 1) // self._loader.steps_per_epoch,
                        "loss": sum(losses) / len(losses),
                        "lr": rate,
                        "images_per_second": _rounded(self._clock.recent(self._recipe.data.batch_size * self._batches)),
                    }
                    self._keeper.record(record)
                    losses.clear()
                if self._due:
                    self._leave_if_asked()
                    self._clock.stop()
                    self._evaluate()
                    self._clock.start()
                elif save_every is not None and progress.step % save_every == 0:
                    self._clock.stop()
                    self._save()
                    self._clock.start()

    def _next(self, batches: Iterator[Batch]) -> Batch:
        try:
            return next(batches)
        except RuntimeError as error:
            # The terminal sends Ctrl-C to the loader's workers too. Where they were not forked they die of it.
            if self._team.size == 1:
                self._leave_if_asked()
            if "DataLoader worker" not in str(error):
                raise
            raise RunError(
                f"a process that prepares batches died: {str(error).splitlines()[0].rstrip(' .')}. If memory ran "
                "out, give fewer (-o data.workers=1); the run can be resumed"
            ) from None

    def _step(self, batches: list[Batch]) -> tuple[float, float]:
        """One step of the optimiser; returns loss and learning rate."""
        try:
            return self._engine.step(batches, self.progress.step, self._steps)
        except NotFiniteError as found:  # the sum over all processes, so all of them come here
            with self._team.holding():
                why = self._diverged(str(found), found.rate)
                self._keeper.record({"kind": "stop", "step": self.progress.step, "why": why})
                raise RunError(why) from None
            self._team.check()
            raise

    def _diverged(self, what: str, rate: float) -> str:
        first, size = self.progress.step * self._batches, self._recipe.data.batch_size
        places = [divmod(number, self._loader.steps_per_epoch) for number in range(first, first + self._batches)]
        keys = [key for epoch, place in places for key in self._loader.order(epoch)[place * size : (place + 1) * size]]
        files = ", ".join(self._data.train.label(key.sample) for key in keys)
        kept = (
            f"an earlier step is kept in {self._folder.path}" if self._folder.state.exists() else "none was saved yet"
        )
        precision = ", full precision (-o run.amp=none)" if self._recipe.run.amp != "none" else ""
        return (
            f"{what} in step {self.progress.step + 1} (learning rate {rate:.3g}, "
            f"seed {self._recipe.run.seed}, pictures {files}); stopped before it reached the weights, {kept}. "
            f"Try a lower learning rate (-o optim.lr={self._recipe.optim.lr / 10:.3g}){precision} "
            "or a longer warm-up (-o schedule.warmup=0.2)"
        )

    def _evaluate(self) -> None:
        """Measure on `val`, note the best, save."""
        progress, recipe, team = self.progress, self._recipe, self._team
        in_step = team.size > 1 and recipe.run.parallel == "fsdp"
        began = time.perf_counter()

        def watch(done: int, total: int) -> None:
            if self._stop.number is not None and not in_step:
                raise Left
            self._keeper.tell({"kind": "evaluating", "step": progress.step, "done": done, "total": total})

        found = measure(
            self._engine.served,
            self._data.val,
            self._engine.validation_loss(),
            team,
            batch_size=prepare.evaluation_batch(recipe, self._data),
            amp=recipe.run.amp == "bf16",
            progress=watch,
            in_step=in_step,
        )
        if found is None:
            self._leave_if_asked()
        assert found is not None
        self.metrics = found.metrics
        numbers = self.metrics.to_json()
        score = numbers[recipe.run.metric] if numbers[recipe.run.metric] is not None else 0.0
        best = score > progress.best
        progress.evaluated = progress.step
        more = {"val_loss": found.loss, "train_miou": self._engine.score.take()}
        snapshot = self._engine.snapshot()
        if best:
            progress.best_miou, progress.best_step = numbers["miou"] or 0.0, progress.step
            progress.best_score = None if recipe.run.metric == "miou" else score
            split, palette = self._data.val.split, self._engine.model.config.palette
            self._keeper.best(snapshot, Measured(progress.step, split, self.metrics, palette, found.scores))
        seconds = time.perf_counter() - began
        record = {"kind": "eval", "step": progress.step, **numbers, **more, "best": best, "seconds": round(seconds, 2)}
        self._keeper.record(record)
        self._save(snapshot)

    def _leave_if_asked(self) -> None:
        number = self._team.check(self._stop.number)
        if number is not None:
            self._save()
            self._team.check()
            raise Interrupted(self._folder.path, self.progress.step, number)

    def _save(self, snapshot: Snapshot | None = None) -> None:
        measured = self.metrics if self.progress.evaluated == self.progress.step else None
        self._keeper.last(snapshot or self._engine.snapshot(), self.progress, measured)

    def _opening(self, kind: str) -> Record:
        parameters = list(self._engine.model.parameters())
        return {
            "kind": kind,
            "step": self.progress.step,
            "steps": self._steps,
            "steps_per_epoch": math.ceil(self._loader.steps_per_epoch / self._batches),
            "model": self._engine.model.config.name,
            "parameters": sum(parameter.numel() for parameter in parameters),
            "trained_parameters": sum(parameter.numel() for parameter in parameters if parameter.requires_grad),
            "data": self._data.train.name,
            "train_images": len(self._data.train),
            "val_images": len(self._data.val),
            "classes": self._data.train.num_classes,
            "absent": list(self._data.found.absent),
            "batch_size": self._recipe.data.batch_size * self._batches,
            "crop": self._recipe.to_json()["data"]["crop"],
            **({"processes": self._team.size} if self._team.size > 1 else {}),
            **({"launch": launch.launch_name()} if launch.launch_name() else {}),
            **environment(self._device),
        }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
