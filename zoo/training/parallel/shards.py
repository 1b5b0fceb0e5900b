"""The model cut into pieces, one on each process: FSDP2."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from zoo.model import SegmentationModel
from zoo.training.parallel.norm import average_statistics
from zoo.training.parallel.spread import Gathered, Spread
from zoo.training.parallel.team import Team
from zoo.training.recompute import blocks

if TYPE_CHECKING:
    from zoo.training.average import Average


class Shards(Spread):
    """Every process holds a part of each parameter, of its gradient and of the optimiser's state for it.

    A block of the model, as `blocks` finds them, is put together when it is computed. What is saved is put together
    as well, on the leading process's CPU: files are those of any other run.

    Args:
        model: The same on all; changed in place.
        average: Which follows it; likewise.
        team: All processes.
        device: Of this one.
    """

    def __init__(self, model: SegmentationModel, average: "Average | None", team: Team, device: torch.device) -> None:
        self._model, self._team = model, team
        self.factor = team.size  # FSDP takes the mean of the gradients
        with team.talking():
            mesh = init_device_mesh(device.type, (team.size,))
            for one in [model] if average is None else [model, average.model]:
                _shard(one, mesh)
        self.forward: nn.Module = model

    def accumulating(self, more: bool) -> AbstractContextManager[None]:
        return self._exchanging(not more)

    def settle(self) -> None:
        average_statistics(self._model, self._team.size)

    def length(self, norm: Tensor) -> float:
        return float(norm.full_tensor() if isinstance(norm, DTensor) else norm)

    def whole(self, model: SegmentationModel) -> SegmentationModel | Gathered:
        return Gathered(_full(model.state_dict(), self._team.lead), model)

    def whole_state(self, state: Mapping[str, Any]) -> Mapping[str, Any]:
        found: Mapping[str, Any] = _full(state, self._team.lead)
        return found

    def fitting(self, saved: Mapping[str, Any], model: SegmentationModel, learning: list[Tensor]) -> dict[str, Any]:
        own = model.state_dict()
        result = dict(saved)
        for key in ("model", "average"):
            if key in saved:
                result[key] = {name: _cut(tensor, own.get(name)) for name, tensor in saved[key].items()}
        optimizer = saved["optimizer"]
        state = {
            index: {name: _cut(value, learning[index]) for name, value in entry.items()}
            for index, entry in optimizer["state"].items()
            if index < len(learning)
        }
        result["optimizer"] = {**optimizer, "state": state}
        return result

    @contextmanager
    def _exchanging(self, now: bool) -> Iterator[None]:
        assert isinstance(self._model, FSDPModule)
        self._model.set_requires_gradient_sync(now)
        yield


def _shard(model: SegmentationModel, mesh: DeviceMesh) -> None:
    model.to(memory_format=torch.contiguous_format)  # FSDP cuts no others; pictures keep the layout of the recipe
    for block in blocks(model):
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)


def _full(tree: Any, keep: bool) -> Any:
    """A state whose tensors are whole and on the CPU; where they are not kept they are only helped together."""
    match tree:
        case DTensor():
            with torch.no_grad():
                full = tree.full_tensor()
            return full.cpu() if keep else None
        case Tensor():
            return tree.detach().cpu() if keep else None
        case Mapping():
            return {key: _full(value, keep) for key, value in tree.items()}
        case list() | tuple():
            return type(tree)(_full(value, keep) for value in tree)
    return tree


def _cut(value: Any, like: Tensor | None) -> Any:
    """The part of a whole tensor that this process holds of `like`."""
    if not isinstance(like, DTensor) or not isinstance(value, Tensor) or value.shape != like.shape:
        return value
    whole = value.to(like.device, memory_format=torch.contiguous_format)
    return distribute_tensor(whole, like.device_mesh, like.placements, src_data_rank=None)
