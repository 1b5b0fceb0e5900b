"""``zoo eval``."""

import json
import warnings
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from zoo.evaluation.metrics import Metrics
    from zoo.training.recipe import DataTable


@click.command()
@click.argument("checkpoint", metavar="CHECKPOINT")
@click.option("--data", metavar="NAME|FOLDER", required=True, help="A registered data set or a folder.")
@click.option("--split", default="val", show_default=True, help="Which part of the data.")
@click.option("--batch-size", type=click.IntRange(min=1), default=1, show_default=True, help="Pictures at once.")
@click.option("--device", default="auto", show_default=True, help="Where to compute: cpu, cuda, cuda:1, mps …")
@click.option("--amp", is_flag=True, help="Compute in bfloat16: faster where the hardware has it.")
@click.option("--root", metavar="FOLDER", help="Where a registered data set lies.")
@click.option("--download", is_flag=True, help="Fetch a registered data set if it is not there.")
@click.option("-o", "options", metavar="KEY=VALUE", multiple=True, help="How to read the data, as data.values={255=1}.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def command(
    checkpoint: str,
    data: str,
    split: str,
    batch_size: int,
    device: str,
    amp: bool,
    root: str | None,
    download: bool,
    options: tuple[str, ...],
    as_json: bool,
) -> None:
    """Measure a weight file on a data set: mean IoU, accuracies, IoU of every class.

    Pictures keep their size, and all pixels of the data count in one confusion matrix.

    \b
    zoo eval run/best.safetensors --data camvid --split val
    zoo eval run/best.safetensors --data my_folder --json
    """
    table = _data_table(data, root, download, options)

    import zoo
    from zoo.cli._progress import progress
    from zoo.data.catalog import open_dataset
    from zoo.data.folder import FolderDataset
    from zoo.errors import DataError
    from zoo.evaluation.evaluate import ClassNameWarning, evaluate
    from zoo.inference.forward import choose_device

    where = choose_device(device)
    model = zoo.load(checkpoint)
    dataset = open_dataset(
        table.name,
        split,
        channels=model.config.in_channels,
        download=table.download,
        values=table.values or None,
        root=table.root,
    )
    with warnings.catch_warnings(record=True) as caught, progress("pictures") as report:
        warnings.simplefilter("default", ClassNameWarning)
        metrics = evaluate(model, dataset, device=where, batch_size=batch_size, amp=amp, progress=report)
    for warning in caught:
        click.echo(f"Warning: {warning.message}", err=True)
    pixels = metrics.confusion.total
    if isinstance(dataset, FolderDataset) and int((metrics.confusion.true > 0).sum()) < 2:
        offer = dataset.binary()
        if offer:  # one of two classes would have been left out in silence
            raise DataError(offer)
    if pixels == 0:
        raise DataError(f"no pixel of {dataset.name}/{split} is labelled (all are 255, ignored): nothing to measure")
    if as_json:
        record = {"checkpoint": checkpoint, "data": data, "split": split, "images": len(dataset), "pixels": pixels}
        click.echo(json.dumps({**metrics.to_json(), **record}, ensure_ascii=False))
    else:
        what = f"{model.config.name} on {dataset.name}/{split}"
        click.echo(f"{what}: {len(dataset)} pictures, {pixels:,} labelled pixels\n\n{_report(metrics)}")


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


def _report(metrics: "Metrics") -> str:
    from zoo.cli._text import table

    shares = (metrics.confusion.true / metrics.confusion.total).tolist()
    rows = [("class", "   IoU", "accuracy", " share")]
    for (name, iou), accuracy, share in zip(metrics.iou.items(), metrics.acc.values(), shares, strict=True):
        rows.append((name, _percent(iou), _percent(accuracy).rjust(8), _percent(share)))
    rows.append(("mean", _percent(metrics.miou), _percent(metrics.mean_acc).rjust(8), ""))
    total = {"mIoU": metrics.miou, "pixel accuracy": metrics.pixel_acc, "frequency-weighted IoU": metrics.fw_iou}
    summary = ", ".join(f"{name} {_percent(value).strip()} %" for name, value in total.items())
    return f"{table(rows)}\n\n{summary}"


def _percent(value: float | None) -> str:
    return "     –" if value is None else f"{value * 100:6.2f}"
