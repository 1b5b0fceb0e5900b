"""How much memory this process has held."""

import sys
from pathlib import Path


def peak_memory() -> int | None:
    """The most memory this process has held, in bytes; None where the system does not say."""
    try:  # Linux also lets a process inherit the peak of the one that started it; this one is its own
        with open("/proc/self/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) * 1024
    except (OSError, ValueError, StopIteration):
        pass
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def forget_peak() -> bool:
    """Let the peak begin anew with what is held now; returns whether the system can do that."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True
