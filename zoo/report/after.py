"""The report that a run leaves when it ends, however that goes."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from zoo.errors import RunError
from zoo.training.interrupt import Interrupted


@contextmanager
def report_after(folder: Path, watch: Callable[[dict[str, Any]], None] | None = None) -> Iterator[None]:
    """Write ``report.html`` when the block has ended, was interrupted (then with fewer pictures, for haste) or failed.

    Whatever goes wrong in that is one warning, to `watch` where there is one: a run is not lost for its report.
    """
    try:
        yield
    except (Interrupted, RunError):
        _try(folder, watch, each=1)
        raise
    _try(folder, watch, each=2)


def _try(folder: Path, watch: Callable[[dict[str, Any]], None] | None, each: int) -> None:
    if torch.distributed.is_available() and torch.distributed.is_initialized() and torch.distributed.get_rank() > 0:
        return
    try:
        from zoo.report.comparison import stages_of
        from zoo.report.report import write_report
        from zoo.report.stages import write_stages_report

        if stages_of(folder):
            write_stages_report(folder)
        else:
            write_report(folder, each=each, measure=False)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        text = f"no report was written: {reason}; nothing of the run is lost (later: zoo report {folder})"
        if watch is None:
            warnings.warn(text, stacklevel=4)
        else:
            watch({"kind": "warning", "step": -1, "text": text})
