"""``zoo hub convert``."""

import json

import click


@click.command()
@click.argument("file", metavar="FILE")
@click.option("--from", "source", metavar="FORMAT", required=True, help="torchvision, timm, caffe, smp, zoo …")
@click.option("--model", metavar="NAME", required=True, help="The model, pair or encoder that the weights are for.")
@click.option("--out", metavar="OUT.safetensors", required=True, help="The file to write.")
@click.option("--force", is_flag=True, help="Overwrite the file if it is there.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def command(file: str, source: str, model: str, out: str, force: bool, as_json: bool) -> None:
    """Convert weights that others published into one of our files.

    \b
    zoo hub convert fcn8s-heavy-pascal.caffemodel --from caffe --model fcn8s_vgg16 --out fcn8s.safetensors
    zoo hub convert fcn_resnet50_coco-1167a1af.pth --from torchvision --model fcn_resnet50 --out fcn.safetensors
    zoo hub convert resnet50-0676ba61.pth --from torchvision --model resnet50 --out resnet50.safetensors

    Nothing in the file is executed. `zoo info NAME` lists the formats that a model can be converted from. The result
    of an encoder is for the option encoder_weights.
    """
    import os

    from zoo.errors import CheckpointError

    if os.path.lexists(out) and not force:
        raise CheckpointError(f"{out} exists already; overwrite it with --force")

    import hashlib

    from zoo.hub.convert import convert

    with convert(file, source=source, model=model, out=out).open("rb") as written:
        sha256 = hashlib.file_digest(written, "sha256").hexdigest()
    record = {"file": out, "bytes": os.path.getsize(out), "sha256": sha256, "model": model, "from": source}
    if as_json:
        click.echo(json.dumps(record, ensure_ascii=False))
    else:
        click.echo(f"{out}: {record['bytes']:,} bytes, sha256 {sha256}")
