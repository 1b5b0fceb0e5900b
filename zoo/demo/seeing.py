"""Segmenting the pictures that come with Zoo, with the weights that come with Zoo."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import zoo
from zoo.demo.page import demo_page
from zoo.errors import ZooError
from zoo.files import atomic_path
from zoo.hub.hubs import Hub, shipped_folder
from zoo.hub.pull import pull
from zoo.hub.record import Record

if TYPE_CHECKING:
    from zoo.inference.prediction import Prediction
    from zoo.model import SegmentationModel

FIRST = "unet_l4_aspp.camvid"
"""The weights that every installation has; the others are in the repository only."""

SHOWN = {"street": FIRST, "nuclei": "unet_l4.nuclei"}
"""Beginning of a picture's name → the weights that know such pictures."""

PICTURES = Path(__file__).parent / "pictures"


@dataclass(frozen=True)
class Seen:
    """One picture, segmented.

    Attributes:
        name: Of the picture.
        record: The weights that did it.
        prediction: What they say.
        seconds: How long it took, without loading.
        labels: The label map's file.
        overlay: The file of the picture with the classes painted over it.
    """

    name: str
    record: Record
    prediction: "Prediction"
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
        ZooError: There are no shipped weights or no pictures, or `out` holds something.
    """
    shipped = shipped_folder()
    records = {record.name: record for record in Hub(str(shipped)).records()} if shipped is not None else {}
    chosen = list(_chosen(pictures, records))
    if not chosen:
        raise ZooError(
            "this installation has no weights of its own: install Zoo with the folder hub/ beside hubconf.py, or "
            "train something small with: zoo demo --train"
        )
    if out.exists() and any(out.iterdir()):
        raise ZooError(f"{out} is not empty: give another folder with --out")
    out.mkdir(parents=True, exist_ok=True)
    seen = tuple(_segmented(chosen, out))
    page = out / "report.html"
    with atomic_path(page) as temporary:
        temporary.write_text(demo_page(seen), encoding="utf-8")
    return Shown(seen, page)


def _chosen(folder: Path, records: dict[str, Record]) -> Iterator[tuple[Path, Record]]:
    for path in sorted(folder.glob("*.jpg"), key=lambda path: (list(SHOWN).index(_kind(path)), path.name)):
        if SHOWN[_kind(path)] in records:
            yield path, records[SHOWN[_kind(path)]]


def _kind(path: Path) -> str:
    return path.stem.partition("_")[0]


def _segmented(chosen: Sequence[tuple[Path, Record]], out: Path) -> Iterator[Seen]:
    models: dict[str, SegmentationModel] = {}
    for path, record in chosen:
        if record.name not in models:
            models[record.name] = zoo.load(pull(record))
            models[record.name].predict(path)  # the first call of a model also prepares the libraries
        began = time.perf_counter()
        prediction = models[record.name].predict(path)
        seconds = time.perf_counter() - began
        labels = out / f"{path.stem}.png"
        prediction.save(labels, overlay=True)
        yield Seen(path.stem, record, prediction, seconds, labels, labels.with_name(f"{path.stem}_overlay.png"))
