"""The log of a run: ``metrics.jsonl``, one record per line, and the same records for whoever watches.

Every record has `kind` and `step` (steps taken so far). The kinds in the file:

* ``start``, ``resume``: what runs where: parameters, device, threads, versions; of several processes, how many
  (`processes`), and what torchrun calls them (`launch`);
* ``train``: `loss` (mean since the last such line), `lr`, `epoch`, `images_per_second` (training only);
* ``eval``: `miou`, `pixel_acc`, `mean_acc`, `fw_iou`, `iou` by class, `seconds`, `best` (whether it is the best yet),
  `val_loss` (see `ValidationLoss`), `train_miou` (see `TrainScore`; since the last evaluation);
* ``stop``: `why` it cannot go on;
* ``end``: `images_per_second` over the whole process, `peak_memory` in bytes, `seconds`, `best_miou`, `best_step`.

A watcher also gets ``step`` (after every step), ``evaluating`` (`done` of `total` pictures), ``warning`` (`text`) and
``stopping``. The last one comes from within a signal handler: note it, and print nothing there.
"""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from zoo.errors import RunError
from zoo.training.state import Progress

Record = dict[str, Any]
Report = Callable[[Record], None]


class RunLog:
    """``metrics.jsonl``, open for appending, and locked against a second process while it is.

    Args:
        path: The file.
        resumed: None to begin a log, which must be empty; otherwise the state to continue from: what was written
            after it is cut off, and comes again.

    Raises:
        RunError: The log has been begun (`resumed` is None), or another process is writing it.
    """

    def __init__(self, path: Path, resumed: Progress | None = None) -> None:
        self._file: BinaryIO = path.open("a+b")
        if not _lock(self._file):
            self._file.close()
            raise RunError(f"another process is training in {path.parent}")
        if resumed is not None:
            self._file.truncate(_kept(self._file, resumed))
        elif self._file.seek(0, os.SEEK_END) > 0:
            self._file.close()
            raise RunError(f"{path.parent} already holds a run: another process has just begun it")

    def write(self, record: Mapping[str, Any]) -> None:
        """Append one record; it has left this process when this returns."""
        self._file.write(json.dumps(record, allow_nan=False, ensure_ascii=False).encode() + b"\n")
        self._file.flush()

    def records(self) -> list[Record]:
        """All records so far, read through the open file: closing another one would release the lock."""
        self._file.seek(0)
        return [json.loads(line) for line in self._file]

    def __enter__(self) -> "RunLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def read_log(path: Path) -> list[Record]:
    """All records of a log; lines that make no sense, as the half one of a killed process, are passed over."""
    return [record for line in path.read_bytes().split(b"\n") if (record := _record(line))]


def _record(line: bytes) -> Record | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    fit = isinstance(record, dict) and isinstance(record.get("kind"), str) and isinstance(record.get("step"), int)
    return record if fit else None


def _kept(file: BinaryIO, state: Progress) -> int:
    """Length in bytes of the part of a log that lies before the state being resumed."""
    length = 0
    file.seek(0)  # the very file object: closing a second one would release the lock
    for line in file:
        try:
            record = json.loads(line)
            late = record["step"] > state.step or record["kind"] in ("end", "stop")
            late = late or (record["kind"] == "eval" and record["step"] > state.evaluated)
        except (ValueError, KeyError, TypeError):  # the half line of a killed process
            late = True
        if late or not line.endswith(b"\n"):
            break
        length += len(line)
    return length


def _lock(file: BinaryIO) -> bool:
    """Lock a file for this process alone; the system lets go when the process ends, however it ends."""
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True
