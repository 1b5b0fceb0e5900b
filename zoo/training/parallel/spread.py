"""How the weights and gradients of a model lie over the processes that train it."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from zoo.model import SegmentationModel
from zoo.training.parallel.team import Team

if TYPE_CHECKING:
    from zoo.training.average import Average
    from zoo.training.recipe import Recipe


class Gathered:
    """A model as it is saved: all its tensors, in full.

    Attributes:
        config: Of the model.
    """

    def __init__(self, state: dict[str, Any], model: SegmentationModel) -> None:
        self._state, self.config = state, model.config
        self._parameters = [name for name, _ in model.named_parameters()]

    def parameters(self) -> Iterator[Tensor]:
        """Those of its tensors that are parameters."""
        return (self._state[name] for name in self._parameters)

    def state_dict(self) -> dict[str, Any]:
        """What is saved."""
        return self._state


class Spread:
    """A model that is on this process alone, whole. The other kinds depart from it.

    Attributes:
        forward: What is called in training.
        factor: What the loss of a process is multiplied by before its gradient is taken.
    """

    factor = 1

    def __init__(self, model: SegmentationModel) -> None:
        self.forward: nn.Module = model

    def accumulating(self, more: bool) -> AbstractContextManager[None]:
        """The forward and backward pass of a batch: with `more` to come, its gradients stay on this process."""
        return nullcontext()

    def settle(self) -> None:
        """After a step: make the same on all processes what they computed each by itself."""

    def length(self, norm: Tensor) -> float:
        """The number in what `clip_grad_norm_` returned."""
        return float(norm)

    def whole(self, model: SegmentationModel) -> SegmentationModel | Gathered:
        """`model` in full, for saving. All processes call this; what the lead gets counts."""
        return model

    def whole_state(self, state: Mapping[str, Any]) -> Mapping[str, Any]:
        """A state in full, as `whole`."""
        return state

    def fitting(self, saved: Mapping[str, Any], model: SegmentationModel, learning: list[Tensor]) -> dict[str, Any]:
        """The state of a run as the parts that this process holds.

        Args:
            saved: Everything, in full.
            model: What it is for.
            learning: The parameters in the order of the optimiser.
        """
        return dict(saved)


def spread(
    model: SegmentationModel, average: "Average | None", recipe: "Recipe", team: Team, device: torch.device
) -> Spread:
    """Spread a model, in place, over a team as its recipe says.

    Args:
        model: On its device.
        average: Which follows it.
        recipe: Resolved.
        team: Of one: nothing is done.
        device: Of this process.
    """
    if team.size == 1:
        return Spread(model)
    if recipe.run.sync_bn:
        from zoo.training.parallel.norm import synchronise_norms

        synchronise_norms(model)
    if recipe.run.parallel == "fsdp":
        from zoo.training.parallel.shards import Shards

        return Shards(model, average, team, device)
    from zoo.training.parallel.replicas import Replicas

    return Replicas(model, team, device)
