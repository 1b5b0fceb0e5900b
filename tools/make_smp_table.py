"""Write plugins/smp/encoders.json: what every encoder of segmentation-models-pytorch offers.

    python tools/make_smp_table.py

The library's own encoders, and timm's backbones as the library takes them (``tu-…``). Each is built on the meta device
and run on meta tensors; then every decoder is run on maps of its channels. A pair that does not give (N, K, H, W) must
be one that the manifest's needs and the encoder's offers exclude, and no other: a difference is an error here.
"""

import json
import sys
import tomllib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from multiprocessing import Pool
from pathlib import Path
from typing import Any
from unittest.mock import patch

import segmentation_models_pytorch as smp
import timm
import torch
from segmentation_models_pytorch.encoders.timm_vit import TimmViTEncoder
from torch import Tensor, nn

from zoo.compatibility import missing

PLUGIN = Path(__file__).parents[1] / "plugins" / "smp"
TABLE = PLUGIN / "encoders.json"
DEPTH = 5
ARCHITECTURES = {cls.__name__.lower(): cls for cls in smp.MODEL_ARCHITECTURES_MAPPING.values() if cls is not smp.DPT}
DILATED = {"pan": 16, "deeplabv3": 8, "deeplabv3plus": 16}
ANY_SIZES = ((0, 0), (1, 15), (65, 99))
READOUTS = 4


@contextmanager
def meta() -> Iterator[None]:
    """Everything on the meta device, except the schedules that constructors read numbers from."""
    linspace = torch.linspace
    with torch.device("meta"), patch("torch.linspace", lambda *a, **k: linspace(*a, **{**k, "device": "cpu"})):
        yield


def build(name: str, output_stride: int = 32) -> Any:
    with meta():
        return smp.encoders.get_encoder(name, depth=DEPTH, weights=None, output_stride=output_stride).eval()


def strides(encoder: Any, size: tuple[int, int], output_stride: int = 32) -> bool:
    """Whether each map has its channels and ceil(size / stride) cells, the stride doubling from map to map."""
    try:
        maps = encoder(torch.empty(2, 3, *size, device="meta"))
    except Exception:
        return False
    wanted = []
    for index, channels in enumerate(encoder.out_channels):
        stride = min(2**index, output_stride)
        wanted.append((2, channels, -(-size[0] // stride), -(-size[1] // stride)))
    return all(tuple(feature.shape) == shape for feature, shape in zip(maps, wanted, strict=True) if shape[1] > 0)


def runs(encoder: Any, size: tuple[int, int]) -> bool:
    try:
        maps = encoder(torch.empty(2, 3, *size, device="meta"))
    except Exception:
        return False
    return all(min(feature.shape[-2:]) > 0 for feature in maps if feature.shape[1])


class Stub(nn.Module):
    """Stands for an encoder: maps of its channels, without computing them."""

    def __init__(self, out_channels: list[int], output_stride: int) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.output_stride = output_stride

    def forward(self, x: Tensor) -> list[Tensor]:
        size = x.shape[-2:]
        steps = [min(2**index, self.output_stride) for index in range(len(self.out_channels))]
        return [
            torch.empty(x.shape[0], channels, size[0] // step, size[1] // step, device="meta")
            for channels, step in zip(self.out_channels, steps, strict=True)
        ]


def fits(architecture: str, name: str, channels: list[int], output_strides: list[int]) -> bool:
    """Whether the library's model works with such an encoder."""
    cls = ARCHITECTURES[architecture]
    output_stride = DILATED.get(architecture, 32)
    if output_stride not in output_strides:
        return False
    module = sys.modules[cls.__module__]

    def stand_in(*args: Any, depth: int = DEPTH, **options: Any) -> Stub:
        return Stub(channels[: depth + 1], output_stride)

    try:
        with meta(), patch.object(module, "get_encoder", stand_in):
            model = cls(name, encoder_weights=None, classes=5).eval()
        return tuple(model(torch.empty(2, 3, 256, 320, device="meta")).shape) == (2, 5, 256, 320)
    except Exception:
        return False


def tokens(name: str) -> dict[str, Any] | None:
    """How DPT can use a timm model for pictures of any size; None where it cannot."""
    try:
        try:
            encoder = vision_transformer(name, dynamic_img_size=True)
            options = {"dynamic_img_size": True}
        except TypeError:  # no vision transformer
            encoder = vision_transformer(name)
            options = {}
        with meta():
            model = dpt()
            shapes = (encoder.out_channels, encoder.output_strides, encoder.has_prefix_tokens)
            model.decoder = type(model.decoder)(*shapes).eval()
    except Exception:
        return None
    model.encoder = encoder
    for multiple in (32, 224):  # 224: windows of seven cells
        try:
            for size in ((multiple, multiple), (5 * multiple, 2 * multiple)):
                assert tuple(model(torch.empty(2, 3, *size, device="meta")).shape) == (2, 5, *size)
        except Exception:
            continue
        parameters = sum(parameter.numel() for parameter in encoder.parameters())
        entry: dict[str, Any] = {"dpt": {"multiple": multiple, "options": options}, "parameters": parameters}
        if getattr(encoder.model, "pos_embed", None) is not None:  # resampled to sizes that torch.export fixes
            entry["cannot"] = ["export"]
        return entry
    return None


def vision_transformer(name: str, **options: Any) -> Any:
    with meta():
        return TimmViTEncoder(name, pretrained=False, **options).eval()


@cache
def dpt() -> Any:
    with meta():
        return smp.DPT("tu-test_vit", encoder_weights=None, classes=5).eval()


def pyramid(name: str, known: dict[str, Any] | None) -> dict[str, Any] | None:
    """What an encoder offers as a pyramid of maps, or None.

    `known` is what the table of timm's backbones says of one of them: much of it need not be tried again.
    """
    try:
        encoder = build(name)
    except Exception:
        return None
    channels = list(encoder.out_channels)
    if len(channels) != DEPTH + 1:
        return None
    entry: dict[str, Any] = {"channels": channels}
    padding = [(1, 1), (32, 32), (32, 64), (64, 128)]
    if known is not None:
        padding = [(known.get("multiple", 1), known.get("minimum", 1))]
    for multiple, minimum in padding:
        sizes = (minimum, minimum), (minimum + multiple, minimum + 3 * multiple), (minimum + 9 * multiple, minimum)
        if all(strides(encoder, size) for size in sizes):
            break
    else:
        return None
    if multiple > 1:
        entry |= {"multiple": multiple, "minimum": minimum}
    for least in (1,) if multiple == 1 else (32, 64):
        if all(runs(encoder, (least + down, least + right)) for down, right in ANY_SIZES):
            entry["any"] = least
            break
    output_strides = [32]
    for output_stride in (16, 8):
        if known is not None and output_stride not in known["offers"]["output_strides"]:
            continue
        try:
            dilated = build(name, output_stride)
        except Exception:
            continue
        if strides(dilated, (max(4 * multiple, 64), max(6 * multiple, 96)), output_stride):
            output_strides.append(output_stride)
    real = [index for index, width in enumerate(channels) if width and not (index == 0 and width == 3)]
    # An empty first stage stands for a missing one: all decoders go on without it, but for the pairs that the library
    # refuses by name. Those encoders do not offer it.
    stages = sorted({*real, 1} if name.startswith("tu-") else real)
    entry["offers"] = {
        "strides": [2**index for index in real],
        "taps": [f"stage{index}" for index in stages],
        "output_strides": output_strides,
    }
    entry["parameters"] = sum(parameter.numel() for parameter in encoder.parameters())
    return entry


@cache
def needs() -> dict[str, dict[str, Any]]:
    with (PLUGIN / "plugin.toml").open("rb") as file:
        return {entry["name"]: entry.get("needs", {}) for entry in tomllib.load(file)["architecture"]}


def check(name: str, entry: dict[str, Any]) -> list[str]:
    """Pairs for which the manifest and the library disagree."""
    if "channels" not in entry:
        return []
    output_strides = entry["offers"]["output_strides"]
    wrong = []
    for architecture in ARCHITECTURES:
        promise = not missing(needs()[architecture], entry["offers"], f"smp/{name}")
        if promise != fits(architecture, name, entry["channels"], output_strides):
            wrong.append(f"{architecture}@{name}: promised {promise}, which is not so")
    return wrong


def examine(name: str) -> tuple[str, dict[str, Any], list[str]]:
    """Name, entry (empty where it cannot be used) and the pairs for which the manifest is wrong."""
    bare = name.removeprefix("tu-")
    of_timm = bare != name
    known = timm_table().get(bare) if of_timm else None
    with torch.inference_mode():
        entry = (pyramid(name, known) if known or not of_timm else None) or {}
        if of_timm and (readable := tokens(bare)) is not None:
            entry = {**readable, **entry}
            blocks = [f"block{index}" for index in range(1, READOUTS + 1)]
            offers = entry.setdefault("offers", {})
            offers["taps"] = [*offers.get("taps", []), *blocks]
        return name, entry, check(name, entry)


@cache
def timm_table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads((PLUGIN.parents[1] / "zoo" / "encoders" / "timm.json").read_text())["entries"]
    return table


def quiet() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)


def main() -> None:
    names = smp.encoders.get_encoder_names() + [f"tu-{name}" for name in timm.list_models()]
    if len(sys.argv) > 1:
        names = sys.argv[1:]
    lines, wrong = [], []
    with Pool(initializer=quiet) as pool:
        for index, (name, entry, mistakes) in enumerate(pool.imap(examine, names), 1):
            if entry:
                lines.append(f"{json.dumps(name)}: {json.dumps(entry, sort_keys=True)}")
            wrong += mistakes
            progress = f"\r{index}/{len(names)}, {len(lines)} usable, {len(wrong)} wrong"
            print(progress, end="", file=sys.stderr, flush=True)
    if wrong:
        raise SystemExit("\n" + "\n".join(wrong))
    if len(sys.argv) > 1:
        print(*lines, sep="\n")
        return
    body = ",\n".join(sorted(lines))
    TABLE.write_text(f'{{"smp": "{smp.__version__}", "timm": "{timm.__version__}", "entries": {{\n{body}\n}}}}\n')


if __name__ == "__main__":
    main()
