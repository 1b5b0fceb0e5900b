"""Pictures per second and core that reach the network: our loader beside the usual one of SMP's examples.

    pip install albumentations opencv-python-headless       # the peer; without it torchvision's reference transforms
    python benchmarks/input_pipeline.py [--data FOLDER] [--crop 320 320]

Promise: at least as many pictures per second as the peer, per core. FOLDER has `train/` and `trainannot/`; by default
scenes are drawn, enlarged to 480 × 360 and written as JPEG and PNG. Both read the files, scale by 0.5 to 2, crop with
padding (label 255), mirror, change the colours, and make batches of uint8 pictures and int64 labels. One process and
one thread each; they take turns, batch by batch.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _measure import show, verdict
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from zoo.data.catalog import open_dataset
from zoo.data.loader import train_loader
from zoo.data.shapes import Shapes
from zoo.data.transforms import train_transform

SCALE, FLIP, JITTER = (0.5, 2.0), 0.5, 0.2
Pair = tuple[Path, Path]


class Albumentations(Dataset[tuple[Tensor, Tensor]]):
    """As in SMP's examples: OpenCV reads, albumentations augments."""

    def __init__(self, pairs: list[Pair], crop: tuple[int, int]) -> None:
        import albumentations as A
        import cv2

        cv2.setNumThreads(1)
        self.pairs, self._cv2 = pairs, cv2
        self._augment = A.Compose(
            [
                A.RandomScale((SCALE[0] - 1, SCALE[1] - 1), p=1),
                A.PadIfNeeded(*crop, border_mode=cv2.BORDER_CONSTANT, fill=0, fill_mask=255),
                A.RandomCrop(*crop),
                A.HorizontalFlip(p=FLIP),
                A.ColorJitter(JITTER, JITTER, JITTER, hue=0, p=1),
                A.ToTensorV2(),
            ]
        )

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image, mask = self.pairs[index]
        picture = self._cv2.cvtColor(self._cv2.imread(str(image)), self._cv2.COLOR_BGR2RGB)
        found = self._augment(image=picture, mask=self._cv2.imread(str(mask), self._cv2.IMREAD_UNCHANGED))
        return found["image"], found["mask"].long()


class Reference(Dataset[tuple[Tensor, Tensor]]):
    """As in torchvision's references: Pillow reads, transforms v2 augment."""

    def __init__(self, pairs: list[Pair], crop: tuple[int, int]) -> None:
        from torchvision import tv_tensors
        from torchvision.transforms import v2

        self.pairs, self._kinds = pairs, tv_tensors
        fill = {tv_tensors.Image: 0, tv_tensors.Mask: 255, "others": 0}
        self._augment = v2.Compose(
            [
                v2.ScaleJitter((crop[0], crop[1]), SCALE),
                v2.RandomCrop(crop, pad_if_needed=True, fill=fill),
                v2.RandomHorizontalFlip(FLIP),
                v2.ColorJitter(JITTER, JITTER, JITTER),
            ]
        )

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image, mask = self.pairs[index]
        with Image.open(image) as opened:
            picture = np.array(opened.convert("RGB"))
        with Image.open(mask) as opened:
            labels = np.array(opened)
        one = self._kinds.Image(torch.from_numpy(picture).permute(2, 0, 1))
        found = self._augment(one, self._kinds.Mask(torch.from_numpy(labels)))
        return found[0].as_subclass(Tensor), found[1].as_subclass(Tensor).long()


def peer(pairs: list[Pair], crop: tuple[int, int], batch: int) -> tuple[str, Iterator[Any]]:
    """The peer that is installed, and its endless batches."""
    made: Dataset[tuple[Tensor, Tensor]]
    try:
        made, name = Albumentations(pairs, crop), "SMP-style: OpenCV and albumentations"
    except ImportError:
        made, name = Reference(pairs, crop), "Pillow and torchvision's reference transforms"
    return name, _endless(DataLoader(made, batch, shuffle=True, drop_last=True))


def _endless(loader: DataLoader[Any]) -> Iterator[Any]:
    while True:
        yield from loader


def draw(folder: Path, count: int = 32) -> None:
    """Scenes of `shapes` as a folder of files."""
    scenes = Shapes("train")
    for part in ("train", "trainannot", "val", "valannot"):
        (folder / part).mkdir()
    for index in range(count):
        image, mask = scenes[index]
        split = "val" if index == 0 else "train"
        picture = Image.fromarray(image.permute(1, 2, 0).numpy()).resize((480, 360), Image.Resampling.BICUBIC)
        picture.save(folder / split / f"{index}.jpg", quality=92)
        labels = Image.fromarray(mask.numpy().astype(np.uint8)).resize((480, 360), Image.Resampling.NEAREST)
        labels.save(folder / f"{split}annot" / f"{index}.png")


def compare(data: Path, crop: tuple[int, int], batch: int, rounds: int) -> float:
    """Print both; returns pictures per second of ours over the peer's, by processor time."""
    pictures = sorted((data / "train").iterdir())
    pairs = [(path, data / "trainannot" / f"{path.stem}.png") for path in pictures]
    dataset = open_dataset(str(data), "train")
    ours = iter(train_loader(dataset, train_transform(crop, SCALE, FLIP, JITTER), batch_size=batch))
    name, others = peer(pairs, crop, batch)
    spent: dict[str, list[float]] = {"zoo": [], name: []}
    for _ in range(rounds):
        for label, batches in (("zoo", ours), (name, others)):
            spent[label].append(_timed(lambda batches=batches: next(batches)))  # type: ignore[misc]
    median = {label: statistics.median(seconds[2:]) for label, seconds in spent.items()}
    show(
        f"batches of {batch} × {crop[0]} × {crop[1]} from {len(pairs)} files, medians of {rounds - 2}, one core",
        [(label, f"{batch / seconds:.0f} pictures/s") for label, seconds in median.items()],
    )
    return median[name] / median["zoo"]


def _timed(act: Callable[[], object]) -> float:
    begun = time.process_time()
    act()
    return time.process_time() - begun


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--crop", type=int, nargs=2, default=(320, 320))
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=22)
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        if given.data is None:
            draw(Path(folder))
        ratio = compare(given.data or Path(folder), (given.crop[0], given.crop[1]), given.batch, given.rounds)
    return 0 if verdict("pictures per second against the peer's", ratio, 1, at_most=False) else 1


if __name__ == "__main__":
    sys.exit(main())
