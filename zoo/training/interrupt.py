"""Stopping a run in good order: Ctrl-C asks, and the loop stops after the step it is in."""

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """A run was stopped by a signal and its state is saved.

    Attributes:
        out: The run folder.
        step: The last step that was saved.
        exit_code: 128 + the signal's number, as shells count it: 130 after Ctrl-C.
    """

    def __init__(self, out: Path, step: int, number: int) -> None:
        super().__init__(f"stopped after step {step}")
        self.out = out
        self.step = step
        self.exit_code = 128 + number


class StopRequest:
    """Within this block, SIGINT and SIGTERM set `number` instead of breaking in; a second one breaks in.

    Outside the main thread signals cannot be caught, and nothing changes.

    Args:
        on_request: Called once, when the first signal comes.
        patient: Also a second one does not break in. A launcher may hand on what the terminal has sent already, and
            kills what does not end in time.
    """

    def __init__(self, on_request: Callable[[], None] | None = None, *, patient: bool = False) -> None:
        self.number: int | None = None
        self._patient = patient
        self._on_request = on_request
        self._owner = os.getpid()
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._handle) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            if handler is not None:  # None: set by something other than Python, which cannot be put back
                signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._owner:  # a forked loader worker, which Ctrl-C in a terminal reaches too
            return
        if self.number is not None:
            if self._patient:
                return
            raise KeyboardInterrupt
        self.number = number
        if hasattr(signal, "SIGCHLD"):
            # A signal to the whole process group ends loader workers, and torch would raise that in the middle of
            # the step that is to be finished.
            self._previous.setdefault(signal.SIGCHLD, signal.signal(signal.SIGCHLD, signal.SIG_DFL))
        if self._on_request is not None:
            self._on_request()
