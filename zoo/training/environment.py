"""Where a run happens: what somebody needs to know who repeats it."""

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

import zoo
from zoo.registry import registry

_LIBRARIES = ("torchvision", "timm", "numpy", "segmentation_models_pytorch")


def environment(device: torch.device) -> dict[str, Any]:
    """What the opening of a log says of it, as JSON: device, threads, versions, and `environment`.

    The latter has more libraries, the machine and, where the working folder is in a git repository, its commit.
    """
    return {
        "device": str(device),
        "threads": torch.get_num_threads(),
        "zoo": zoo.__version__,
        "torch": str(torch.__version__),
        "python": platform.python_version(),
        "plugins": [plugin.origin for plugin in registry().plugins if Path(plugin.origin).suffix == ".py"],
        "environment": _more(device),
    }


def _more(device: torch.device) -> dict[str, Any]:
    libraries = {name: version for name in _LIBRARIES if (version := _version(name))}
    found: dict[str, Any] = {**libraries, "platform": platform.platform(), "cpu": processor(), "cores": os.cpu_count()}
    if device.type == "cuda":
        found |= {"gpu": torch.cuda.get_device_name(device), "cuda": torch.version.cuda}
    if commit := _commit():
        found["commit"] = commit
    return found


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def processor() -> str:
    """The model name of the CPU."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        return platform.processor() or platform.machine()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def _commit() -> str | None:
    """The commit, with a plus sign where tracked files differ from it."""
    try:
        head, changes = (
            subprocess.run(["git", *words], capture_output=True, text=True, timeout=5, check=True).stdout.strip()
            for words in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
        )
    except (OSError, subprocess.SubprocessError):  # no git, no repository, or no commit in it
        return None
    return head + ("+" if changes else "")
