"""Optimized models beside torchvision's and SMP's as they come, and beside an FCN-8s as one writes it down.

    python -m pip install -e '.[bench]'
    python benchmarks/inference.py [--rounds 5] [--threads 2] [--size 512] [--no-memory]

From a normalised picture of 512×512 to a label map, batch 1, two threads, the same weights in one process, in turn;
medians. Promises in float32: 1.5 × torchvision's fcn_resnet50 and deeplabv3_resnet50, 2 × SMP's U-Net (ResNet-34) and
2.5 × the plain FCN-8s, at equal labels; in bfloat16 on a processor with matrix units (AMX): 5 ×, 4 ×, 5 × and 6 ×. Peak
memory not above theirs. A machine that does other things at the same time favours nobody in particular, but two threads
that wait for one another tell little there: look at `uptime` first.
"""

import argparse
import gc
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from _measure import show, verdict
from torch import Tensor, nn

import zoo
from zoo.speed.bench import labelling
from zoo.speed.peers import against
from zoo.speed.probe import peak_memory
from zoo.speed.timing import take_turns

MODELS = {  # name: (library, promises in float32 and bfloat16)
    "fcn_resnet50": ("torchvision", 1.5, 5.0),
    "deeplabv3_resnet50": ("torchvision", 1.5, 4.0),
    "smp/unet@smp/resnet34": ("smp", 2.0, 5.0),
    "fcn8s_vgg16": (None, 2.5, 6.0),
}
CLASSES = 21


class PlainFCN8s(nn.Module):
    """FCN-8s straight from the paper: padding of 100, dense bilinear transposed convolutions, crops."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        self.taps = {}
        for block, (depth, width) in enumerate(zip((2, 2, 3, 3, 3), (64, 128, 256, 512, 512), strict=True), 1):
            for _ in range(depth):
                layers += [nn.Conv2d(channels, width, 3, padding=1 if layers else 100), nn.ReLU(inplace=True)]
                channels = width
            layers.append(nn.MaxPool2d(2, ceil_mode=True))
            self.taps[block] = len(layers)
        self.trunk = nn.Sequential(*layers)
        self.fc6, self.fc7 = nn.Conv2d(512, 4096, 7), nn.Conv2d(4096, 4096, 1)
        self.score_fr, self.score_pool4 = nn.Conv2d(4096, CLASSES, 1), nn.Conv2d(512, CLASSES, 1)
        self.score_pool3 = nn.Conv2d(256, CLASSES, 1)
        self.upscore2, self.upscore_pool4 = (nn.ConvTranspose2d(CLASSES, CLASSES, 4, 2, bias=False) for _ in range(2))
        self.upscore8 = nn.ConvTranspose2d(CLASSES, CLASSES, 16, 8, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        pool3 = self.trunk[: self.taps[3]](x)
        pool4 = self.trunk[self.taps[3] : self.taps[4]](pool3)
        pool5 = self.trunk[self.taps[4] :](pool4)
        x = F.dropout(F.relu(self.fc6(pool5)), training=self.training)
        x = F.dropout(F.relu(self.fc7(x)), training=self.training)
        x = self.upscore2(self.score_fr(x))
        x = x + self.score_pool4(pool4)[:, :, 5 : 5 + x.shape[2], 5 : 5 + x.shape[3]]
        x = self.upscore_pool4(x)
        x = x + self.score_pool3(pool3)[:, :, 9 : 9 + x.shape[2], 9 : 9 + x.shape[3]]
        return self.upscore8(x)[:, :, 31 : 31 + height, 31 : 31 + width]


def plain_fcn8s() -> tuple[Any, nn.Module]:
    ours, theirs = zoo.create_model("fcn8s_vgg16", num_classes=CLASSES).eval(), PlainFCN8s().eval()
    generator = torch.Generator().manual_seed(0)
    for layer in (ours.get_submodule(f"decoder.{name}") for name in ("score_fr", "score_pool4", "score_pool3")):
        layer.weight.normal_(0, 0.02, generator=generator)
    named = {key.rsplit(".", 2)[-2] + "." + key.rsplit(".", 1)[-1]: value for key, value in ours.state_dict().items()}
    convolutions = [value for key, value in ours.state_dict().items() if ".conv" in key]
    for mine, wanted in zip(convolutions, theirs.trunk.state_dict().values(), strict=True):
        wanted.copy_(mine)
    for key, value in theirs.state_dict().items():
        if not key.startswith("trunk"):
            value.copy_(named[key])
    return ours, theirs


def pair(name: str) -> tuple[Any, nn.Module]:
    library = MODELS[name][0]
    if library is None:
        return plain_fcn8s()
    found = against(name, library, num_classes=CLASSES)
    return found.ours, found.theirs


def compare(name: str, backend: str, dtype: str, options: argparse.Namespace) -> tuple[list[str], float]:
    ours, theirs = pair(name)
    x = torch.randn(1, 3, options.size, options.size, generator=torch.Generator().manual_seed(1))
    plain: Callable[[Tensor], Tensor] = labelling(theirs, None, "float32")
    fast = labelling(ours, backend, dtype)
    del ours
    gc.collect()
    same = float((plain(x) == fast(x)).float().mean())
    found = take_turns({"theirs": plain, "ours": fast}, x, rounds=options.rounds)
    ratio = found["theirs"].milliseconds / found["ours"].milliseconds
    row = [name, backend, dtype, *(f"{found[side].milliseconds:.0f}" for side in ("theirs", "ours")), f"{ratio:.2f}×"]
    return [*row, f"{same:.4%}", *memory(name, backend, dtype, options)], ratio


def memory(name: str, backend: str, dtype: str, options: argparse.Namespace) -> list[str]:
    library = MODELS[name][0]
    if library is None or options.no_memory:
        return ["–", "–"]
    what = {"model": name, "against": library, "classes": CLASSES, "size": [options.size] * 2, "batch": 1}
    what |= {"backend": backend, "dtype": dtype, "threads": options.threads}
    peaks = (peak_memory({**what, "theirs": side}) for side in (True, False))
    return ["–" if peak is None else f"{peak / 2**20:.0f}" for peak in peaks]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument("--models", nargs="+", choices=[*MODELS], default=[*MODELS])
    parser.add_argument("--onnx", action="store_true", help="onnxruntime too")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.set_grad_enabled(False)
    rows = [["model", "backend", "dtype", "theirs, ms", "ours, ms", "", "equal labels", "theirs, MiB", "ours, MiB"]]
    kept = []
    for name in options.models:
        _, exact, coarse = MODELS[name]
        for backend, dtype, promise in (("eager", "float32", exact), ("eager", "bfloat16", coarse)):
            row, ratio = compare(name, backend, dtype, options)
            rows.append(row)
            kept.append((f"{name}, {dtype}", ratio, promise))
        if options.onnx:
            rows.append(compare(name, "onnx", "float32", options)[0])
    show(f"image to label map, {options.size}×{options.size}, {options.threads} threads, random weights", rows)
    met = [verdict(what, ratio, promise, at_most=False) for what, ratio, promise in kept]
    if not all(met):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
