"""One step of a run: batches in, weights moved."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from zoo.data.loader import Batch
from zoo.dependence import classifier
from zoo.model import SegmentationModel
from zoo.ops import normalize
from zoo.training import state
from zoo.training.average import Average
from zoo.training.freeze import training_mode
from zoo.training.loss import Criterion, Whole
from zoo.training.observers import TrainScore, ValidationLoss
from zoo.training.optimizer import build_optimizer, lay_out_state, set_learning_rate
from zoo.training.parallel.spread import spread
from zoo.training.parallel.team import ALONE, Team
from zoo.training.recipe import Recipe
from zoo.training.recompute import recompute_blocks
from zoo.training.schedule import factor
from zoo.training.state import SavedModel

_PRECISION = {"bf16": torch.bfloat16, "fp16": torch.float16}


class NotFiniteError(ArithmeticError):
    """The loss of a step, or its gradient, is NaN or infinite; the weights have not moved.

    Attributes:
        rate: The learning rate of the step.
    """

    def __init__(self, what: str, value: float, rate: float) -> None:
        super().__init__(f"the {what} is {value}")
        self.rate = rate


class Snapshot(NamedTuple):
    """What a run saves of its engine.

    Attributes:
        model: The weights that learn.
        served: Those that are measured and given away.
        optimizer: Its state.
        extra: What else belongs to the state of the run.
    """

    model: SavedModel
    served: SavedModel
    optimizer: Mapping[str, Any]
    extra: Mapping[str, Any]


class Engine:
    """A model and what moves its weights.

    Attributes:
        model: What is trained.
        optimizer: Holds the parameters that learn.
        score: How well it does on the batches that it learns from.
        losses: Those of the steps since they were last logged; whoever logs them clears them.

    Args:
        recipe: Resolved.
        model: Frozen where the recipe says so.
        device: Where to compute; the model moves there.
        weights: Of the classes, in the loss.
        team: The processes that train together; all have the same `model`.
    """

    def __init__(
        self,
        recipe: Recipe,
        model: SegmentationModel,
        device: torch.device,
        weights: Tensor | None = None,
        team: Team = ALONE,
    ) -> None:
        run, optim = recipe.run, recipe.optim
        self._recipe, self._device, self._team = recipe, device, team
        self._layout = torch.channels_last if run.channels_last else torch.contiguous_format
        self.model = model.to(device).to(memory_format=self._layout)
        scores = classifier(model) if optim.head == "classifier" and optim.head_lr != 1 else frozenset[str]()
        self._average = Average(model, run.ema) if run.ema else None
        self._spread = spread(model, self._average, recipe, team, device)
        self.optimizer = build_optimizer(model, optim, scores)
        self._criterion = Criterion(recipe.loss, weights).to(device)
        self.score = TrainScore(model.config.num_classes, team.sum if team.size > 1 else None)
        self.losses: list[float] = []
        self._scaler = torch.amp.GradScaler(device.type, enabled=run.amp == "fp16")
        if run.recompute:
            recompute_blocks(model)
        forward = self._spread.forward
        self._forward: nn.Module = torch.compile(forward) if run.compile else forward  # type: ignore[assignment]

    @property
    def served(self) -> SegmentationModel:
        """The model that is measured and saved: the average where there is one."""
        return self.model if self._average is None else self._average.model

    def validation_loss(self) -> ValidationLoss:
        """What measures this loss on other pictures."""
        return ValidationLoss(self._criterion)

    def training(self) -> None:
        """Put the model into training mode, but for what is frozen."""
        training_mode(self.model, norms=not self._recipe.optim.freeze_norms)

    def step(self, batches: Sequence[Batch], number: int, steps: int) -> tuple[float, float]:
        """Take one step.

        Args:
            batches: All that make it up.
            number: Steps already taken.
            steps: Length of the run.

        Returns:
            Loss and learning rate.

        Raises:
            NotFiniteError: The loss is no number, or, where gradients are clipped, the gradient is none. Nothing has
                moved but the statistics of norms.
        """
        recipe = self._recipe
        rate = recipe.optim.lr * factor(recipe.schedule, number, steps)
        set_learning_rate(self.optimizer, rate)
        state.seed_step(recipe.run.seed, number, self._device, self._team.rank)
        masks = [batch.masks.to(self._device, non_blocking=True) for batch in batches]
        whole = self._criterion.whole(masks, self._team)
        self.optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self._device)
        for place, (batch, mask) in enumerate(zip(batches, masks, strict=True), start=1):
            with self._spread.accumulating(place < len(batches)):
                total += self._learn(batch, mask, whole)
        value = float(self._team.sum(total))  # waits for the device, so only once everything is under way
        if not math.isfinite(value):
            raise NotFiniteError("loss", value, rate)
        if recipe.optim.clip is not None:
            self._scaler.unscale_(self.optimizer)
            length = self._spread.length(nn.utils.clip_grad_norm_(self.model.parameters(), recipe.optim.clip))
            if not math.isfinite(length) and not self._scaler.is_enabled():  # a scaler leaves out such a step
                raise NotFiniteError("gradient", length, rate)
        self._scaler.step(self.optimizer)
        self._scaler.update()
        self._spread.settle()
        if self._average is not None:
            self._average.update(self.model, number)
        self.losses.append(value)
        return value, rate

    def _learn(self, batch: Batch, mask: Tensor, whole: Whole) -> Tensor:
        """Add the gradient of one batch, a part of the `whole`; returns its loss."""
        amp = self._recipe.run.amp
        images = normalize(batch.images.to(self._device, non_blocking=True), self.model.config.input)
        with torch.autocast(self._device.type, _PRECISION.get(amp), enabled=amp != "none"):
            outputs: dict[str, Tensor] = self._forward(images.contiguous(memory_format=self._layout))
        loss: Tensor = self._criterion(outputs, mask, whole)
        share = self._spread.factor
        scaled: Tensor = self._scaler.scale(loss if share == 1 else loss * share)
        torch.autograd.backward(scaled)
        self.score.update(outputs["out"], mask)
        return loss.detach()

    def snapshot(self) -> Snapshot:
        """All that is saved, in full. All processes call this together."""
        extra: dict[str, Any] = {"score": self.score.counts(), "losses": list(self.losses)}
        if self._average is not None:
            extra["average"] = self._spread.whole_state(self._average.state_dict())
        if self._scaler.is_enabled():
            extra["scaler"] = self._scaler.state_dict()
        model = self._spread.whole(self.model)
        served = model if self._average is None else self._spread.whole(self._average.model)
        return Snapshot(model, served, self._spread.whole_state(self.optimizer.state_dict()), extra)

    def restore(self, saved: dict[str, Any]) -> state.Progress:
        """Put a state back; raises `CheckpointError` where it does not fit."""
        learning = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        with state.fitting():
            saved = self._spread.fitting(saved, self.model, learning)
        fused = [group.get("fused") for group in self.optimizer.param_groups]
        progress = state.restore(saved, self.model, self.optimizer)
        lay_out_state(self.optimizer)
        for group, own in zip(self.optimizer.param_groups, fused, strict=True):
            if "fused" in group:
                group["fused"] = own  # a matter of where it runs, which may have changed
        with state.fitting():
            if "score" in saved and self._team.lead:  # the counts are of all processes
                self.score.restore(saved["score"])
            self.losses = list(saved.get("losses", []))
            if self._average is not None:
                self._average.load_state_dict(saved["average"])
            if self._scaler.is_enabled():
                self._scaler.load_state_dict(saved["scaler"])
        return progress
