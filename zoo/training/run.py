"""One process's part of a run: steps, evaluations, saves."""

import math
import platform
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import torch
from torch import Tensor

import zoo
from zoo.data.loader import Batch
from zoo.errors import RunError
from zoo.evaluation.evaluate import evaluate
from zoo.evaluation.metrics import Metrics
from zoo.model import SegmentationModel
from zoo.ops import normalize
from zoo.training import prepare, state
from zoo.training.checkpoint import Checkpoints
from zoo.training.clock import Clock
from zoo.training.folder import RunFolder, writing
from zoo.training.freeze import training_mode
from zoo.training.interrupt import Interrupted, StopRequest
from zoo.training.log import Record, Report, RunLog, peak_memory
from zoo.training.loss import Criterion, balancing_weights
from zoo.training.norm import lone_values_allowed
from zoo.training.optimizer import build_optimizer, set_learning_rate
from zoo.training.prepare import Data
from zoo.training.recipe import Recipe
from zoo.training.schedule import factor
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
        self._layout = torch.channels_last if recipe.run.channels_last else torch.contiguous_format
        self._model = model.to(device).to(memory_format=self._layout)
        self._optimizer = build_optimizer(model, recipe.optim)
        found, loss = data.found, recipe.loss
        weights = balancing_weights(loss.class_weights, found.pixels, found.image_pixels)
        self._criterion = Criterion(weights, label_smoothing=loss.label_smoothing, aux_weight=loss.aux_weight).to(
            device
        )
        self._loader = prepare.make_loader(recipe, data, device)
        self._steps = prepare.length(recipe, self._loader.steps_per_epoch)
        self._watch = report or (lambda record: None)
        self._stop = StopRequest(lambda: self._watch({"kind": "stopping", "step": self.progress.step}))
        self._checkpoints = Checkpoints(folder, recipe, data)
        self._clock = Clock()
        self._log: RunLog

    @property
    def images_per_second(self) -> float | None:
        return self._clock.rate(self._recipe.data.batch_size)

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
        progress = state.restore(saved, self._model, self._optimizer)
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
        with self._log, self._stop, lone_values_allowed(self._model):
            self._record(self._opening("resume" if resumed else "start"))
            if self._due:
                self._evaluate()
            training_mode(self._model)
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
        progress, every = self.progress, self._recipe.run.log_every
        # Closed in good order, the workers end at once; left to the garbage collector, they do not.
        with closing(self._loader.batches(progress.step, self._steps)) as batches:
            losses: list[float] = []
            self._clock.start()
            while progress.step < self._steps:
                self._leave_if_asked()
                batch = self._next(batches)
                loss, rate = self._step(batch)
                losses.append(loss)
                progress.step += 1
                self._clock.lap()
                self._watch({"kind": "step", "step": progress.step, "loss": loss, "lr": rate})
                if progress.step % every == 0 or progress.step == self._steps:
                    record = {
                        "kind": "train",
                        "step": progress.step,
                        "epoch": (progress.step - 1) // self._loader.steps_per_epoch,
                        "loss": sum(losses) / len(losses),
                        "lr": rate,
                        "images_per_second": _rounded(self._clock.recent(self._recipe.data.batch_size)),
                    }
                    self._record(record)
                    losses.clear()
                if self._due:
                    self._leave_if_asked()
                    self._clock.stop()
                    self._evaluate()
                    self._clock.start()

    def _next(self, batches: Iterator[Batch]) -> Batch:
        try:
            return next(batches)
        except RuntimeError:
            # The terminal sends Ctrl-C to the loader's workers too. Where they were not forked they die of it.
            self._leave_if_asked()
            raise

    def _step(self, batch: Batch) -> tuple[float, float]:
        """One step of the optimiser; returns loss and learning rate."""
        recipe, step = self._recipe, self.progress.step
        rate = recipe.optim.lr * factor(recipe.schedule, step, self._steps)
        set_learning_rate(self._optimizer, rate)
        state.seed_step(recipe.run.seed, step, self._device)
        images = normalize(batch.images.to(self._device, non_blocking=True), self._model.config.input)
        masks = batch.masks.to(self._device, non_blocking=True)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=recipe.run.amp == "bf16"):
            outputs: dict[str, Tensor] = self._model(images.contiguous(memory_format=self._layout))
        loss = self._criterion(outputs, masks)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise RunError(self._diverged(value, rate))
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()
        return value, rate

    def _diverged(self, loss: float, rate: float) -> str:
        epoch, place = divmod(self.progress.step, self._loader.steps_per_epoch)
        size = self._recipe.data.batch_size
        keys = self._loader.order(epoch)[place * size : (place + 1) * size]
        files = ", ".join(self._data.train.label(key.sample) for key in keys)
        kept = (
            f"an earlier step is kept in {self._folder.path}" if self._folder.state.exists() else "none was saved yet"
        )
        precision = ", full precision (-o run.amp=none)" if self._recipe.run.amp != "none" else ""
        return (
            f"the loss is {loss} in step {self.progress.step + 1} (learning rate {rate:.3g}, "
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

        try:
            self.metrics = evaluate(
                self._model,
                self._data.val,
                batch_size=prepare.evaluation_batch(recipe, self._data),
                amp=recipe.run.amp == "bf16",
                progress=watch,
            )
        except _Leave:
            self._leave_if_asked()
        assert self.metrics is not None
        numbers = self.metrics.to_json()
        score = numbers["miou"] if numbers["miou"] is not None else 0.0
        best = score > progress.best_miou
        progress.evaluated = progress.step
        if best:
            progress.best_miou, progress.best_step = score, progress.step
            self._checkpoints.save_best(self._model, self.metrics)
        seconds = time.perf_counter() - began
        self._record({"kind": "eval", "step": progress.step, **numbers, "best": best, "seconds": round(seconds, 2)})
        self._save()

    def _leave_if_asked(self) -> None:
        if self._stop.number is not None:
            self._save()
            raise Interrupted(self._folder.path, self.progress.step, self._stop.number)

    def _save(self) -> None:
        measured = self.metrics if self.progress.evaluated == self.progress.step else None
        self._checkpoints.save_last(self._model, self._optimizer, self.progress, measured)

    def _opening(self, kind: str) -> Record:
        parameters = list(self._model.parameters())
        return {
            "kind": kind,
            "step": self.progress.step,
            "steps": self._steps,
            "steps_per_epoch": self._loader.steps_per_epoch,
            "model": self._model.config.name,
            "parameters": sum(parameter.numel() for parameter in parameters),
            "trained_parameters": sum(parameter.numel() for parameter in parameters if parameter.requires_grad),
            "data": self._data.train.name,
            "train_images": len(self._data.train),
            "val_images": len(self._data.val),
            "classes": self._data.train.num_classes,
            "absent": list(self._data.found.absent),
            "batch_size": self._recipe.data.batch_size,
            "crop": self._recipe.to_json()["data"]["crop"],
            "device": str(self._device),
            "threads": torch.get_num_threads(),
            "zoo": zoo.__version__,
            "torch": str(torch.__version__),
            "python": platform.python_version(),
        }

    def _record(self, record: Record) -> None:
        with writing(self._folder.path):
            self._log.write(record)
        self._watch(record)


class _Leave(Exception):  # noqa: N818  (not an error: it carries a stop request out of an evaluation)
    pass


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
