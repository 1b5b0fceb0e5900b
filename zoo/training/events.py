"""The log of a run once more, for TensorBoard: ``events.out.tfevents.*`` in the run folder, where it is installed."""

from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from zoo.training.log import Record

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

_PATTERN = "events.out.tfevents.*"
_TRAIN = {"loss": "loss/train", "lr": "lr", "images_per_second": "images_per_second"}
_EVAL = {
    "val_loss": "loss/val",
    "miou": "miou/val",
    "train_miou": "miou/train",
    "pixel_acc": "pixel_acc/val",
    "mean_acc": "mean_acc/val",
    "fw_iou": "fw_iou/val",
}


class Events:
    """Writes the numbers of records as scalars; does nothing where TensorBoard is not installed.

    A file is begun anew with everything that the log has, and takes the place of those that were there. So it holds
    each step once, also after a run was killed and went back to an earlier state. Trouble in writing never stops a
    run: it is told once, and no more is written.

    Args:
        folder: The run folder.
        past: The records so far.
        trouble: Told what went wrong.
    """

    def __init__(self, folder: Path, past: Iterable[Record], trouble: Callable[[str], None]) -> None:
        self._trouble = trouble
        self._writer: SummaryWriter | None = None
        if find_spec("tensorboard") is None:
            return
        try:
            self._begin(folder, past)
        except Exception as error:
            self._give_up(error)

    def write(self, record: Record) -> None:
        """Write one record of the log."""
        if self._writer is None:
            return
        try:
            _add(self._writer, record)
        except Exception as error:
            self._give_up(error)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            try:
                self._writer.close()
            except Exception as trouble:
                self._give_up(trouble)

    def _begin(self, folder: Path, past: Iterable[Record]) -> None:
        from torch.utils.tensorboard import SummaryWriter

        old = list(folder.glob(_PATTERN))
        # The step says to a TensorBoard that is looking on: forget what you have read of this run.
        self._writer = SummaryWriter(str(folder), purge_step=0 if old else None)
        for record in past:
            _add(self._writer, record)
        self._writer.flush()
        for path in old:
            path.unlink(missing_ok=True)

    def _give_up(self, error: Exception) -> None:
        self._writer = None
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        self._trouble(f"no more events for TensorBoard: {reason}")


def _add(writer: "SummaryWriter", record: Record) -> None:
    step = record["step"]
    tags = {"train": _TRAIN, "eval": _EVAL}.get(record["kind"], {})
    numbers: dict[str, Any] = {tag: record.get(key) for key, tag in tags.items()}
    if record["kind"] == "eval":
        numbers |= {f"iou/{name}": value for name, value in record["iou"].items()}
    for tag, value in numbers.items():
        if value is not None:
            writer.add_scalar(tag, value, step)
