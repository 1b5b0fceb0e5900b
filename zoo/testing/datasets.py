"""Data sets: what every one promises to training, evaluation and the report."""

import inspect
import pickle
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torchvision import tv_tensors

from zoo.config import IGNORE
from zoo.data.catalog import open_dataset
from zoo.data.dataset import Sample, SegmentationDataset
from zoo.errors import DataError
from zoo.manifest import Spec
from zoo.registry import registry
from zoo.testing.globals import unmoved
from zoo.testing.subject import NotApplicable, NotConforming, require

PARAMETERS = ("split", "channels", "download", "values", "root")
"""What the constructor of every data set takes."""


@dataclass(frozen=True)
class DatasetSubject:
    """A data set to check.

    Attributes:
        name: Its name.
        root: Where it lies, in place of its usual places.
        splits: Which splits to check, those it has.
    """

    name: str
    root: Path | None = None
    splits: tuple[str, ...] = ("train", "val")

    @property
    def spec(self) -> Spec:
        """What its manifest says."""
        return registry().get("dataset", self.name)

    def open(self, split: str, **options: Any) -> SegmentationDataset:
        """Open one split; raises `NotApplicable` where the data are not on this machine."""
        try:
            return open_dataset(self.name, split, root=self.root, **options)
        except DataError as error:
            raise NotApplicable(f"it cannot be opened here: {error}") from None

    def opened(self) -> Iterator[SegmentationDataset]:
        """All its splits."""
        for split in self.splits:
            yield self.open(split)

    def __str__(self) -> str:
        return self.name


def contract(subject: DatasetSubject) -> None:
    """It takes what every data set takes, by name, and nothing that would swallow a typo."""
    parameters = inspect.signature(subject.spec.load()).parameters
    absent = [name for name in PARAMETERS if name not in parameters]
    require(
        not absent,
        f"its constructor takes no {', '.join(absent)}",
        mend="def __init__(self, split, *, channels=3, download=False, values=None, root=None)",
    )
    swallows = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    require(not swallows, "its constructor takes **kwargs, which would swallow a typo", mend="name every option")


def classes(subject: DatasetSubject) -> None:
    """Every class has a name of its own and a colour; there are as many as the manifest says."""
    for split in subject.splits:
        dataset = subject.open(split)
        names, palette = dataset.classes, dataset.palette
        require(len(set(names)) == len(names) > 0, f"its classes are {names}; expected names, each once")
        require(len(palette) == len(names), f"{len(palette)} colours for {len(names)} classes")
        fine = all(len(color) == 3 and all(type(v) is int and 0 <= v <= 255 for v in color) for color in palette)
        require(fine, f"its palette is {palette}; expected (red, green, blue), each 0…255")
        said = subject.spec.meta.get("classes")
        count = len(said) if isinstance(said, list) else said
        require(count in (None, len(names)) or isinstance(said, str), f"{len(names)} classes; its manifest says {said}")
        require(dataset.split == split, f"opened at its split {split!r}, it says that it is {dataset.split!r}")


def samples(subject: DatasetSubject) -> None:
    """A sample is a picture, uint8 (C, H, W), and a mask, int64 (H, W), of labels that there are, or 255."""
    for dataset in subject.opened():
        require(len(dataset) > 0, f"its split {dataset.split!r} is empty")
        for index in _some(dataset):
            sample = dataset[index]
            where = dataset.label(index)
            require(isinstance(sample, Sample), f"{where}: a {type(sample).__name__}, no zoo.data.dataset.Sample")
            image, mask = sample
            require(
                isinstance(image, tv_tensors.Image) and image.dtype == torch.uint8 and image.ndim == 3,
                f"{where}: the picture is {_kind(image)}; expected a tv_tensors.Image, uint8, (C, H, W)",
            )
            require(
                isinstance(mask, tv_tensors.Mask) and mask.dtype == torch.int64 and mask.shape == image.shape[1:],
                f"{where}: the mask is {_kind(mask)}; expected a tv_tensors.Mask, int64, {tuple(image.shape[1:])}",
            )
            labels = sorted(set(mask.unique().tolist()) - {*range(len(dataset.classes)), IGNORE})
            require(not labels, f"{where}: the labels {labels[:5]} are none of its {len(dataset.classes)} classes")


def channels(subject: DatasetSubject) -> None:
    """Grey, RGB and RGBA pictures, as they are asked for."""
    for count in (1, 3, 4):
        dataset = subject.open(subject.splits[0], channels=count)
        found = dataset[0].image.shape[0]
        require(found == dataset.channels == count, f"asked for {count} channels, a picture has {found}")


def repeatable(subject: DatasetSubject) -> None:
    """Sample i is the same whenever it is read, and in another process; random changes are the transforms' business."""
    for dataset in subject.opened():
        try:
            copy = pickle.loads(pickle.dumps(dataset))
        except Exception as error:
            raise NotConforming(
                f"cannot be sent to a worker process: {type(error).__name__}: {error}",
                mend="keep no open file, lock or lambda in it; open files when a sample is read",
            ) from None
        again = subject.open(dataset.split)
        for index in _some(dataset):
            one = dataset[index]
            for other in (dataset, copy, again):
                same = all(torch.equal(a, b) for a, b in zip(one, other[index], strict=True))
                require(same, f"{dataset.label(index)} is another one when it is read again")


def shortcuts(subject: DatasetSubject) -> None:
    """`labels` and `size` say what the sample says; every label is a name of one sample; an index may be too large."""
    for dataset in subject.opened():
        names = [dataset.label(index) for index in range(min(len(dataset), 500))]
        require(len(set(names)) == len(names), "two samples have the same label(index)")
        for index in _some(dataset):
            image, mask = dataset[index]
            same = bool((torch.from_numpy(dataset.labels(index).astype("int64")) == mask).all())
            require(same, f"{dataset.label(index)}: labels({index}) differs from the sample's mask")
            require(dataset.size(index) == tuple(image.shape[1:]), f"size({index}) is {dataset.size(index)}")
        try:
            dataset[len(dataset)]
        except IndexError:
            continue
        raise NotConforming(f"has {len(dataset)} samples, and gives another one behind the last", mend="IndexError")


def splits(subject: DatasetSubject) -> None:
    """A split that it does not have is refused with a `DataError` that says which it has."""
    subject.open(subject.splits[0])
    try:
        open_dataset(subject.name, "surely_no_such_split", root=subject.root)
    except DataError as error:
        named = any(split in str(error) for split in subject.splits)
        require(named, f"a split that is not there is refused, but not in words that name those that are: {error}")
    else:
        raise NotConforming("opens a split that does not exist", mend="raise zoo.errors.DataError, naming the splits")


def global_state(subject: DatasetSubject) -> None:
    """Opening it and reading it change nothing global."""
    subject.open(subject.splits[0])
    unmoved(lambda: subject.open(subject.splits[0])[0], "opening and reading it")


def _some(dataset: SegmentationDataset) -> list[int]:
    return sorted({0, len(dataset) // 2, len(dataset) - 1})


def _kind(value: object) -> str:
    if isinstance(value, torch.Tensor):
        return f"a {type(value).__name__}, {value.dtype}, {tuple(value.shape)}"
    return f"a {type(value).__name__}"


CHECKS: Mapping[str, Callable[[DatasetSubject], None]] = {
    "contract": contract,
    "classes": classes,
    "samples": samples,
    "channels": channels,
    "repeatable": repeatable,
    "shortcuts": shortcuts,
    "splits": splits,
    "global_state": global_state,
}
