"""How much memory a model takes at most while it answers, in a process of its own.

Run as ``python -m zoo.speed.probe`` with a JSON object: model, against (or null), theirs, classes, size, batch, backend
and dtype (or null). It prints one number, bytes.
"""

import gc
import json
import resource
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.errors import ZooError


def peak_memory(what: Mapping[str, Any]) -> int:
    """Run the probe; bytes of the process, weights and interpreter included, while it answers twice.

    Raises:
        ZooError: The process failed.
    """
    done = subprocess.run([sys.executable, "-m", __name__, json.dumps(dict(what))], capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it was killed"]
        raise ZooError(f"measuring the memory of {what['model']} failed: {lines[-1]}")
    return int(done.stdout.strip().splitlines()[-1])


def _measure(what: Mapping[str, Any]) -> int:
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
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    with torch.no_grad():
        for _ in range(2):
            label(x)
    return _peak()


def _peak() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    print(_measure(json.loads(sys.argv[1])))
