"""From a run, or a weight file, to a record in a hub."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from zoo.data.catalog import open_dataset
from zoo.errors import RunError, ZooError
from zoo.evaluation.evaluate import Progress
from zoo.hub.header import read_header
from zoo.hub.publishing.claims import claims, measured, record_name, unlicensed
from zoo.hub.publishing.placing import place, staging, taken
from zoo.hub.publishing.prepare import Wanted, prepare
from zoo.hub.record import Record, RecordError
from zoo.training.folder import RunFolder


def publish(
    source: str | os.PathLike[str],
    to: str | os.PathLike[str],
    *,
    name: str | None = None,
    default: bool = False,
    licence: Mapping[str, str] | None = None,
    summary: str | None = None,
    data: str | os.PathLike[str] | None = None,
    split: str | None = None,
    root: str | os.PathLike[str] | None = None,
    pictures: str | os.PathLike[str] | None = None,
    measure: bool = False,
    half: bool = False,
    shard_bytes: int | None = None,
    force: bool = False,
    progress: Progress | None = None,
    report: Callable[[str], None] | None = None,
) -> Record:
    """Add weights to a hub: the file, a golden pair, a card, a page, the record.

    A hub in a folder is valid at every moment, whatever interrupts this.

    Args:
        source: A run folder (its best weights are taken), or a .safetensors file.
        to: The hub: a folder, which may be new, or ``hf://org/repo[@branch]``.
        name: ``"model.tag"``, or the tag alone; by default the tag is the name of the data set.
        default: Whether these become the weights that ``pretrained=True`` means.
        licence: ``{"weights": …, "data": …}``; each may be in the file instead.
        summary: One line about it.
        data: A data set or folder, to show pictures of and to measure on.
        split: Which part of it; by default the one that the file's numbers are of, else ``"val"``.
        root: Where a registered data set lies.
        pictures: A folder with a split ``val``, to show pictures of instead where those of `data` may not be passed
            on.
        measure: Evaluate what is published on `data`, and time it; its numbers replace those of the file.
        half: Keep the weights in float16; they are computed with in float32.
        shard_bytes: Write several files of at most about so many bytes.
        force: Replace a record of that name.
        progress: Told about the evaluation.
        report: Told in words what came to light on the way.

    Returns:
        The record, as the hub's index has it.

    Raises:
        RecordError: The name is another model's or taken; the hub cannot be written.
        CheckpointError: The weights are damaged or not finite, or come from a plugin that others cannot install.
        ZooError: What else is wrong with the model, the data or the connection.
    """
    if measure and data is None:
        raise ZooError("there is nothing to measure on: give data")
    weights = weight_file(source)
    header = read_header(weights)
    chosen = record_name(name, header, weights.stem)
    table = claims(header, licence, summary)
    if report is not None and (warning := unlicensed(table["licence"])):
        report(warning)
    remote = str(to).startswith("hf:")
    folder = Path(to).expanduser().absolute()
    if not remote:
        if "://" in str(to):
            raise RecordError(f"{to}: weights are published to a folder, or to hf://org/repo")
        taken(folder, chosen, force=force)
    dataset = None
    if data is not None:
        wanted_split = split or str(measured(header).get("split") or "val")
        dataset = open_dataset(data, wanted_split, channels=header.config.in_channels, root=root)
    run = Path(source).expanduser()
    wanted = Wanted(
        chosen,
        weights,
        table,
        run=run if run.is_dir() else None,
        dataset=dataset,
        pictures=None if pictures is None else open_dataset(pictures, "val", channels=header.config.in_channels),
        measure=measure,
        half=half,
        shard_bytes=shard_bytes,
        default=default,
        progress=progress,
        report=report,
    )
    if remote:
        from zoo.hub.publishing.upload import upload

        return upload(wanted, str(to), force=force)
    with staging(folder) as stage:
        return place(prepare(wanted, stage), folder, force=force).record


def weight_file(source: str | os.PathLike[str]) -> Path:
    """The weights of a run folder, or the file itself; raises `ZooError` where there are none."""
    path = Path(source).expanduser()
    if path.is_dir():
        best = RunFolder(path).best
        if not best.is_file():
            raise RunError(f"{path} is no run folder that has weights: there is no {best.name} in it")
        return best
    return path
