"""One process's part of a run: steps, evaluations, saves."""

import math
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import torch

from zoo.data.loader import Batch
from zoo.errors import RunError
from zoo.evaluation.evaluate import evaluate
from zoo.evaluation.metrics import Metrics
from zoo.evaluation.pictures import PictureScores
from zoo.model import SegmentationModel
from zoo.training import prepare
from zoo.training.checkpoint import Checkpoints
from zoo.training.clock import Clock
from zoo.training.engine import Engine, NotFiniteError
from zoo.training.environment import environment
from zoo.training.events import Events
from zoo.training.folder import RunFolder, writing
from zoo.training.interrupt import Interrupted, StopRequest
from zoo.training.log import Record, Report, RunLog, peak_memory
from zoo.training.loss import class_weights
from zoo.training.measured import Measured
from zoo.training.norm import lone_values_allowed
from zoo.training.prepare import Data
from zoo.training.recipe import Recipe
from zoo.training.state import Progress


class Run:
    """A model on its way along a resolved recipe.

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
    ) -> None:
        self.progress = Progress(images=len(data.train))
        self.metrics: Metrics | None = None
        self._recipe, self._folder, self._data, self._device = recipe, folder, data, device
        found = data.found
        weights = class_weights(recipe.loss.class_weights, found.pixels, found.image_pixels, data.train.classes)
        self._engine = Engine(recipe, model, device, weights)
        self._loader = prepare.make_loader(recipe, data, device)
        self._steps = prepare.length(recipe, self._loader.steps_per_epoch)
        self._batches = recipe.run.accumulate  # in a step
        self._watch = report or (lambda record: None)
        self._stop = StopRequest(lambda: self._watch({"kind": "stopping", "step": self.progress.step}))
        self._checkpoints = Checkpoints(folder, recipe, data)
        self._clock = Clock()
        self._log: RunLog
        self._events: Events

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
            self._watch(self._opening("resume"))
            return 0.0
        with writing(self._folder.path):
            self._log = RunLog(self._folder.log, progress if resumed else None)  # from here on the folder is ours
            self._folder.tidy()
            self._folder.write_recipe(self._recipe)
            self._events = Events(self._folder.path, self._log.records(), self._warn)
        with self._log, self._events, self._stop, lone_values_allowed(self._engine.model):
            self._record(self._opening("resume" if resumed else "start"))
            if self._due:
                self._evaluate()
            self._engine.training()
            try:
                self._train()
            except RuntimeError as error:
                if "DataLoader worker" not in str(error):
                    raise
                raise RunError(
                    f"a process that prepares batches died: {str(error).splitlines()[0].rstrip(' .')}. If memory ran "
                    "out, give fewer (-o data.workers=1); the run can be resumed"
                ) from None
            seconds = time.perf_counter() - began
            self._record(
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
                self._leave_if_asked()
                loss, rate = self._step([self._next(batches) for _ in range(self._batches)])
                progress.step += 1
                self._clock.lap()
                self._watch({"kind": "step", "step": progress.step, "loss": loss, "lr": rate})
                if progress.step % every == 0 or progress.step == self._steps:
                    record = {
                        "kind": "train",
                        "step": progress.step,
                        "epoch": (progress.step * self._batches - 1) // self._loader.steps_per_epoch,
                        "loss": sum(losses) / len(losses),
                        "lr": rate,
                        "images_per_second": _rounded(self._clock.recent(self._recipe.data.batch_size * self._batches)),
                    }
                    self._record(record)
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
        except RuntimeError:
            # The terminal sends Ctrl-C to the loader's workers too. Where they were not forked they die of it.
            self._leave_if_asked()
            raise

    def _step(self, batches: list[Batch]) -> tuple[float, float]:
        """One step of the optimiser; returns loss and learning rate."""
        try:
            return self._engine.step(batches, self.progress.step, self._steps)
        except NotFiniteError as found:
            raise RunError(self._diverged(str(found), found.rate)) from None

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
        progress, recipe = self.progress, self._recipe
        began = time.perf_counter()

        def watch(done: int, total: int) -> None:
            if self._stop.number is not None:
                raise _Leave
            self._watch({"kind": "evaluating", "step": progress.step, "done": done, "total": total})

        scores, loss = PictureScores(self._data.val.num_classes), self._engine.validation_loss()
        try:
            self.metrics = evaluate(
                self._engine.served,
                self._data.val,
                batch_size=prepare.evaluation_batch(recipe, self._data),
                amp=recipe.run.amp == "bf16",
                progress=watch,
                observers=[scores, loss],
            )
        except _Leave:
            self._leave_if_asked()
        assert self.metrics is not None
        numbers = self.metrics.to_json()
        metric = recipe.run.metric
        score = numbers[metric] if numbers[metric] is not None else 0.0
        best = score > progress.best
        progress.evaluated = progress.step
        if best:
            progress.best_miou, progress.best_step = numbers["miou"] or 0.0, progress.step
            progress.best_score = None if metric == "miou" else score
            with writing(self._folder.path):
                split, palette = self._data.val.split, self._engine.model.config.palette
                Measured(progress.step, split, self.metrics, palette, tuple(scores.scores())).write(self._folder.path)
            self._checkpoints.save_best(self._engine.served, self.metrics)
        more = {"val_loss": loss.value(), "train_miou": self._engine.score.take()}
        seconds = time.perf_counter() - began
        record = {"kind": "eval", "step": progress.step, **numbers, **more, "best": best, "seconds": round(seconds, 2)}
        self._record(record)
        self._save()

    def _leave_if_asked(self) -> None:
        if self._stop.number is not None:
            self._save()
            raise Interrupted(self._folder.path, self.progress.step, self._stop.number)

    def _save(self) -> None:
        measured = self.metrics if self.progress.evaluated == self.progress.step else None
        engine = self._engine
        self._checkpoints.save_last(
            engine.model, engine.optimizer, self.progress, measured, served=engine.served, extra=engine.extra()
        )

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
            **environment(self._device),
        }

    def _record(self, record: Record) -> None:
        with writing(self._folder.path):
            self._log.write(record)
        self._events.write(record)
        self._watch(record)

    def _warn(self, text: str) -> None:
        self._watch({"kind": "warning", "step": self.progress.step, "text": text})


class _Leave(Exception):  # noqa: N818  (not an error: it carries a stop request out of an evaluation)
    pass


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
