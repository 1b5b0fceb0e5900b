"""Measuring a model on a data set."""

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.config import IGNORE
from zoo.data.dataset import SegmentationDataset
from zoo.errors import DataError, IncompatibleError
from zoo.evaluation.confusion import ConfusionMatrix
from zoo.evaluation.matching import match_classes
from zoo.evaluation.metrics import Metrics
from zoo.evaluation.reading import batches
from zoo.inference.forward import answering, answers, choose_device, logits, refuse_nan
from zoo.inference.naming import asking_about
from zoo.inference.output_stride import at_output_stride
from zoo.inference.probabilities import probabilities
from zoo.inference.test_time import TestTime

if TYPE_CHECKING:
    from zoo.model import SegmentationModel

Progress = Callable[[int, int], None]
"""Called with how many pictures are done, and how many there are."""

Observer = Callable[[Tensor, Tensor, Tensor], None]
"""Called with every batch: logits (N, K, H, W), predicted labels (N, H, W), true labels (N, H, W).

Labels are int64 in the model's numbering, `IGNORE` where there is none; all are on the model's device. Where several
answers were averaged, the logits are the logarithms of the probabilities."""

_PLAIN = TestTime()


class ClassNameWarning(UserWarning):
    """Model and data name their classes differently; the message says how they were matched."""


def evaluate(
    model: "SegmentationModel",
    dataset: SegmentationDataset,
    *,
    device: str | torch.device | None = None,
    batch_size: int = 1,
    amp: bool = False,
    progress: Progress | None = None,
    observers: Sequence[Observer] = (),
    test_time: TestTime = _PLAIN,
    pictures: range | None = None,
) -> Metrics:
    """Count every labelled pixel of a data set into one confusion matrix.

    Pictures keep their size, labels are compared at their own resolution, and nothing is averaged per picture or per
    batch, so the result does not depend on `batch_size` or on the order (other than by the rounding of the model).
    All counting happens on the model's device, which nothing waits for before the end.

    Args:
        model: Left in the mode it is in.
        dataset: Its classes are matched with the model's by name; see `match_classes`.
        device: Where to compute; the model moves there and stays. None: where it is.
        batch_size: At most so many pictures at once; only pictures of one size go together.
        amp: Compute in bfloat16.
        progress: Told about every batch that is done.
        observers: Shown every batch, to measure more on the way.
        test_time: How the model is asked: at several scales, mirrored, in windows, at another output stride.
        pictures: Only these, by number: the share of one process of several. Their counts add up.

    Returns:
        Metrics with the model's class names (the data's, where the model has none). Where no pixel is labelled its
        four numbers are NaN.

    Raises:
        IncompatibleError: Model and data have different classes, or different channels; or the model cannot have the
            output stride of `test_time`.
        DataError: There are no pictures, or a label or mask that cannot be used.
        ZooError: The device is not available, or the model answers with NaN.

    Warns:
        ClassNameWarning: The classes were matched, but their names do not agree.
    """
    config = model.config
    match = match_classes(config, dataset.classes, f"{dataset.name}/{dataset.split}")
    if len(dataset) == 0:
        raise DataError(f"{dataset.name} has no pictures in its split {dataset.split!r}")
    pictures = range(len(dataset)) if pictures is None else pictures
    if match.note:
        warnings.warn(match.note, ClassNameWarning, stacklevel=2)
    matrix = ConfusionMatrix(config.num_classes)
    done = 0
    broken = torch.zeros((), dtype=torch.bool)
    numbers = torch.full((max(len(match.order), IGNORE + 1),), IGNORE)
    numbers[: len(match.order)] = torch.tensor(match.order)
    numbers[IGNORE] = IGNORE
    if device is not None:
        model.to(choose_device(device))  # before it is built again at another stride
    if test_time.output_stride is not None:
        model = at_output_stride(model, test_time.output_stride)
    with answering(model):
        for images, masks in batches(dataset, batch_size, pin=_is_cuda(model), indices=pictures):
            if images.shape[1] != config.in_channels:
                raise IncompatibleError(
                    f"{dataset.name} has pictures of {images.shape[1]} channels, the model takes {config.in_channels}; "
                    f"open the data with channels={config.in_channels}"
                )
            names = [dataset.label(index) for index in pictures[done : done + len(images)]]
            with asking_about(names, (images.shape[-2], images.shape[-1])):
                if test_time.plain:
                    scores = logits(model, images, amp=amp)
                else:
                    scores = probabilities(model, images, test_time, amp=amp)
            labels, found = answers(scores)
            broken = broken.to(found.device, non_blocking=True) | found
            if labels.device.type == "cpu":
                refuse_nan(broken)
            target = masks.to(labels.device, non_blocking=True)
            matrix.update(labels, target)
            if observers:
                numbers = numbers.to(labels.device, non_blocking=True)
                scores = scores if test_time.plain else scores.log_()
                for observer in observers:
                    observer(scores, labels, numbers[target])
            done += len(images)
            if progress is not None:
                progress(done, len(pictures))
        refuse_nan(broken)
    return Metrics.from_confusion(matrix.with_rows(match.order), config.classes or dataset.classes)


def _is_cuda(model: torch.nn.Module) -> bool:
    return any(parameter.is_cuda for parameter in model.parameters())
