"""From published file to first output: a hub's FCN-8s (513 MB) and DeepLabV3-ResNet50, beside torch and torchvision.

    python benchmarks/loading.py

Promises: a file of ours is a usable model at least 5 × sooner than torch.load + load_state_dict, or torchvision's
`get_model(weights=…)`, make one of a file with as many numbers; peak memory at most 1.15 × the file. Weights named
after a hub's record are hashed on the way, each time: what that costs is stated. `zoo hub list` with 1,000 records
takes at most twice as long as `zoo list`. Memory is the growth of the process's peak over what it had after its
imports, with every page of the file touched, before the first output; the libraries are imported beforehand.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from _measure import interleaved, run, show, verdict

_MEASURE = """
import json, os, resource, time, warnings
{settings}
import torch
warnings.simplefilter("ignore")
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
{imports}
torch.zeros(8).sum().item()
before = peak()
start = time.perf_counter()
{load}
model.eval()
ready = time.perf_counter() - start
total = sum(float(p.sum()) for p in model.parameters())
memory = peak() - before
start = time.perf_counter()
with torch.inference_mode():
    model(torch.zeros(1, 3, 128, 128))["out"]
first = ready + time.perf_counter() - start
print(json.dumps(dict(ready=ready, first=first, memory=memory, total=total)))
"""

_OURS = "import zoo, zoo.plugins.{plugin}, zoo.encoders.{encoder}; zoo.load; zoo.create_model; zoo.list_models()"


def prepare(folder: Path, name: str, tag: str) -> None:
    """A model with random weights: as a file of torch, and in a hub."""
    run(
        "import torch, zoo\n"
        "from pathlib import Path\n"
        "from zoo.hub.publishing.publish import publish\n"
        f"model = zoo.create_model({name!r}, aux=True) if 'deeplab' in {name!r} else zoo.create_model({name!r})\n"
        f"zoo.save(model, {str(folder / 'model.safetensors')!r}, licence=dict(weights='CC0-1.0', data='none'))\n"
        f"torch.save(model.state_dict(), {str(folder / 'model.pth')!r})\n"
        f"publish(Path({str(folder / 'model.safetensors')!r}), {str(folder / 'hub')!r}, name={name + '.' + tag!r})\n"
        "print('{}')"
    )


def compare(name: str, plugin: str, encoder: str, folder: Path, repeats: int) -> list[bool]:
    prepare(folder, name, "bench")
    imports = _OURS.format(plugin=plugin, encoder=encoder) + ("; import timm" if encoder == "timm" else "")
    settings = f"os.environ['ZOO_HUB'] = {str(folder / 'hub')!r}; os.environ['TORCH_HOME'] = {str(folder / 'torch')!r}"
    build = f"model = zoo.create_model({name!r}{', aux=True' if plugin == 'deeplab' else ''})\n"
    state = f"torch.load({str(folder / 'model.pth')!r}, weights_only=True)"
    cases = {
        "zoo.load(file)": (imports, f"model = zoo.load({str(folder / 'model.safetensors')!r})"),
        "zoo.load(name), hashed": (imports, f"model = zoo.load({name + '.bench'!r})"),
        "build, torch.load, load_state_dict": (imports, f"{build}model.load_state_dict({state})"),
    }
    if plugin == "deeplab":
        checkpoints = folder / "torch" / "hub" / "checkpoints"
        checkpoints.mkdir(parents=True)
        run(
            "import torch\nfrom torchvision.models import get_model\n"
            f"net = get_model({name!r}, weights=None, weights_backbone=None, aux_loss=True)\n"
            f"torch.save(net.state_dict(), {str(checkpoints / 'deeplabv3_resnet50_coco-cd0a2569.pth')!r})\n"
            "print('{}')"
        )
        cases["torchvision get_model(weights=…)"] = (
            "from torchvision.models import get_model",
            f"model = get_model({name!r}, weights='DEFAULT')",
        )
    results = interleaved(
        {
            label: _MEASURE.format(settings=settings, imports=imported, load=load)
            for label, (imported, load) in cases.items()
        },
        repeats,
    )
    size = (folder / "model.safetensors").stat().st_size
    show(
        f"{name}, file of {size / 2**20:.0f} MiB, medians of {repeats} interleaved runs (warm file cache)",
        [("", "ready", "first output", "peak memory"), *(_row(label, found) for label, found in results.items())],
    )
    ours, named, *others = results.values()
    overhead = named["ready"] - ours["ready"]
    print(f"  by name: {1000 * overhead:.0f} ms more for {size / 1e6:.0f} MB")
    kept = [
        verdict(f"{label}, ready", other["ready"] / ours["ready"], 5, at_most=False)
        for label, other in zip(list(results)[2:], others, strict=True)
    ]
    return [
        *kept,
        verdict("peak memory of zoo.load against the file", ours["memory"] / size, 1.15, at_most=True),
        verdict("peak memory by name against the file", named["memory"] / size, 1.15, at_most=True),
    ]


def listing(folder: Path, repeats: int) -> list[bool]:
    """`zoo hub list` over a thousand records beside `zoo list`."""
    record = json.loads((folder / "hub" / "index.json").read_text())["records"][0]
    records = []
    for number in range(1000):
        iou = {f"class {index}": number / 1000 for index in range(21)}
        records.append({**record, "name": f"fcn8s_vgg16.tag{number}", "metrics": {"miou": 0.5, "iou": iou}})
    many = folder / "many"
    many.mkdir()
    (many / "index.json").write_text(json.dumps({"schema": 1, "records": records}))
    commands = {"zoo list": ["list"], "zoo hub list, 1,000 records": ["hub", "list"]}
    times: dict[str, list[float]] = {label: [] for label in commands}
    for _ in range(3 * repeats):
        for label, arguments in commands.items():
            start = time.perf_counter()
            subprocess.run(
                [sys.executable, "-m", "zoo", *arguments],
                env={**os.environ, "ZOO_HUB": str(many)},
                stdout=subprocess.DEVNULL,
                check=True,
            )
            times[label].append(time.perf_counter() - start)
    median = {label: statistics.median(values) for label, values in times.items()}
    show("listing", [(label, f"{1000 * seconds:.0f} ms") for label, seconds in median.items()])
    plain, many_records = median.values()
    return [verdict("zoo hub list of 1,000 records against zoo list", many_records / plain, 2, at_most=True)]


def _row(label: str, found: dict[str, Any]) -> tuple[str, ...]:
    times = (f"{1000 * found[key]:.0f} ms" for key in ("ready", "first"))
    return (label, *times, f"{found['memory'] / 2**20:.0f} MiB")


def main(repeats: int = 5) -> int:
    kept = []
    with tempfile.TemporaryDirectory() as temporary:
        nets = [("fcn8s_vgg16", "fcn.architectures", "vgg"), ("deeplabv3_resnet50", "deeplab", "timm")]
        for name, plugin, encoder in nets:
            folder = Path(temporary, name)
            folder.mkdir()
            kept += compare(name, plugin, encoder, folder, repeats)
        kept += listing(Path(temporary, "fcn8s_vgg16"), repeats)
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
