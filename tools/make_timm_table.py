"""Write zoo/encoders/timm.json: what every timm backbone offers, so that listing needs no timm.

    python tools/make_timm_table.py

Each model is built with `features_only` on the meta device and run on meta tensors of odd sizes; what cannot
give feature maps for pictures of any size (padded to a multiple where it must be) is left out.
"""

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import timm
import torch

TABLE = Path(__file__).parents[1] / "zoo" / "encoders" / "timm.json"
ODD_SIZES = ((1, 1), (33, 47), (97, 131))


def build(name: str, **options: Any) -> Any:
    with torch.device("meta"):
        return timm.create_model(name, features_only=True, pretrained=False, **options).eval()


def maps_fit(model: Any, size: tuple[int, int], strides: list[int]) -> bool:
    """Whether every map has its channels and ceil(size / stride) cells."""
    maps = model(torch.empty(2, 3, *size, device="meta"))
    if str(getattr(model, "output_fmt", "NCHW")).endswith("NHWC"):
        maps = [feature.permute(0, 3, 1, 2) for feature in maps]
    wanted = [
        (2, channels, -(-size[0] // stride), -(-size[1] // stride))
        for channels, stride in zip(model.feature_info.channels(), strides, strict=True)
    ]
    return [tuple(feature.shape) for feature in maps] == wanted


def works(model: Any, sizes: tuple[tuple[int, int], ...], strides: list[int]) -> bool:
    try:
        return all(maps_fit(model, size, strides) for size in sizes)
    except Exception:
        return False


def entry(name: str) -> dict[str, Any] | None:
    try:
        model = build(name)
    except Exception:
        return None
    info = model.feature_info
    strides = list(info.reduction())
    indices = list(info.out_indices)
    deepest = max(strides)
    if works(model, ODD_SIZES, strides):
        padding = {}
    else:
        for multiple, minimum in ((deepest, deepest), (deepest, 2 * deepest), (2 * deepest, 4 * deepest)):
            if works(model, ((minimum, minimum), (minimum + multiple, minimum + 3 * multiple)), strides):
                padding = {"multiple": multiple, "minimum": minimum}
                break
        else:
            return None
    output_strides = [deepest]
    for output_stride in (16, 8):
        dilated = [min(stride, output_stride) for stride in strides]
        try:
            candidate = build(name, output_stride=output_stride)
        except Exception:
            continue
        size = ((4 * deepest, 6 * deepest),)
        if list(candidate.feature_info.reduction()) == dilated and works(candidate, size, dilated):
            output_strides.append(output_stride)
    return {
        "offers": {"strides": sorted(set(strides)), "output_strides": output_strides},
        "taps": [list(tap) for tap in zip(info.module_name(), info.channels(), strides, strict=True)],
        **({} if indices == list(range(len(strides))) else {"indices": indices}),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        **padding,
    }


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    names = timm.list_models()
    lines = []
    for index, name in enumerate(names, 1):
        if (found := entry(name)) is not None:
            lines.append(f"{json.dumps(name)}: {json.dumps(found, sort_keys=True)}")
        print(f"\r{index}/{len(names)}, {len(lines)} usable", end="", file=sys.stderr, flush=True)
    body = ",\n".join(lines)
    TABLE.write_text(f'{{"timm": "{timm.__version__}", "entries": {{\n{body}\n}}}}\n', encoding="utf-8")


if __name__ == "__main__":
    with torch.inference_mode():
        main()
