"""How long a 513 MB FCN-8s takes from file to usable model, and how much memory: zoo.load beside torch.load.

    python benchmarks/loading.py

Promise: at least 5 × faster to a usable model than building it and `torch.load` + `load_state_dict`; peak memory at
most 1.15 × the file. "Every page touched" sums all parameters, so that nothing is left unread. Memory is the growth
of the process's peak over what it had after its imports.
"""

import sys
import tempfile
from pathlib import Path

from _measure import interleaved, run, show, verdict

_MEASURE = """
import json, resource, time
import torch
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
{imports}
torch.zeros(8).sum().item()
before = peak()
start = time.perf_counter()
{load}
ready = time.perf_counter() - start
with torch.inference_mode():
    total = sum(float(p.sum()) for p in model.parameters())
touched = time.perf_counter() - start
print(json.dumps(dict(ready=ready, touched=touched, memory=peak() - before, total=total)))
"""

_IMPORTS = "import zoo, zoo.plugins.fcn.architectures, zoo.encoders.vgg; zoo.load; zoo.create_model; zoo.list_models()"


def main(repeats: int = 5) -> int:
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = Path(folder, "model.safetensors"), Path(folder, "model.pth")
        run(
            "import torch, zoo\n"
            "model = zoo.create_model('fcn8s_vgg16', num_classes=21)\n"
            f"zoo.save(model, {str(ours)!r})\n"
            f"torch.save(model.state_dict(), {str(theirs)!r})\n"
            "print('{}')"
        )
        build = "model = zoo.create_model('fcn8s_vgg16', num_classes=21)\n"
        plain = build + f"model.load_state_dict(torch.load({str(theirs)!r}, weights_only=True))"
        built = interleaved(
            {
                "zoo.load": _MEASURE.format(imports=_IMPORTS, load=f"model = zoo.load({str(ours)!r})"),
                "build, torch.load, load_state_dict": _MEASURE.format(imports=_IMPORTS, load=plain),
                "torch.load, load_state_dict into a built model": _MEASURE.format(
                    imports=_IMPORTS + "\n" + build,
                    load=f"model.load_state_dict(torch.load({str(theirs)!r}, weights_only=True))",
                ),
            },
            repeats,
        )
        size = ours.stat().st_size
    assert len({result["total"] for result in built.values()}) <= 3
    show(
        f"FCN-8s, file of {size / 2**20:.0f} MiB, medians of {repeats} interleaved runs (warm file cache)",
        [
            ("", "ready", "every page touched", "peak memory"),
            *(
                (
                    name,
                    f"{1000 * result['ready']:.0f} ms",
                    f"{1000 * result['touched']:.0f} ms",
                    f"{result['memory'] / 2**20:.0f} MiB",
                )
                for name, result in built.items()
            ),
        ],
    )
    zoo, whole, state_only = built.values()
    kept = [
        verdict("build + torch.load, ready", whole["ready"] / zoo["ready"], 5, at_most=False),
        verdict("torch.load into a built model, ready", state_only["ready"] / zoo["ready"], 5, at_most=False),
        verdict("build + torch.load, every page touched", whole["touched"] / zoo["touched"], 5, at_most=False),
        verdict("peak memory of zoo.load against the file", zoo["memory"] / size, 1.15, at_most=True),
    ]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
