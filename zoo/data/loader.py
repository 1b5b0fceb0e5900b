"""Batches for training, the same however they are made.

The order of samples is a function of (seed, epoch), the augmentation of a sample one of (seed, epoch,
sample). Neither knows how many workers there are or where a run was interrupted, so iterating from step s
gives what an uninterrupted run would have given.
"""

import hashlib
import os
from collections.abc import Callable, Generator, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from zoo.data.dataset import Sample, SegmentationDataset
from zoo.errors import DataError, ZooError


class Batch(NamedTuple):
    """What a step trains on.

    Attributes:
        images: uint8 (N, C, h, w).
        masks: int64 (N, h, w), 255 where there is no label.
    """

    images: Tensor
    masks: Tensor


class TrainLoader:
    """Endless batches of augmented samples; made by `train_loader`.

    Attributes:
        steps_per_epoch: Batches that make one pass over the data. What does not fill a batch is left out of
            that epoch; a set smaller than a batch is repeated until it fills one.
    """

    def __init__(
        self,
        dataset: SegmentationDataset,
        transform: Callable[[Sample], Sample],
        *,
        batch_size: int,
        seed: int,
        workers: int,
        pin_memory: bool,
        part: tuple[int, int] = (0, 1),
        replacement: bool = False,
    ) -> None:
        self._samples = _Augmented(dataset, transform, seed)
        self._length = len(dataset)
        self._batch_size = batch_size
        self._seed = seed
        self._workers = workers
        self._pin_memory = pin_memory
        self._replacement = replacement
        number, parts = part
        self._part = slice(batch_size * number // parts, batch_size * (number + 1) // parts)
        self.steps_per_epoch = max(self._length // batch_size, 1)

    def __len__(self) -> int:
        """`steps_per_epoch`."""
        return self.steps_per_epoch

    def __iter__(self) -> Iterator[Batch]:
        """All batches from step 0 on, without end."""
        return self.batches()

    def batches(self, start: int = 0, stop: int | None = None) -> Generator[Batch, None, None]:
        """The batches of the global steps start, start + 1, … up to `stop` (not included; None: without end).

        Raises:
            DataError: A sample cannot be read, or pictures of different sizes fall into one batch.
        """
        loader: DataLoader[Any] = DataLoader(
            self._samples,
            batch_sampler=_Order(self, start, stop),
            num_workers=self._workers,
            collate_fn=_collate,
            worker_init_fn=_leave_the_group,
            pin_memory=self._pin_memory,
            generator=torch.Generator(),  # else it takes a number from the default generator, which dropout uses
        )
        for batch in loader:
            if isinstance(batch, _Failure):
                raise DataError(batch.message)
            yield batch

    def order(self, epoch: int) -> list["_Key"]:
        """What an epoch reads, in order."""
        needed = self.steps_per_epoch * self._batch_size
        keys: list[_Key] = []
        if self._replacement:
            generator = torch.Generator().manual_seed(_seed_of(self._seed, "order", epoch))
            drawn = torch.randint(self._length, (needed,), generator=generator).tolist()
            return [_Key(epoch, turn, i) for turn, i in enumerate(drawn)]
        for turn in range(-(-needed // self._length)):
            generator = torch.Generator().manual_seed(_seed_of(self._seed, "order", epoch, turn))
            keys += [_Key(epoch, turn, i) for i in torch.randperm(self._length, generator=generator).tolist()]
        return keys[:needed]


def train_loader(
    dataset: SegmentationDataset,
    transform: Callable[[Sample], Sample],
    *,
    batch_size: int,
    seed: int = 0,
    workers: int = 0,
    pin_memory: bool = False,
    part: tuple[int, int] = (0, 1),
    replacement: bool = False,
) -> TrainLoader:
    """Make the batches of a training run.

    Args:
        dataset: The split to train on.
        transform: Sample → sample of one size, as from `zoo.data.transforms.train_transform`. It may draw
            from torch's default generator and from nothing else.
        batch_size: N.
        seed: With the epoch, decides the order and the augmentation.
        workers: Processes that read; 0 reads in this one. The batches do not depend on it.
        pin_memory: Put batches into pinned memory, for a GPU.
        part: (i, n): of every batch only the i-th of n parts, counted from 0, about equally large. Together they are
            the batches, whatever n is.
        replacement: Draw every sample from all of them, so that an epoch may show one twice and another never.

    Raises:
        DataError: An empty data set, or a batch size or number of workers that makes no sense.
    """
    if len(dataset) == 0:
        raise DataError(f"{dataset.name}: split {dataset.split!r} is empty")
    if batch_size < 1:
        raise DataError(f"batch_size is {batch_size}; at least 1 is expected")
    if batch_size < part[1]:
        raise DataError(
            f"batch_size is {batch_size} for {part[1]} processes; it counts the pictures of all of them together, and "
            "each needs at least one"
        )
    if workers < 0:
        raise DataError(f"workers is {workers}; 0 (read in this process) or more is expected")
    return TrainLoader(
        dataset,
        transform,
        batch_size=batch_size,
        seed=seed,
        workers=workers,
        pin_memory=pin_memory,
        part=part,
        replacement=replacement,
    )


class _Key(NamedTuple):
    """A sample as one epoch sees it; `turn` tells apart the times that it sees the same one."""

    epoch: int
    turn: int
    sample: int


class _Failure(NamedTuple):
    """An error on its way from a worker, where raising would bury its message in a traceback."""

    message: str


class _Augmented(Dataset[Any]):
    """Key → augmented sample, or `_Failure`."""

    def __init__(self, dataset: SegmentationDataset, transform: Callable[[Sample], Sample], seed: int) -> None:
        self._dataset = dataset
        self._transform = transform
        self._seed = seed

    def __getitem__(self, key: _Key) -> tuple[str, Sample] | _Failure:
        generator = torch.default_generator  # not torch.manual_seed, which would reseed CUDA's too
        state = generator.get_state()
        try:
            generator.manual_seed(_seed_of(self._seed, "augmentation", *key))
            return self._dataset.label(key.sample), self._transform(self._dataset[key.sample])
        except ZooError as error:
            return _Failure(str(error))
        finally:
            generator.set_state(state)


class _Order(Sampler[list[_Key]]):
    """The keys of each batch, from step `start` on."""

    def __init__(self, loader: TrainLoader, start: int, stop: int | None) -> None:
        self._loader = loader
        self._start = start
        self._stop = stop

    def __iter__(self) -> Iterator[list[_Key]]:
        size = self._loader._batch_size
        epoch, step = divmod(self._start, self._loader.steps_per_epoch)
        at = self._start
        while True:
            keys = self._loader.order(epoch)
            for place in range(step, self._loader.steps_per_epoch):
                if self._stop is not None and at >= self._stop:
                    return
                yield keys[place * size : (place + 1) * size][self._loader._part]
                at += 1
            epoch, step = epoch + 1, 0


def _collate(items: list[tuple[str, Sample] | _Failure]) -> Batch | _Failure:
    samples: list[tuple[str, Sample]] = []
    for item in items:
        if isinstance(item, _Failure):
            return item
        samples.append(item)
    sizes = {tuple(sample.image.shape): label for label, sample in samples}
    if len(sizes) > 1:
        (one, first), (other, second) = list(sizes.items())[:2]
        return _Failure(
            f"{first} is {one[2]} × {one[1]} pixels and {second} is {other[2]} × {other[1]}: pictures of different "
            "sizes do not fit into one batch; set a crop (data.crop = [height, width]), or batch_size = 1"
        )
    images = torch.stack([sample.image.as_subclass(Tensor) for _, sample in samples])
    masks = torch.stack([sample.mask.as_subclass(Tensor) for _, sample in samples])
    return Batch(images, masks)


def _leave_the_group(_worker: int) -> None:
    """Let a signal to the whole group, as Ctrl-C is, reach the main process alone: it stops its workers in good order.

    A worker that it killed would look like a crash.
    """
    if hasattr(os, "setpgrp"):
        os.setpgrp()


def _seed_of(*parts: int | str) -> int:
    """A seed that differs for every (seed, purpose, epoch, …)."""
    digest = hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
