"""A team of several processes, on `torch.distributed`."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor

from zoo.errors import RunError
from zoo.inference.forward import choose_device
from zoo.training.parallel import launch
from zoo.training.parallel.meeting import meeting_place
from zoo.training.parallel.team import Team, Value

_SIGNS = ("gloo", "NCCL", "Connection", "Socket", "process group", "ProcessGroup", "timed out", "TCPStore")
_FIRST_WORD = 2.0  # seconds


class Ranks(Team):
    """The processes that a launcher has started. Tensors on a CPU travel by gloo, those on a GPU by NCCL.

    Raises:
        RunError: The others cannot be reached.
    """

    def __init__(self) -> None:
        self.rank, self.size = launch.number("RANK", 0), launch.number("WORLD_SIZE", 1)
        self.local_rank = launch.number("LOCAL_RANK", self.rank)
        self.local_size = launch.number("LOCAL_WORLD_SIZE", self.size)
        self.told = False
        self._held: Exception | None = None
        self._ours = not dist.is_initialized()
        if self._ours:
            gpu = torch.cuda.is_available() and dist.is_nccl_available()
            with self.talking():
                store = meeting_place(self.rank, self.size)
                backends = "cpu:gloo,cuda:nccl" if gpu else "gloo"
                dist.init_process_group(backends, store=store, rank=self.rank, world_size=self.size)

    def leave(self) -> None:
        """Close the connections."""
        if self._ours and dist.is_initialized():
            dist.destroy_process_group()

    def check(self, stop: int | None = None) -> int | None:
        mine = torch.tensor([stop or 0, self._held is not None])
        table = torch.empty(self.size, 2, dtype=mine.dtype)
        with self.talking():
            dist.all_gather([*table], mine)
        self.told = False
        if table[:, 1].any():
            self._fail()
        stops = [number for number in table[:, 0].tolist() if number]
        return stops[0] if stops else None

    @contextmanager
    def holding(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._held = self._held or error

    @contextmanager
    def talking(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            if not isinstance(error, dist.DistError) and not any(sign in str(error) for sign in _SIGNS):
                raise
            reason = re.sub(r"^\[\S+\] ", "", str(error).splitlines()[0]).partition(". ")[0].rstrip(".")
            raise RunError(
                f"process {self.rank} of {self.size} has lost another one ({reason}); what was saved is whole, and the "
                "run can be resumed"
            ) from error

    def silent(self, error: Exception) -> bool:
        if self.lead or self.told:
            return not self.lead
        # A mistake in the settings is found by all at once. The lead has the first word: where it fails as well, its
        # launcher ends this process before it says the same again.
        time.sleep(_FIRST_WORD)
        return False

    def share(self, value: Value) -> Value:
        box = [value if self.lead else None]
        with self.talking():
            dist.broadcast_object_list(box, src=0, device=torch.device("cpu"))
        received = box[0]
        return received  # type: ignore[return-value]  # the lead's own

    def gather(self, value: Value) -> list[Value]:
        boxes: list[Value] = [value] * self.size
        with self.talking():
            dist.all_gather_object(boxes, value)
        return boxes

    def sum(self, tensor: Tensor) -> Tensor:
        total = tensor.detach().clone()
        with self.talking():
            dist.all_reduce(total)
        return total

    def device(self, wanted: str) -> torch.device:
        """The device of this process: of the GPUs of a host, each of its processes has its own.

        Raises:
            RunError: There are more processes than GPUs, or a single one was asked for.
            ZooError: There is no such device.
        """
        if wanted == "auto":
            wanted = "cuda" if torch.cuda.is_available() else "cpu"
        if wanted == "cpu":
            return choose_device(wanted)
        if wanted != "cuda":
            raise RunError(f"{self.size} processes cannot share the device {wanted!r}: give 'cuda', 'cpu' or 'auto'")
        choose_device(wanted)
        gpus = torch.cuda.device_count()
        if self.local_size > gpus:
            raise RunError(
                f"{self.local_size} processes on a host with {gpus} GPU{'s' if gpus != 1 else ''}: "
                f"start {gpus} (--nproc-per-node {gpus}), or use the CPU (--device cpu)"
            )
        torch.cuda.set_device(self.local_rank)
        return torch.device("cuda", self.local_rank)

    def _fail(self) -> None:
        """Raise on all, because one of them holds an error."""
        held, self._held = self._held, None
        said = self.gather(None if held is None else _one_line(held))
        self.told = True
        if held is not None:
            raise held
        rank, message = next((rank, message) for rank, message in enumerate(said) if message is not None)
        raise RunError(f"process {rank}: {message}")


def _one_line(error: Exception) -> str:
    from zoo.errors import ZooError

    text = str(error)
    return text if isinstance(error, ZooError) else f"{type(error).__name__}: {text}".splitlines()[0]
