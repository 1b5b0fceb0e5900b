"""Pictures into files, one by one."""

import csv
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from zoo.config import ModelConfig
from zoo.data.images import image_size, page_count, write_labels
from zoo.errors import DataError, ZooError
from zoo.files import atomic_path
from zoo.inference.large import Overview, write_label_map
from zoo.inference.marks import done_alike, fingerprint, mark, words
from zoo.inference.outputs import Job
from zoo.inference.polygons import feature_collection
from zoo.inference.predictor import predict
from zoo.inference.raster import open_raster
from zoo.inference.sheet import PAGE, contact_sheet
from zoo.inference.test_time import TestTime
from zoo.inference.tiled import Progress
from zoo.inference.tiles import WHOLE, plan_tiles
from zoo.labels import class_colors, class_names

if TYPE_CHECKING:
    from zoo.model import SegmentationModel

_PLAIN = TestTime()


@dataclass(frozen=True)
class Asking:
    """How pictures are predicted and drawn.

    Attributes:
        test_time: How the model is asked.
        tile: See `zoo.inference.predictor.predict`.
        overlap: The same.
        amp: Compute in bfloat16.
        alpha: Strength of the colours in overlays.
    """

    test_time: TestTime = _PLAIN
    tile: int | str | None = "auto"
    overlap: float | int | str = "auto"
    amp: bool = False
    alpha: float = 0.5

    def how(self, model: "SegmentationModel") -> dict[str, Any]:
        """What has to be the same for two results to be the same, as JSON."""
        return {
            "model": fingerprint(model),
            "test_time": self.test_time.to_json(),
            "tile": self.tile,
            "overlap": self.overlap,
            "amp": self.amp,
            "alpha": self.alpha,
        }


@dataclass(frozen=True)
class Outcome:
    """What became of a picture.

    Attributes:
        job: The picture and its files.
        size: (H, W).
        pixels: How many each of the K classes has.
        note: What should be known about it, or an empty string.
    """

    job: Job
    size: tuple[int, int]
    pixels: tuple[int, ...]
    note: str = ""

    def area(self, classes: Sequence[str]) -> dict[str, float]:
        """Class name → its share of the picture."""
        total = self.size[0] * self.size[1]
        return {name: count / total for name, count in zip(classes, self.pixels, strict=True)}


def predict_file(
    model: "SegmentationModel",
    job: Job,
    asking: Asking,
    how: Mapping[str, Any],
    *,
    progress: Progress | None = None,
) -> Outcome:
    """Predict one picture file and write what is wanted of it. The label map comes last: where it is, all is.

    Args:
        model: On its device and at the output stride that is asked for.
        job: The picture and its files; their folder is made as needed.
        asking: How.
        how: `Asking.how`, to be kept in the label map.
        progress: Told about the tiles of a large picture.

    Raises:
        DataError: The picture cannot be read, or is too large for what is wanted.
        ZooError: A file cannot be written, or the model answers with NaN.
    """
    made = mark(job, how) if job.source.exists() else {}
    try:
        job.labels.parent.mkdir(parents=True, exist_ok=True)
        if asking.tile is not None and _is_large(job):
            return _large(model, job, asking, made, progress)
        return _whole(model, job, asking, made)
    except torch.OutOfMemoryError:
        raise DataError(
            f"{job.source}: does not fit into the device's memory; make the tiles smaller: --tile 512"
        ) from None
    except OSError as error:
        raise ZooError(f"cannot write {error.filename or job.labels}: {error.strerror or error}") from None


def already(job: Job, how: Mapping[str, Any]) -> Outcome | None:
    """What became of a picture before, where all its files are there and were made the same way of the same picture."""
    said = done_alike(job, mark(job, how)) if job.source.exists() else None
    if said is None:
        return None
    height, width = said["size"]
    return Outcome(job, (height, width), tuple(said["pixels"]))


def write_sheets(path: Path, outcomes: Sequence[Outcome], config: ModelConfig) -> list[Path]:
    """Write the overlays as contact sheets: `path`, and ``…_2.png`` and so on where one is not enough.

    Classes that no picture has are left out of the legend.
    """
    names = class_names(config.classes, config.num_classes)
    colors = class_colors(config.palette, config.num_classes)
    seen = [label for label in range(config.num_classes) if any(outcome.pixels[label] for outcome in outcomes)]
    pages = [outcomes[start : start + PAGE] for start in range(0, len(outcomes), PAGE)]
    written = []
    for number, page in enumerate(pages, start=1):
        place = path if number == 1 else path.with_name(f"{path.stem}_{number}{path.suffix}")
        pictures = [(outcome.job.labels.stem, outcome.job.overlay) for outcome in page]
        sheet = contact_sheet(pictures, [names[label] for label in seen], [colors[label] for label in seen])
        try:
            with atomic_path(place) as temporary:
                sheet.save(temporary, format="PNG")
        except OSError as error:
            raise ZooError(f"cannot write {place}: {error.strerror or error}") from None
        written.append(place)
    return written


def _pages(job: Job) -> str:
    """A note on a file of several pages."""
    try:
        count = page_count(job.source)
    except DataError:
        return ""
    return f"{job.source}: the first of its {count} pages or frames was taken" if count > 1 else ""


def _is_large(job: Job) -> bool:
    """Whether the picture is to be read in parts, should it be of a kind that allows it."""
    try:
        height, width = image_size(job.source)
    except DataError as error:
        return "safety limit" in str(error)
    return height * width > WHOLE


def _whole(model: "SegmentationModel", job: Job, asking: Asking, made: Mapping[str, Any]) -> Outcome:
    found = predict(
        model,
        job.source,
        amp=asking.amp,
        test_time=asking.test_time,
        tile=asking.tile,
        overlap=asking.overlap,
        with_probabilities=job.wanted.probabilities,
    )
    pixels = np.bincount(found.labels.ravel(), minlength=len(found.classes)).tolist()
    size = (found.labels.shape[0], found.labels.shape[1])
    if job.wanted.overlay:
        _save(found.overlay(asking.alpha), job)
    if found.probabilities is not None:
        with atomic_path(job.probabilities) as temporary, temporary.open("wb") as file:
            _pack(file, found.probabilities, found.classes)
    if job.wanted.polygons:
        _outline(job, found.labels, found.classes, pixels)
    write_labels(job.labels, found.labels, found.palette, text=words(made, pixels, size))
    return Outcome(job, size, tuple(pixels), _pages(job))


def _large(
    model: "SegmentationModel", job: Job, asking: Asking, made: Mapping[str, Any], progress: Progress | None
) -> Outcome:
    config = model.config
    raster = open_raster(job.source, config.in_channels)
    tiling = plan_tiles(model, raster.size, asking.tile, asking.overlap, asking.test_time)
    if tiling is None:
        return _whole(model, job, asking, made)
    if job.wanted.probabilities:
        height, width = raster.size
        raise DataError(f"{job.source}: {width}×{height} pixels are too many to write probabilities of")
    overview = Overview(raster, asking.alpha) if job.wanted.overlay else None
    names = class_names(config.classes, config.num_classes)

    def finish(counts: NDArray[np.int64], labels: NDArray[np.uint8 | np.uint16] | None) -> Mapping[str, str]:
        if overview is not None:
            _save(overview.paint(class_colors(config.palette, config.num_classes)), job)
        if labels is not None:
            _outline(job, labels, names, counts.tolist())
        return words(made, counts.tolist(), raster.size)

    counts = write_label_map(
        *(model, raster, tiling, job.labels),
        test_time=asking.test_time,
        amp=asking.amp,
        overview=overview,
        keep=job.wanted.polygons,
        finish=finish,
        progress=progress,
    )
    return Outcome(job, raster.size, tuple(counts.tolist()), _pages(job))


def _save(picture: Image.Image, job: Job) -> None:
    with atomic_path(job.overlay) as temporary:
        picture.save(temporary, format="PNG", compress_level=3)


def _pack(file: BinaryIO, probabilities: NDArray[np.float32], classes: Sequence[str]) -> None:
    np.savez_compressed(file, probabilities=probabilities.astype(np.float16), classes=np.array(classes))


def _outline(job: Job, labels: NDArray[Any], classes: Sequence[str], pixels: Sequence[int]) -> None:
    """The polygons and the table of areas."""
    regions = feature_collection(labels, classes, os.fspath(job.source))
    with atomic_path(job.polygons) as temporary:
        temporary.write_text(json.dumps(regions, ensure_ascii=False), encoding="utf-8")
    counts = [0] * len(classes)
    for feature in regions["features"]:
        counts[feature["properties"]["label"]] += 1
    with atomic_path(job.areas) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["label", "class", "pixels", "share", "regions"])
        for label, name in enumerate(classes):
            table.writerow([label, name, pixels[label], f"{pixels[label] / labels.size:.6f}", counts[label]])
