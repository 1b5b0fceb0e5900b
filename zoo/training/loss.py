"""The loss: a sum of losses over the pixels that count, for the main output and the auxiliary ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from zoo.errors import RunError
from zoo.plan import check_options
from zoo.registry import registry
from zoo.training.loss_table import LossTable, TermTable
from zoo.training.named import NamedLoss, options_of
from zoo.training.parallel.team import ALONE, Team
from zoo.training.pixelwise import counted, cross_entropy_sum, ohem

_PIXELWISE = ("cross_entropy", "ohem")
"""What is summed over pixels here, with the weights of classes."""


@dataclass(frozen=True)
class Whole:
    """The whole that a batch is a part of, where several make up one step.

    Attributes:
        divisor: What the summed cross-entropy of all parts is divided by.
        parts: How many batches there are.
    """

    divisor: Tensor
    parts: int = 1


class Criterion(nn.Module):
    """The loss of ``"out"``, plus `aux_weight` times that of each auxiliary output.

    Args:
        table: Which losses, and their numbers.
        weights: One weight per class, or None for equal ones.

    Raises:
        OptionError: A loss has no such option, or does not take the value.
        PluginError: The loss of a plugin cannot be imported.
        RunError: A loss needs a package that is not installed.
    """

    weights: Tensor | None

    def __init__(self, table: LossTable | None = None, weights: Tensor | None = None) -> None:
        super().__init__()
        self.table = table or LossTable()
        self.register_buffer("weights", weights)
        self._terms = self.table.terms or (TermTable(name=self.table.name, options=self.table.options),)
        self._options = [options_of(term, self.table) for term in self._terms]
        self._named = nn.ModuleDict()
        for place, (term, options) in enumerate(zip(self._terms, self._options, strict=True)):
            if term.name in _PIXELWISE:
                check_options(registry().get("loss", term.name), options)
            else:
                self._named[str(place)] = NamedLoss(term.name, options)

    def whole(self, targets: Sequence[Tensor], team: Team = ALONE) -> Whole:
        """What the batches with these labels are parts of.

        With it, the losses of the parts add up to the loss of one big batch, exactly for cross-entropy; the others are
        not sums over pixels, and it is the mean of the parts' losses. Each process of a `team` has parts of its own.
        """
        parts = len(targets) * team.size
        if self.table.reduction == "sum":
            pictures = torch.tensor(sum(len(target) for target in targets), dtype=torch.float32)
            return Whole(team.sum(pictures), parts)
        divisor = team.sum(torch.stack([_share(target, self.weights) for target in targets]).sum())
        return Whole(torch.where(divisor > 0, divisor, 1), parts)

    def forward(self, outputs: Mapping[str, Tensor], target: Tensor, whole: Whole | None = None) -> Tensor:
        """Map logits (N, K, H, W) by name and labels (N, H, W) int64 to a scalar; `whole`: of how many batches."""
        whole = whole or self.whole([target])
        loss = self._of(outputs["out"], target, whole)
        for name, logits in outputs.items():
            if name.startswith("aux"):
                loss = loss + self.table.aux_weight * self._of(logits, target, whole)
        return loss

    def estimate(self, logits: Tensor, target: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """The loss of the main output, as one pixel of every `step` in each direction tells it.

        Args:
            logits: (N, K, H, W).
            target: (N, H, W) int64.
            step: 1: of all pixels.

        Returns:
            The loss, and what it weighs in the mean over several batches: the labelled pixels it was taken of, or, of
            a sum, which is brought up to all labelled pixels, its pictures.
        """
        few = target[:, ::step, ::step]
        weight = counted(few).sum()
        if self.table.reduction == "sum":
            share = weight / counted(target).sum().clamp(min=1)
            weight = torch.full_like(weight, len(target))
            whole = Whole(weight * torch.where(share > 0, share, 1))
        else:
            whole = self.whole([few])
        return self({"out": logits[:, :, ::step, ::step]}, few, whole), weight

    def _of(self, logits: Tensor, target: Tensor, whole: Whole) -> Tensor:
        logits = logits.float()
        total = logits.new_zeros(())
        for place, term in enumerate(self._terms):
            total = total + term.weight * self._term(place, logits, target, whole)
        return total

    def _term(self, place: int, logits: Tensor, target: Tensor, whole: Whole) -> Tensor:
        name, options = self._terms[place].name, self._options[place]
        if name == "cross_entropy":
            summed = cross_entropy_sum(logits, target, self.weights, **options)
            return summed / whole.divisor.to(summed.device)
        if name == "ohem":
            value = ohem(logits, target, weights=self.weights, **options)
        else:
            value = self._named[str(place)](logits, target)
        return value / whole.parts


class CrossEntropy(nn.Module):
    """`cross_entropy` as a loss by itself."""

    def __init__(self, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        return cross_entropy(logits, target, None, self.label_smoothing)


class OHEM(nn.Module):
    """`zoo.training.pixelwise.ohem` as a loss by itself."""

    def __init__(self, threshold: float = 0.7, keep: float = 0.0625, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.threshold, self.keep, self.label_smoothing = threshold, keep, label_smoothing

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        return ohem(logits, target, self.threshold, self.keep, None, self.label_smoothing)


def cross_entropy(
    logits: Tensor, target: Tensor, weights: Tensor | None = None, label_smoothing: float = 0.0
) -> Tensor:
    """Mean cross-entropy of the pixels whose label is not `IGNORE`; zero, with zero gradient, if there is none.

    Equal to torch's own mean wherever that is a number: with class weights it divides by the sum of the
    weights of the pixels' labels. Computed in float32 whatever the logits' type.

    Args:
        logits: (N, K, H, W).
        target: (N, H, W) int64, labels in [0, K) or `IGNORE`.
        weights: (K,) or None.
        label_smoothing: In [0, 1).
    """
    share = _share(target, weights)
    return cross_entropy_sum(logits, target, weights, label_smoothing) / torch.where(share > 0, share, 1)


def class_weights(
    kind: str | Sequence[float], pixels: Sequence[int], present: Sequence[int], names: Sequence[str] = ()
) -> Tensor | None:
    """The class weights of a recipe: those given, or as `balancing_weights` computes them.

    Raises:
        RunError: As many numbers as there are classes were expected.
    """
    if isinstance(kind, str):
        return balancing_weights(kind, pixels, present)
    if len(kind) != len(pixels):
        raise RunError(
            f"loss.class_weights has {len(kind)} numbers, and the data {len(pixels)} classes: {', '.join(names)}"
        )
    return torch.tensor(kind, dtype=torch.float32)


def balancing_weights(kind: str, pixels: Sequence[int], present: Sequence[int]) -> Tensor | None:
    """Class weights that lift rare classes, computed from the training masks.

    ``"inverse"``: total / (classes seen · pixels of the class), so a balanced set has weights of 1.
    ``"median"``: median frequency balancing (Eigen and Fergus 2015): freq(c) = pixels of c over the pixels of
    all images in which c appears; weight(c) = median of freq / freq(c). A class that never appears gets 1.

    Args:
        kind: ``"none"``, ``"inverse"`` or ``"median"``.
        pixels: Counted pixels of each class.
        present: Counted pixels of the images in which each class appears.

    Returns:
        (K,) float32, or None for ``"none"``.
    """
    if kind == "none":
        return None
    counts = torch.tensor(pixels, dtype=torch.float64)
    seen = counts > 0
    weights = torch.ones_like(counts)
    if kind == "inverse":
        weights[seen] = counts.sum() / (seen.sum() * counts[seen])
    else:
        frequency = counts[seen] / torch.tensor(present, dtype=torch.float64)[seen]
        weights[seen] = frequency.quantile(0.5) / frequency
    return weights.float()


def _share(target: Tensor, weights: Tensor | None) -> Tensor:
    """What a mean over pixels divides by: how many count, or the sum of their weights."""
    valid = counted(target)
    if weights is None:
        return valid.sum().float()
    return (weights[target.clamp(max=len(weights) - 1)] * valid).sum()
