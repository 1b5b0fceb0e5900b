"""How much memory a model takes at most while it answers, in a process of its own.

Run as ``python -m zoo.speed.probe`` with a JSON object: model, against (or null), theirs, classes, size, batch, backend
and dtype (or null). It prints one number, bytes, or null where the system cannot tell.
"""

import gc
import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from zoo import memory
from zoo.errors import ZooError


def peak_memory(what: Mapping[str, Any]) -> int | None:
    """Run the probe; bytes of the process, weights and interpreter included, while it answers twice.

    None where the system does not say, as anywhere but on Linux.

    Raises:
        ZooError: The process failed.
    """
    done = subprocess.run([sys.executable, "-m", __name__, json.dumps(dict(what))], capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it was killed"]
        raise ZooError(f"measuring the memory of {what['model']} failed: {lines[-1]}")
    measured: int | None = json.loads(done.stdout.strip().splitlines()[-1])
    return measured


def _measure(what: Mapping[str, Any]) -> int | None:
    import torch

    from zoo.speed.bench import labelling, ours_and_theirs

    torch.set_num_threads(what["threads"])
    pair = ours_and_theirs(what["model"], what["against"], what["classes"])
    model: Any = pair.theirs if what["theirs"] else pair.ours
    channels = pair.ours.config.in_channels
    del pair
    label = labelling(model, None if what["theirs"] else what["backend"], what["dtype"])
    del model
    gc.collect()
    x = torch.rand(what["batch"], channels, *what["size"])
    if not memory.forget_peak():
        return None
    with torch.no_grad():
        for _ in range(2):
            label(x)
    return memory.peak_memory()


if __name__ == "__main__":
    print(json.dumps(_measure(json.loads(sys.argv[1]))))
