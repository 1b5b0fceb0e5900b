"""The model around which a file is made: from a picture as it is to scores and labels."""

import json
from typing import Any

from torch import Tensor, nn

from zoo.model import SegmentationModel
from zoo.ops import normalize


class PictureModel(nn.Module):
    """Maps uint8 (N, C, H, W), RGB where there are three channels, to the labels and the logits of a model.

    Args:
        model: In evaluation mode.
        answers: Keys of its answers, ``"out"`` first.
    """

    def __init__(self, model: SegmentationModel, answers: tuple[str, ...]) -> None:
        super().__init__()
        self.model = model
        self.answers = answers
        self.input = model.config.input

    @property
    def output_names(self) -> list[str]:
        """``labels``, ``logits``, then ``logits_KEY`` of further answers."""
        return ["labels", "logits", *(f"logits_{key}" for key in self.answers[1:])]

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Map (N, C, H, W) uint8 to labels (N, H, W) int64, logits (N, K, H, W) float32, logits of further answers."""
        results = self.model(normalize(image, self.input))
        logits = [results[key].float() for key in self.answers]
        return (logits[0].argmax(1), *logits)


def description(model: SegmentationModel) -> str:
    """What the file says of itself: the model's config as canonical JSON."""
    record: dict[str, Any] = model.config.to_json()
    return json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
