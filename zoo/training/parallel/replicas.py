"""The model on every process, gradients added up: DistributedDataParallel."""

import inspect
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.futures import Future
from torch.nn.parallel import DistributedDataParallel

from zoo.model import SegmentationModel
from zoo.training.norm import lone_values_allowed
from zoo.training.parallel.norm import average_statistics
from zoo.training.parallel.spread import Spread
from zoo.training.parallel.team import Team

_SIDE = 64  # of the picture that is sent through a model to see which parameters take part


class Replicas(Spread):
    """A copy of the model on every process; all copies are the same after every step.

    Gradients are summed, not averaged: the loss of each process is its share of the whole batch's. On a CPU they are
    summed in the order of the processes, so that runs with as many processes agree bit for bit.

    Args:
        model: The same on all.
        team: All processes.
        device: Of this one.
    """

    def __init__(self, model: SegmentationModel, team: Team, device: torch.device) -> None:
        self._model, self._team = model, team
        options: dict[str, Any] = {"find_unused_parameters": bool(idle_parameters(model))}
        known = inspect.signature(DistributedDataParallel).parameters
        options["forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"] = False
        with team.talking():
            self._replica = DistributedDataParallel(
                model, device_ids=[device] if device.type == "cuda" else None, init_sync=False, **options
            )
        self._replica.register_comm_hook(team.size, _sum if device.type == "cuda" else _sum_in_order)
        self.forward: nn.Module = self._replica

    def accumulating(self, more: bool) -> AbstractContextManager[None]:
        return self._replica.no_sync() if more else nullcontext()

    def settle(self) -> None:
        average_statistics(self._model, self._team.size)


def idle_parameters(model: SegmentationModel) -> list[str]:
    """The names of parameters that would learn but that no output of the model depends on.

    DistributedDataParallel waits for the gradient of every parameter, unless it is told that some never come.
    """
    device = next(model.parameters()).device
    picture = torch.zeros(2, model.config.in_channels, _SIDE, _SIDE, device=device)
    modes = [(module, module.training) for module in model.modules()]
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    try:
        with lone_values_allowed(model), torch.enable_grad(), torch.random.fork_rng(_cuda(device)):
            outputs: dict[str, Tensor] = model.train()(picture)
        reached = _leaves([output.grad_fn for output in outputs.values()])
    finally:
        for module, mode in modes:
            module.training = mode
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
    return [
        name for name, parameter in model.named_parameters() if parameter.requires_grad and parameter not in reached
    ]


def _leaves(roots: list[Any]) -> set[Tensor]:
    """The tensors at the ends of a graph of gradients."""
    found: set[Tensor] = set()
    seen, waiting = set(roots), list(roots)
    while waiting:
        node = waiting.pop()
        if node is None:
            continue
        if hasattr(node, "variable"):
            found.add(node.variable)
        new = {following for following, _ in node.next_functions} - seen
        seen |= new
        waiting += new
    return found


def _cuda(device: torch.device) -> list[torch.device]:
    return [device] if device.type == "cuda" else []


def _sum(_size: int, bucket: dist.GradBucket) -> Future[Tensor]:  # type: ignore[name-defined]
    work = dist.all_reduce(bucket.buffer(), async_op=True)
    summed: Future[Tensor] = work.get_future().then(lambda future: future.value()[0])
    return summed


def _sum_in_order(size: int, bucket: dist.GradBucket) -> Future[Tensor]:  # type: ignore[name-defined]
    """Gloo's own sum depends on where in a bucket a gradient lies, and that changes after the first step."""
    own = bucket.buffer()
    parts = [torch.empty_like(own) for _ in range(size)]
    work = dist.all_gather(parts, own, async_op=True)

    def add(_future: Any) -> Tensor:
        for part in parts[1:]:
            parts[0].add_(part)
        return parts[0]

    summed: Future[Tensor] = work.get_future().then(add)
    return summed
