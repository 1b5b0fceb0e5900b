"""The evaluation behind the best weights, in more detail than the log has: ``evaluation.json``."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch

from zoo.config import Color
from zoo.evaluation.confusion import ConfusionMatrix
from zoo.evaluation.metrics import Metrics
from zoo.files import atomic_path

NAME = "evaluation.json"


@dataclass(frozen=True)
class Measured:
    """What was measured of one set of weights.

    Attributes:
        step: Steps the weights had taken.
        split: Of the data.
        metrics: All numbers.
        palette: One colour per class.
        pictures: The score of every picture, in the order of the split; see `PictureScores`.
    """

    step: int
    split: str
    metrics: Metrics
    palette: tuple[Color, ...]
    pictures: tuple[float | None, ...]

    def write(self, folder: Path) -> None:
        """Write it into a run folder; raises `OSError`."""
        record = {
            "step": self.step,
            "split": self.split,
            "classes": list(self.metrics.iou),
            "palette": [list(color) for color in self.palette],
            "ignored": self.metrics.confusion.ignored,
            "confusion": self.metrics.confusion.counts.tolist(),
            "pictures": [None if score is None else round(score, 6) for score in self.pictures],
        }
        with atomic_path(folder / NAME) as temporary:
            temporary.write_text(json.dumps(record, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """Read it from a run folder; None where there is none, or none that makes sense."""
        try:
            record: dict[str, Any] = json.loads((folder / NAME).read_text(encoding="utf-8"))
            classes = [str(name) for name in record["classes"]]
            matrix = ConfusionMatrix.from_counts(torch.tensor(record["confusion"], dtype=torch.int64))
            if matrix.num_classes != len(classes):
                return None
            return cls(
                step=int(record["step"]),
                split=str(record["split"]),
                metrics=Metrics.from_confusion(matrix, classes),
                palette=tuple(_color(color) for color in record["palette"]),
                pictures=tuple(None if score is None else float(score) for score in record["pictures"]),
            )
        except (OSError, ValueError, KeyError, TypeError, RuntimeError):
            return None


def _color(given: Sequence[int]) -> Color:
    red, green, blue = (int(value) % 256 for value in given)
    return red, green, blue
