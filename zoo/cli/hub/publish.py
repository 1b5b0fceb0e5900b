"""``zoo hub publish``."""

import json
import shlex
from pathlib import Path

import click


@click.command()
@click.argument("source", metavar="RUN|FILE", type=click.Path(path_type=Path))
@click.option("--to", metavar="FOLDER|hf://ORG/REPO", required=True, help="The hub; a new one is made.")
@click.option("--name", metavar="MODEL.TAG", help="Or the tag alone; by default the tag is the data set's name.")
@click.option("--default", is_flag=True, help="Make these the weights that pretrained=True means.")
@click.option("--licence-weights", metavar="LICENCE", help="What others may do with the weights: 'MIT', 'CC BY 4.0' …")
@click.option("--licence-data", metavar="LICENCE", help="The licence of the data that they were trained on.")
@click.option("--summary", metavar="LINE", help="One line about it.")
@click.option("--data", metavar="NAME|FOLDER", help="Pictures to show, and to measure on.")
@click.option("--split", help="Which part of the data; by default the one that the file's numbers are of.")
@click.option("--root", metavar="FOLDER", help="Where a registered data set lies.")
@click.option("--pictures", metavar="FOLDER", help="Show these pictures instead of those of --data.")
@click.option("--measure", is_flag=True, help="Measure it on --data, and how fast it is; replaces the file's numbers.")
@click.option("--half", is_flag=True, help="Keep the weights in float16: half the size.")
@click.option(
    "--shard-size", metavar="MB", type=click.FloatRange(min=1), help="Write several files of at most so much."
)
@click.option("--force", is_flag=True, help="Replace a record of that name.")
@click.option("--json", "as_json", is_flag=True, help="Print the record as a JSON object.")
def command(
    source: Path,
    to: str,
    name: str | None,
    default: bool,
    licence_weights: str | None,
    licence_data: str | None,
    summary: str | None,
    data: str | None,
    split: str | None,
    root: str | None,
    pictures: str | None,
    measure: bool,
    half: bool,
    shard_size: float | None,
    force: bool,
    as_json: bool,
) -> None:
    """Add a trained model to a hub: its weights, a golden pair that proves them, a model card and a page.

    RUN is the folder of a training, FILE a .safetensors file. The token for Hugging Face is that of HF_TOKEN.

    \b
    zoo hub publish runs/first --to hub --licence-weights MIT --licence-data CC0
    zoo hub publish runs/first --to hf://me/models --data camvid --measure --half
    """
    from zoo.cli._progress import progress
    from zoo.hub.publishing.facts import percent, size
    from zoo.hub.publishing.publish import publish

    given = {"weights": licence_weights, "data": licence_data}
    with progress("pictures") as report:
        record = publish(
            source,
            to,
            name=name,
            default=default,
            licence={key: text for key, text in given.items() if text},
            summary=summary,
            data=data,
            split=split,
            root=root,
            pictures=pictures,
            measure=measure,
            half=half,
            shard_bytes=None if shard_size is None else int(shard_size * 1e6),
            force=force,
            progress=report,
            report=lambda message: click.echo(f"Warning: {message}", err=True),
        )
    if as_json:
        click.echo(json.dumps(record.to_json(), ensure_ascii=False))
        return
    metrics = record.table.get("metrics", {})
    numbers = f", mean IoU {percent(metrics['miou'])} %" if "miou" in metrics else ""
    click.echo(f"{record.name}: {size(record.bytes)}{numbers}, in {to}")
    click.echo(f"ZOO_HUB={shlex.quote(to)} zoo predict {record.name} photo.jpg --out seen")
