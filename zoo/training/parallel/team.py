"""The processes that train together, as one of them sees them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor

from zoo.inference.forward import choose_device
from zoo.training.parallel import launch

Value = TypeVar("Value")


class Team:
    """All processes of a run. This class is a team of one; `Ranks` is one of several.

    Attributes:
        rank: Number of this process, from 0.
        size: How many there are.
        local_rank: Number of this process among those of its host.
        local_size: How many there are on this host.
        told: Whether all of them know of the error that is being raised, so that one of them is enough to print it.
    """

    rank = 0
    size = 1
    local_rank = 0
    local_size = 1
    told = False

    @property
    def lead(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.rank == 0

    def check(self, stop: int | None = None) -> int | None:
        """Meet the others: raise where one of them holds an error, else learn whether one of them is to stop.

        Args:
            stop: The number of the signal that has reached this process.

        Returns:
            The number of a signal that has reached any of them, the same one on all.

        Raises:
            Exception: The error that this process holds.
            RunError: Another one holds an error; the message says which, and what it was.
        """
        return stop

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Hold an error of this block until the next `check`, so that the others are not left waiting."""
        yield

    @contextmanager
    def together(self) -> Iterator[None]:
        """`holding`, and a `check` at the end. The block itself meets nobody."""
        with self.holding():
            yield
        self.check()

    def silent(self, error: Exception) -> bool:
        """Whether another process says what is wrong, so that this one need not."""
        return False

    @contextmanager
    def talking(self) -> Iterator[None]:
        """Turn what torch raises in this block when another process is gone into one line."""
        yield

    def share(self, value: Value) -> Value:
        """The leading process's `value`."""
        return value

    def gather(self, value: Value) -> list[Value]:
        """Everybody's `value`, by rank."""
        return [value]

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum of everybody's `tensor`; all have one shape and lie on one kind of device."""
        return tensor

    def device(self, wanted: str) -> torch.device:
        """The device of this process, for what a recipe wants; raises as `choose_device`."""
        return choose_device(wanted)


ALONE = Team()

_present: list[Team] = []


@contextmanager
def joined() -> Iterator[Team]:
    """Yield the team of this process for the length of a block; within it, the same one again.

    A process that no launcher has started, or that it has started alone, is a team of one.

    Raises:
        RunError: The others cannot be reached.
    """
    if _present or not launch.launched():
        yield _present[-1] if _present else ALONE
        return
    from zoo.training.parallel.ranks import Ranks

    team = Ranks()
    _present.append(team)
    try:
        yield team
        team.leave()
    except BaseException:
        if team.told:  # otherwise the others may be anywhere, and taking leave would wait for them
            team.leave()
        raise
    finally:
        _present.remove(team)
