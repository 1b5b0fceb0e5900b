"""``zoo eval``."""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli._speed import faster, speed_options
from zoo.cli._test_time import test_time_options
from zoo.cli._weights import pipeline_options

if TYPE_CHECKING:
    from zoo.evaluation.metrics import Metrics
    from zoo.training.recipe import DataTable


@click.command()
@click.argument("checkpoint", metavar="CHECKPOINT|MODEL.TAG|PIPELINE")
@click.option("--data", metavar="NAME|FOLDER", required=True, help="A registered data set or a folder.")
@click.option("--split", default="val", show_default=True, help="Which part of the data.")
@click.option("--batch-size", type=click.IntRange(min=1), default=1, show_default=True, help="Pictures at once.")
@click.option("--device", default="auto", show_default=True, help="Where to compute: cpu, cuda, cuda:1, mps …")
@click.option("--amp", is_flag=True, help="Compute in bfloat16: faster where the hardware has it.")
@speed_options
@test_time_options
@pipeline_options
@click.option("--root", metavar="FOLDER", help="Where a registered data set lies.")
@click.option("--download", is_flag=True, help="Fetch a registered data set if it is not there.")
@click.option("-o", "options", metavar="KEY=VALUE", multiple=True, help="How to read the data, as data.values={255=1}.")
@click.option("--boundary", is_flag=True, help="Measure the boundary F-score too: how well outlines are met.")
@click.option("--protocol", "tell", is_flag=True, help="Say how was counted: void, absent classes, and the rest.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write the JSON object to a file too; RUN/test.json is what `zoo compare` shows as test mIoU.",
)
def command(
    checkpoint: str,
    data: str,
    split: str,
    batch_size: int,
    device: str,
    amp: bool,
    backend: str | None,
    dtype: str | None,
    scales: tuple[float, ...] | None,
    mirror: bool,
    window: tuple[int, int] | None,
    overlap: float | int | str,
    output_stride: int | None,
    weights: tuple[str, ...],
    boxes: Path | None,
    root: str | None,
    download: bool,
    options: tuple[str, ...],
    boundary: bool,
    tell: bool,
    as_json: bool,
    out: Path | None,
) -> None:
    """Measure a weight file or a pipeline on a data set: mean IoU, accuracies, and every class.

    Of every class there are IoU, Dice, precision and recall. Pictures keep their size, and all pixels of the data
    count in one confusion matrix.

    \b
    zoo eval run/best.safetensors --data camvid --split val
    zoo eval run/best.safetensors --data my_folder --json
    zoo eval run/best.safetensors --data camvid --split test --out run/test.json
    zoo eval run/best.safetensors --data camvid --scales 0.75,1,1.25 --mirror
    zoo eval edeconvnet_crf --data voc2012 --protocol
    """
    from zoo.inference.test_time import TestTime

    table = _data_table(data, root, download, options)
    test_time = TestTime.asked(
        scales=scales, mirror=mirror, window=window, overlap=overlap, output_stride=output_stride
    )

    from zoo.cli._progress import progress
    from zoo.cli._weights import open_model
    from zoo.data.catalog import open_dataset
    from zoo.data.folder import FolderDataset
    from zoo.errors import DataError, ZooError
    from zoo.evaluation.boundary import BoundaryScore
    from zoo.evaluation.evaluate import ClassNameWarning, evaluate
    from zoo.evaluation.protocol import protocol
    from zoo.inference.forward import choose_device
    from zoo.inference.predictor import placed

    if out is not None and not out.parent.is_dir():
        raise ZooError(f"cannot write {out}: there is no folder {out.parent}")
    where = choose_device(device)
    model = open_model(checkpoint, weights, boxes)
    described = getattr(model, "description", None)  # of a pipeline
    if backend is not None or dtype is not None:
        model = faster(placed(model, where, test_time), backend, dtype)
    dataset = open_dataset(
        table.name,
        split,
        channels=model.config.in_channels,
        download=table.download,
        values=table.values or None,
        root=table.root,
    )
    outlines = BoundaryScore(model.config.num_classes) if boundary else None
    observers = [] if outlines is None else [outlines]
    with warnings.catch_warnings(record=True) as caught, progress("pictures") as report:
        warnings.simplefilter("default", ClassNameWarning)
        metrics = evaluate(
            model,
            dataset,
            device=where,
            batch_size=batch_size,
            amp=amp,
            progress=report,
            observers=observers,
            test_time=test_time,
        )
    for warning in caught:
        click.echo(f"Warning: {warning.message}", err=True)
    pixels = metrics.confusion.total
    if isinstance(dataset, FolderDataset) and int((metrics.confusion.true > 0).sum()) < 2:
        offer = dataset.binary()
        if offer:  # one of two classes would have been left out in silence
            raise DataError(offer)
    if pixels == 0:
        raise DataError(f"no pixel of {dataset.name}/{split} is labelled (all are 255, ignored): nothing to measure")
    scores = None if outlines is None else dict(zip(metrics.iou, outlines.scores(), strict=True))
    how = None if described is None else described.describe()
    told = protocol(metrics, None if outlines is None else outlines.tolerance, test_time, amp=amp, pipeline=how)
    record = {
        **metrics.to_json(),
        **metrics.every_class(),
        **({} if scores is None else {"boundary": scores, "mean_boundary": _mean(scores)}),
        **({"protocol": told} if tell else {}),
        **({} if backend is None else {"backend": backend}),
        **({} if dtype is None else {"dtype": dtype}),
        **({} if test_time == TestTime() else {"test_time": test_time.to_json()}),
        **({} if described is None else {"pipeline": {**described.to_json(), "protocol": how}}),
        **{"checkpoint": checkpoint, "data": data, "split": split, "images": len(dataset), "pixels": pixels},
    }
    text = json.dumps(record, ensure_ascii=False)
    if out is not None:
        _write(out, text)
    if as_json:
        click.echo(text)
        return
    what = f"{model.config.name} on {dataset.name}/{split}"
    asked = "" if test_time == TestTime() else f"; {test_time.describe()}"
    asked += "" if how is None else f"; {how}"
    click.echo(f"{what}: {len(dataset)} pictures, {pixels:,} labelled pixels{asked}\n\n{_report(metrics, scores)}")
    if tell:
        click.echo("\nProtocol\n" + "\n".join(f"  {topic}: {sentence}" for topic, sentence in told.items()))


def _write(out: Path, text: str) -> None:
    from zoo.errors import ZooError
    from zoo.files import atomic_path

    try:
        with atomic_path(out) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise ZooError(f"cannot write {out}: {error.strerror or error}") from None


def _data_table(data: str, root: str | None, download: bool, options: tuple[str, ...]) -> "DataTable":
    """What the options say about the data, checked as a recipe's data table is."""
    from zoo.errors import OptionError
    from zoo.training.recipe import Tables, build, override

    given: dict[str, Any] = {"name": data, "download": download}
    tables: Tables = {"data": given if root is None else {**given, "root": root}}
    for option in options:
        key = option.partition("=")[0].strip()
        if key not in ("data.values", "data.root", "data.download"):
            raise OptionError(f"-o {option}: an evaluation takes data.values, data.root and data.download")
        tables = override(tables, option)
    return build({"model": {"name": "of the checkpoint"}, **tables}, source="-o").data


def _report(metrics: "Metrics", boundary: dict[str, float | None] | None) -> str:
    from zoo.cli._text import table

    shares = dict(zip(metrics.iou, (metrics.confusion.true / metrics.confusion.total).tolist(), strict=True))
    columns: list[tuple[str, dict[str, float | None], float | None]] = [
        ("IoU", metrics.iou, metrics.miou),
        ("Dice", metrics.dice, metrics.mean_dice),
        ("precision", metrics.precision, _mean(metrics.precision)),
        ("recall", metrics.acc, metrics.mean_acc),
        *([] if boundary is None else [("boundary F", boundary, _mean(boundary))]),
    ]
    rows = [("class", *(title.rjust(max(len(title), 6)) for title, *_ in columns), " share")]
    for name in metrics.iou:
        cells = (_percent(values[name]).rjust(max(len(title), 6)) for title, values, _ in columns)
        rows.append((name, *cells, _percent(shares[name])))
    rows.append(("mean", *(_percent(mean).rjust(max(len(title), 6)) for title, _, mean in columns), ""))
    total = {"mIoU": metrics.miou, "pixel accuracy": metrics.pixel_acc, "frequency-weighted IoU": metrics.fw_iou}
    summary = ", ".join(f"{name} {_percent(value).strip()} %" for name, value in total.items())
    return f"{table(rows)}\n\n{summary}"


def _mean(values: Mapping[str, float | None]) -> float | None:
    known = [value for value in values.values() if value is not None]
    return sum(known) / len(known) if known else None


def _percent(value: float | None) -> str:
    return "     –" if value is None else f"{value * 100:6.2f}"
