"""Segmenting the pictures that come with Zoo, with the weights that come with Zoo."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import zoo
from zoo.data.catalog import open_dataset
from zoo.demo.page import demo_page
from zoo.errors import ZooError
from zoo.files import atomic_path
from zoo.hub.hubs import Hub, shipped_folder
from zoo.hub.pull import pull
from zoo.hub.record import Record
from zoo.inference.outputs import prepare

if TYPE_CHECKING:
    from zoo.inference.prediction import Prediction

FIRST = "unet_l4_aspp.camvid"
"""The weights that every installation has; the others are in the repository only."""

SHOWN = {"street": FIRST, "nuclei": "unet_l4.nuclei"}
"""Folder of pictures → the weights that know such pictures."""

PICTURES = Path(__file__).parent / "pictures"
"""For each of them a data set of one split, ``val``: drawn streets, and photographs of nuclei that are in the public
domain."""


@dataclass(frozen=True)
class Seen:
    """One picture, segmented.

    Attributes:
        name: Of the picture.
        record: The weights that did it.
        prediction: What they say.
        truth: (H, W), the true labels.
        seconds: How long it took, without loading.
        labels: The label map's file.
        overlay: The file of the picture with the classes painted over it.
    """

    name: str
    record: Record
    prediction: "Prediction"
    truth: NDArray[np.int64]
    seconds: float
    labels: Path
    overlay: Path


@dataclass(frozen=True)
class Shown:
    """What the demonstration wrote: the pictures, and the page that shows them all."""

    pictures: tuple[Seen, ...]
    page: Path


def see(out: Path, *, pictures: Path = PICTURES) -> Shown:
    """Segment every picture of `pictures` that shipped weights know, and write a page.

    Args:
        out: The folder; it may not hold an earlier demonstration.
        pictures: Where the pictures lie.

    Raises:
        ZooError: There are no shipped weights or no pictures, or `out` holds something or cannot be written to.
    """
    shipped = shipped_folder()
    records = {record.name: record for record in Hub(str(shipped)).records()} if shipped is not None else {}
    chosen = {kind: records[name] for kind, name in SHOWN.items() if name in records and (pictures / kind).is_dir()}
    if not chosen:
        raise ZooError(
            "this installation has no weights of its own: install Zoo with the folder hub/ beside hubconf.py, or "
            "train something small with: zoo demo --train"
        )
    prepare(out)
    if any(out.iterdir()):
        raise ZooError(f"{out} is not empty: give another folder with --out")
    seen = tuple(one for kind, record in chosen.items() for one in _segmented(kind, record, pictures, out))
    page = out / "report.html"
    with atomic_path(page) as temporary:
        temporary.write_text(demo_page(seen), encoding="utf-8")
    return Shown(seen, page)


def _segmented(kind: str, record: Record, pictures: Path, out: Path) -> Iterator[Seen]:
    model = zoo.load(pull(record))
    dataset = open_dataset(pictures / kind, "val", channels=model.config.in_channels)
    model.predict(dataset[0].image)  # the first call of a model also prepares the libraries
    for index in range(len(dataset)):
        sample = dataset[index]
        began = time.perf_counter()
        prediction = model.predict(sample.image)
        seconds = time.perf_counter() - began
        name = f"{kind}_{Path(dataset.label(index)).stem}"
        labels = out / f"{name}.png"
        prediction.save(labels, overlay=True)
        truth = sample.mask.numpy()
        yield Seen(name, record, prediction, truth, seconds, labels, labels.with_name(f"{name}_overlay.png"))
