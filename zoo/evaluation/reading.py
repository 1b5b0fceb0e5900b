"""Fetching labelled pictures in order, while the model is busy with those before."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import torch
from torch import Tensor

from zoo.config import IGNORE
from zoo.data.dataset import SegmentationDataset
from zoo.errors import DataError

_AHEAD = 2  # batches


class Batch(NamedTuple):
    """Pictures of one size: uint8 (N, C, H, W), and their labels: int64 (N, H, W)."""

    images: Tensor
    masks: Tensor


def batches(
    dataset: SegmentationDataset, size: int, *, pin: bool = False, indices: range | None = None
) -> Iterator[Batch]:
    """Yield a data set, or the pictures `indices` of it, in order and at its native resolution.

    Neighbours of one size are stacked, at most `size` of them: nothing is resized or padded to fit.
    A single thread reads ahead, because data sets need not be safe to use from two. With `pin` the batches lie in
    memory from which a GPU fetches them by itself.

    Raises:
        DataError: A mask has another size than its picture, or a label that is neither a class nor ignored.
    """
    waiting: list[Batch] = []
    for sample in _ahead(dataset, range(len(dataset)) if indices is None else indices, _AHEAD * size):
        if waiting and (len(waiting) == size or waiting[0].images.shape != sample.images.shape):
            yield _stack(waiting, pin)
            waiting = []
        waiting.append(sample)
    if waiting:
        yield _stack(waiting, pin)


def _stack(samples: list[Batch], pin: bool) -> Batch:
    images, masks = torch.stack([one.images for one in samples]), torch.stack([one.masks for one in samples])
    return Batch(images.pin_memory(), masks.pin_memory()) if pin else Batch(images, masks)


def _ahead(dataset: SegmentationDataset, indices: range, count: int) -> Iterator[Batch]:
    pool = ThreadPoolExecutor(1, thread_name_prefix="zoo-reading")
    try:
        pending: deque[Future[Batch]] = deque()
        for index in indices:
            pending.append(pool.submit(_read, dataset, index))
            if len(pending) > count:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:  # also when the reader of this generator stops half-way
        pool.shutdown(wait=True, cancel_futures=True)


def _read(dataset: SegmentationDataset, index: int) -> Batch:
    """One checked sample."""
    image, mask = dataset[index]
    mask = torch.as_tensor(mask)
    if image.shape[-2:] != mask.shape:
        raise DataError(
            f"{dataset.label(index)}: the picture is {image.shape[-1]}×{image.shape[-2]}, "
            f"its mask {mask.shape[-1]}×{mask.shape[-2]}; every pixel needs one label"
        )
    stray = (mask < 0) | ((mask >= dataset.num_classes) & (mask != IGNORE))
    if bool(stray.any()):
        row, column = (int(place) for place in stray.nonzero()[0])
        allowed = f"the {dataset.num_classes} classes of {dataset.name!r} are 0…{dataset.num_classes - 1}"
        raise DataError(
            f"{dataset.label(index)}: label value {int(mask[row, column])} at row {row}, column {column}, counted from "
            f"0, is not allowed: {allowed}, and {IGNORE} is ignored"
        )
    return Batch(image.as_subclass(Tensor), mask.as_subclass(Tensor).to(torch.int64))
