"""What belongs to the whole process: a component that changes it changes the results of all others."""

import random
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch

from zoo.testing.subject import Subject, require

_MEND = "take the line that sets it out, or set it back: it belongs to whoever runs the program"


def state() -> dict[str, object]:
    """Name → value of everything global that a component may not change, but for torch's generator."""
    return {
        "Python's random generator": repr(random.getstate()),
        "NumPy's random generator": repr(np.random.get_state(legacy=False)),
        "torch's default dtype": torch.get_default_dtype(),
        "torch's default device": torch.get_default_device(),
        "the gradient mode": torch.is_grad_enabled(),
        "the number of torch's threads": torch.get_num_threads(),
        "torch's deterministic mode": torch.are_deterministic_algorithms_enabled(),
        "torch's float32 matmul precision": torch.get_float32_matmul_precision(),
        "cudnn.benchmark": torch.backends.cudnn.benchmark,
    }


def generator() -> bytes:
    """The state of torch's generator."""
    return torch.get_rng_state().numpy().tobytes()


def filters() -> list[str]:
    """The filters of `warnings`, in words."""
    return [repr(entry) for entry in warnings.filters]


def changed(before: dict[str, object], after: dict[str, object]) -> list[str]:
    """Names of what is not what it was."""
    return [name for name in before if before[name] != after[name]]


def global_state(subject: Subject) -> None:
    """Building it and running it change nothing global; its weights are drawn from torch's generator, never seeded."""
    unmoved(lambda: _use(subject), "building and running it")


def unmoved(act: Callable[[], object], what: str) -> None:
    """Raise `NotConforming` where `act` changes anything global, or seeds torch's generator."""
    first = state()
    drawn = random.getstate(), np.random.get_state()
    after = []
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings(), _thread_calls() as calls:
        try:
            act()  # libraries are imported; which filters they set is not the component's doing
            moved = changed(first, state())
            _unusual(first)
            warnings.resetwarnings()
            before = state()
            for seed in (11, 12):
                torch.manual_seed(seed)
                act()
                after.append(generator())
            moved = sorted({*moved, *changed(before, state()), *calls})
            added = filters()
        finally:
            _put_back(first)
            random.setstate(drawn[0])
            np.random.set_state(drawn[1])
    require(not moved, f"{what} changes {', '.join(moved)}", mend=_MEND)
    require(not added, f"{what} adds to the filters of warnings: {added[0] if added else ''}", mend=_MEND)
    require(
        after[0] != after[1],
        f"{what} seeds torch's generator: it ends in the same state whatever it was before",
        mend="leave torch.manual_seed out; draw from a torch.Generator of your own where numbers must be fixed",
    )


def _unusual(first: dict[str, object]) -> None:
    """Another state than the first run may have left, so that setting something twice to the same is seen."""
    _put_back(first)
    random.random()
    np.random.random()


@contextmanager
def _thread_calls() -> Iterator[list[str]]:
    """Notes calls of `torch.set_num_threads`: a number of threads may be set to what it happens to be here."""
    original, calls = torch.set_num_threads, list[str]()

    def noting(nthreads: int) -> None:
        calls.append("the number of torch's threads")
        original(nthreads)

    torch.set_num_threads = noting
    try:
        yield calls
    finally:
        torch.set_num_threads = original


def _put_back(first: dict[str, object]) -> None:
    torch.set_default_dtype(first["torch's default dtype"])  # type: ignore[arg-type]
    device = torch.device(str(first["torch's default device"]))
    if torch.get_default_device() != device:
        torch.set_default_device(None if device.type == "cpu" else device)
    torch.set_grad_enabled(bool(first["the gradient mode"]))
    threads = int(str(first["the number of torch's threads"]))
    if threads != torch.get_num_threads():
        torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(bool(first["torch's deterministic mode"]))
    torch.set_float32_matmul_precision(str(first["torch's float32 matmul precision"]))
    torch.backends.cudnn.benchmark = bool(first["cudnn.benchmark"])


def _use(subject: Subject) -> None:
    model = subject.build_here().eval()
    with torch.no_grad():
        model(subject.input(model, batch=1))
