"""Batches depend on seed, epoch and sample, and on nothing else."""

from itertools import islice
from pathlib import Path

import pytest
import torch
from data_folders import picture, save, simple
from torchvision import tv_tensors

from zoo.data.dataset import Sample, SegmentationDataset
from zoo.data.folder import FolderDataset
from zoo.data.loader import train_loader
from zoo.data.shapes import Shapes
from zoo.data.transforms import train_transform
from zoo.errors import DataError


class Numbered(SegmentationDataset):
    """Sample i is a picture of value i."""

    name, split, classes, palette = "numbered", "train", ("a", "b"), ((0, 0, 0), (1, 1, 1))

    def __init__(self, length: int) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Sample:
        return Sample(
            tv_tensors.Image(torch.full((3, 2, 2), index, dtype=torch.uint8)),
            tv_tensors.Mask(torch.zeros(2, 2, dtype=torch.int64)),
        )


class Noisy:
    """Adds a random number, so that augmentation is visible."""

    def __call__(self, sample: Sample) -> Sample:
        mask = tv_tensors.Mask(torch.randint(0, 200, (2, 2)))
        return Sample(sample.image, mask)


AUGMENT = train_transform((48, 40), (0.6, 1.8), 0.5, 0.3)


def identities(loader, steps: int) -> list[list[int]]:
    return [batch.images[:, 0, 0, 0].tolist() for batch in islice(loader, steps)]


def same(one, other) -> bool:
    return all(
        torch.equal(a.images, b.images) and torch.equal(a.masks, b.masks) for a, b in zip(one, other, strict=True)
    )


def test_shapes_and_types() -> None:
    images, masks = next(iter(train_loader(Shapes("train"), AUGMENT, batch_size=3)))
    assert images.shape == (3, 3, 48, 40)
    assert masks.shape == (3, 48, 40)
    assert (images.dtype, masks.dtype) == (torch.uint8, torch.int64)
    assert type(images) is type(masks) is torch.Tensor


def test_an_epoch_reads_every_sample_once_and_drops_the_rest() -> None:
    loader = train_loader(Numbered(10), Noisy(), batch_size=3)
    assert len(loader) == loader.steps_per_epoch == 3
    epochs = identities(loader, 6)
    for epoch in (epochs[:3], epochs[3:]):
        read = [i for batch in epoch for i in batch]
        assert len(set(read)) == 9
    assert epochs[:3] != epochs[3:]


def test_a_set_smaller_than_a_batch_is_repeated_evenly() -> None:
    loader = train_loader(Numbered(3), Noisy(), batch_size=8)
    assert loader.steps_per_epoch == 1
    batch = next(iter(loader))
    counts = torch.bincount(batch.images[:, 0, 0, 0].long(), minlength=3)
    assert sorted(counts.tolist()) == [2, 3, 3]
    assert len({tuple(mask.flatten().tolist()) for mask in batch.masks}) == 8  # each time augmented anew


def test_one_sample_is_enough() -> None:
    assert next(iter(train_loader(Numbered(1), Noisy(), batch_size=2))).images.shape[0] == 2


def test_the_seed_decides() -> None:
    one, again, other = (train_loader(Numbered(40), Noisy(), batch_size=4, seed=seed) for seed in (1, 1, 2))
    assert same(one.batches(0, 12), again.batches(0, 12))
    assert identities(one, 10) != identities(other, 10)


def test_augmentation_differs_between_epochs_and_samples() -> None:
    loader = train_loader(Numbered(4), Noisy(), batch_size=4)
    masks = torch.cat([batch.masks for batch in loader.batches(0, 5)])
    assert len({tuple(mask.flatten().tolist()) for mask in masks}) == 20


@pytest.mark.parametrize("workers", [1, 2])
def test_the_number_of_workers_changes_nothing(workers: int) -> None:
    data = Shapes("train")
    alone = list(train_loader(data, AUGMENT, batch_size=4, seed=5).batches(498, 504))
    assert same(alone, train_loader(data, AUGMENT, batch_size=4, seed=5, workers=workers).batches(498, 504))


@pytest.mark.parametrize("start", [0, 1, 2, 3, 5, 7])
def test_a_run_can_be_taken_up_at_any_step(start: int) -> None:
    loader = train_loader(Numbered(11), Noisy(), batch_size=4, seed=3)  # two steps an epoch
    whole = list(loader.batches(0, 9))
    assert same(whole[start:], loader.batches(start, 9))
    assert list(loader.batches(4, 4)) == []


def test_the_random_state_of_the_caller_is_left_alone() -> None:
    loader = train_loader(Shapes("train"), AUGMENT, batch_size=2)
    torch.manual_seed(7)
    expected = torch.rand(4)
    torch.manual_seed(7)
    list(loader.batches(0, 3))
    list(train_loader(Shapes("train"), AUGMENT, batch_size=2, workers=1).batches(0, 1))
    assert torch.equal(torch.rand(4), expected)
    torch.manual_seed(8)
    assert same(loader.batches(0, 2), loader.batches(0, 2))  # and it does not matter


@pytest.mark.parametrize("workers", [0, 2])
def test_errors_come_through_as_they_are(tmp_path: Path, workers: int) -> None:
    simple(tmp_path, 4)
    (tmp_path / "images" / "p02.png").write_bytes(b"no picture")
    loader = train_loader(FolderDataset(tmp_path, "all"), AUGMENT, batch_size=2, workers=workers)
    with pytest.raises(DataError) as error:
        list(loader.batches(0, 2))
    assert str(error.value) == f"{tmp_path}/images/p02.png: is not a picture that can be read"


def test_different_sizes_without_a_crop_are_named(tmp_path: Path) -> None:
    simple(tmp_path, 2)
    save(picture(20, 20), tmp_path / "images" / "p01.png")
    save(picture(20, 20)[..., 0] % 3, tmp_path / "masks" / "p01.png")
    data = FolderDataset(tmp_path, "all")
    with pytest.raises(DataError, match=r"images/p0\d\.png is .* different sizes do not fit .*data\.crop"):
        next(iter(train_loader(data, train_transform(), batch_size=2)))
    assert next(iter(train_loader(data, train_transform(), batch_size=1))).images.shape[0] == 1
    assert next(iter(train_loader(data, AUGMENT, batch_size=2))).images.shape == (2, 3, 48, 40)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"batch_size": 0}, "batch_size is 0"), ({"batch_size": 1, "workers": -1}, "workers is -1")],
)
def test_nonsense_is_refused(options, message: str) -> None:
    with pytest.raises(DataError, match=message):
        train_loader(Numbered(4), Noisy(), **options)
    with pytest.raises(DataError, match="is empty"):
        train_loader(Numbered(0), Noisy(), batch_size=1)


def test_with_replacement_every_place_is_drawn_from_all() -> None:
    loader = train_loader(Numbered(40), Noisy(), batch_size=4, seed=1, replacement=True)
    epoch = {number for batch in identities(loader, 10) for number in batch}
    assert len(epoch) < 40  # a shuffle would show all; 40 draws of 40 miss about 15
    shown = [number for batch in islice(loader, 1000) for number in batch.images[:, 0, 0, 0].tolist()]
    counts = [shown.count(number) for number in range(40)]
    assert sum(counts) == 4000
    assert all(60 < count < 140 for count in counts)  # 100 ± 4 standard deviations


def test_what_an_epoch_draws_twice_is_varied_twice() -> None:
    batch = next(iter(train_loader(Numbered(1), Noisy(), batch_size=2, replacement=True)))
    assert not torch.equal(batch.masks[0], batch.masks[1])


def test_with_replacement_too_the_order_is_continued_and_shared() -> None:
    whole = train_loader(Numbered(9), Noisy(), batch_size=4, seed=3, replacement=True)
    assert same(list(islice(whole, 7))[3:], whole.batches(3, 7))
    parts = [train_loader(Numbered(9), Noisy(), batch_size=4, seed=3, part=(i, 2), replacement=True) for i in range(2)]
    for batch, left, right in zip(islice(whole, 5), *parts, strict=False):
        assert torch.equal(batch.images, torch.cat([left.images, right.images]))
