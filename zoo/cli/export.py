"""``zoo export``."""

import json
from pathlib import Path

import click

from zoo.cli._size import size_option


@click.command()
@click.argument("checkpoint", metavar="CHECKPOINT|MODEL.TAG|URL|PIPELINE")
@click.option("--format", "format", type=click.Choice(["onnx", "pt2"]), help="By default what --out ends in.")
@click.option("--out", metavar="FILE", type=click.Path(path_type=Path), help="By default beside the checkpoint.")
@click.option(
    "--size", metavar="HxW", default="256x320", show_default=True, callback=size_option, help="Size to trace at."
)
@click.option("--second-size", metavar="HxW", callback=size_option, help="Another size to compare at.")
@click.option("--static", is_flag=True, help="One picture of exactly --size, for runtimes that need it.")
@click.option("--opset", default=20, show_default=True, help="Version of ONNX's operators.")
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object: file, format, comparisons.")
def command(
    checkpoint: str,
    format: str | None,
    out: Path | None,
    size: tuple[int, int],
    second_size: tuple[int, int] | None,
    static: bool,
    opset: int,
    force: bool,
    as_json: bool,
) -> None:
    """Write a model to a file that runs without Zoo: ONNX, or a program of torch.export.

    Batch, height and width stay free. What goes in is a picture as it is, uint8 (N, C, H, W), RGB; out come labels
    (N, H, W) and logits (N, K, H, W). The file is compared with the model at two sizes and only kept if it agrees.
    A pipeline can be written where it is one model that is asked once.

    \b
    zoo export run/best.safetensors --format onnx
    zoo export unet_l4.camvid --out unet.pt2
    """
    from zoo.errors import OptionError

    if out is None:
        beside = Path(checkpoint if "://" not in checkpoint else checkpoint.rstrip("/").rpartition("/")[2])
        stem = beside.with_suffix("") if beside.suffix in (".safetensors", ".toml", ".json") else beside
        out = stem.with_name(f"{stem.name}.{format or 'onnx'}")
    chosen = format or out.suffix.removeprefix(".")
    if chosen not in ("onnx", "pt2"):
        raise OptionError(f"{out}: which format is meant? Give --format onnx or --format pt2")
    if out.exists() and not force:
        raise OptionError(f"{out} is there already; replace it with --force")
    if not out.absolute().parent.is_dir():
        raise OptionError(f"there is no folder {out.absolute().parent}")

    from zoo.cli._weights import open_model
    from zoo.export import export

    model = open_model(checkpoint)
    found = export(model, out, format=chosen, size=size, second=second_size, static=static, opset=opset)
    if as_json:
        record = {"file": str(out), "format": chosen, "parity": [parity._asdict() for parity in found]}
        click.echo(json.dumps(record, indent=2))
        return
    for parity in found:
        shape = "×".join(map(str, parity.size))
        click.echo(f"{shape}: logits off by {parity.deviation:.1e}, {parity.agreement:.2%} of the labels equal")
    click.echo(f"{out}: {out.stat().st_size / 2**20:.1f} MiB")
