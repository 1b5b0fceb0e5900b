"""Everything that belongs to a record, made in a folder: weights, golden pair, pictures; and proven to work."""

import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from zoo.data.dataset import SegmentationDataset
from zoo.errors import CheckpointError
from zoo.evaluation.evaluate import ClassNameWarning, Progress, evaluate
from zoo.evaluation.protocol import MATRIX
from zoo.html.pictures import jpeg
from zoo.hub.checkpoint import HALF, load, read_tensors, write_state
from zoo.hub.golden import TOLERANCE, deviation, replay, rounding, write_golden
from zoo.hub.header import Header, read_header
from zoo.hub.publishing import facts
from zoo.hub.publishing.card import card
from zoo.hub.publishing.claims import measured
from zoo.hub.publishing.page import record_page
from zoo.hub.publishing.placing import Prepared
from zoo.hub.publishing.plot import Point
from zoo.hub.publishing.samples import Sample, samples, sheet
from zoo.hub.publishing.speed import speed
from zoo.hub.record import Record
from zoo.model import SegmentationModel
from zoo.training.folder import RunFolder

_SAFETY = 10.0  # how much more than rounding itself another processor may be off by
_LOST = 0.001  # of mean IoU: what is worth a warning
_DESCRIBED = ("model", "data", "metrics", "recipe", "licence", "needs")  # of the record, what the weight file says too


@dataclass(frozen=True)
class Wanted:
    """What is to be published, and how.

    Attributes:
        name: The record's.
        weights: The file to start from.
        table: The record as far as it is known.
        run: The folder of the training, for its course; or None.
        dataset: What to measure on, and pictures to show; or None.
        pictures: Pictures to show instead of those.
        measure: Whether to measure on `dataset`, and how fast the model is.
        half: Whether to keep the weights in float16.
        shard_bytes: The largest file; or None.
        default: Whether they become the model's default.
        progress: Told about the measuring.
        report: Told what came to light.
    """

    name: str
    weights: Path
    table: Mapping[str, Any]
    run: Path | None = None
    dataset: SegmentationDataset | None = None
    pictures: SegmentationDataset | None = None
    measure: bool = False
    half: bool = False
    shard_bytes: int | None = None
    default: bool = False
    progress: Progress | None = None
    report: Callable[[str], None] | None = None


def prepare(wanted: Wanted, stage: Path) -> Prepared:
    """Make the files of a record.

    Args:
        wanted: What of.
        stage: An empty folder.

    Raises:
        CheckpointError: The weights are damaged or not finite, or the model does not answer the same twice.
        ZooError: The pictures cannot be read, or do not fit the model.
    """
    table = dict(wanted.table)
    header = read_header(wanted.weights)
    weights, model = _store(wanted, read_tensors(wanted.weights, header), table, stage / "weights.safetensors")
    if wanted.measure and wanted.dataset is not None:
        table["metrics"] = _measure(model, wanted.dataset, wanted)
        table["speed"] = speed(model, wanted.dataset)
        _compare(header, table["metrics"], wanted.report)
        stored = read_tensors(weights[0], read_header(weights[0]))
        weights, model = _store(wanted, stored, table, stage / "measured.safetensors")
    golden = write_golden(model, stage / "golden.safetensors")
    if wanted.half:
        table["storage"] = {"dtype": HALF, "deviation": deviation(load(wanted.weights), golden)}
    rounded = rounding(model)
    tolerance = max(TOLERANCE, round(min(_SAFETY * (rounded or 0.0), 1.0), 4))
    wrong = replay(load(weights[0]), golden, tolerance)
    if wrong is not None:
        raise CheckpointError(f"{wanted.weights}: the model does not answer the same twice: {wrong}")
    table["golden"] = {"tolerance": tolerance, **({} if rounded is None else {"deviation": rounded})}
    table["parameters"] = sum(parameter.numel() for parameter in model.parameters())
    history, table["training"] = _history(wanted.run)
    shown = wanted.pictures or wanted.dataset
    rows = samples(model, shown) if shown is not None else []
    pages = _pages(wanted.name, table, rows, history)
    known = {key: value for key, value in table.items() if value not in ({}, [])}
    return Prepared(wanted.name, known, weights, golden, pages, wanted.default)


def _store(
    wanted: Wanted, state: Mapping[str, Any], table: Mapping[str, Any], path: Path
) -> tuple[list[Path], SegmentationModel]:
    """Write the weights with their description, and load them again; returns all files, and the model."""
    for key, tensor in state.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise CheckpointError(f"{wanted.weights}: {key} holds NaN or infinity; such weights are not published")
    described = {key: table[key] for key in _DESCRIBED if key != "needs" or table[key]}
    first = write_state(path, state, described, shard_bytes=wanted.shard_bytes, half=wanted.half)
    return sorted(path.parent.glob(f"{path.stem}*.safetensors")), load(first)


def _pages(
    name: str, table: dict[str, Any], rows: list[Sample], history: list[Point]
) -> dict[str, Callable[[Record], bytes]]:
    """What makes the pages and pictures of a record; where they will be goes into its table."""
    pages: dict[str, Callable[[Record], bytes]] = {
        "README.md": lambda record: card(record).encode(),
        "index.html": lambda record: record_page(record, rows, history).encode(),
    }
    table |= {"card": f"{name}/README.md", "page": f"{name}/index.html"}
    if rows:
        table |= {"picture": f"{name}/preview.jpg", "samples": f"{name}/samples.jpg"}
        pages["preview.jpg"] = partial(_constant, jpeg(rows[0].prediction))
        pages["samples.jpg"] = partial(_constant, jpeg(sheet(rows)))
    return pages


def _constant(content: bytes, record: Record) -> bytes:
    return content


def _measure(model: SegmentationModel, dataset: SegmentationDataset, wanted: Wanted) -> dict[str, Any]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default", ClassNameWarning)
        numbers = evaluate(model, dataset, progress=wanted.progress).to_json()
    if wanted.report is not None:
        for warning in caught:
            wanted.report(str(warning.message))
    return {
        **{key: value for key, value in numbers.items() if value is not None},
        "data": dataset.name,
        "split": dataset.split,
        "images": len(dataset),
        "protocol": MATRIX,
    }


def _compare(header: Header, fresh: Mapping[str, Any], report: Callable[[str], None] | None) -> None:
    """Say so where what is published is worse than what the file says of itself."""
    stored = measured(header)
    before, now = stored.get("miou"), fresh.get("miou")
    same = (stored.get("data"), stored.get("split")) == (fresh.get("data"), fresh.get("split"))
    if report is not None and same and isinstance(before, float) and isinstance(now, float) and now < before - _LOST:
        report(f"mean IoU is {facts.percent(now)}, where the file says {facts.percent(before)}")


def _history(run: Path | None) -> tuple[list[Point], dict[str, Any]]:
    """The course of a training from its log, and how long it took; empty where there is no log that can be read."""
    points: list[Point] = []
    summary: dict[str, Any] = {}
    try:
        lines = RunFolder(run).log.read_text(encoding="utf-8").splitlines() if run is not None else []
    except (OSError, UnicodeDecodeError):
        lines = []
    for line in lines:
        try:
            entry = json.loads(line)
            step = int(entry["step"])
            points.append(Point(step, _number(entry.get("loss")), _number(entry.get("miou"))))
        except (ValueError, KeyError, TypeError):
            continue
        if entry.get("kind") == "end":
            kept = {key: _number(entry.get(key)) for key in ("seconds", "images_per_second")}
            summary = {"steps": step, **{key: value for key, value in kept.items() if value is not None}}
    return points, summary


def _number(value: Any) -> float | None:
    finite = isinstance(value, int | float) and value == value and abs(value) < 1e30
    return float(value) if finite else None
