"""What a launcher such as torchrun has told this process. Nothing here imports torch."""

import os

_NO_NAME = ("", "none")


def launched() -> bool:
    """Whether this process is one of several that were started together."""
    return all(name in os.environ for name in ("RANK", "MASTER_ADDR", "MASTER_PORT")) and number("WORLD_SIZE", 1) > 1


def number(name: str, default: int) -> int:
    """A number from the environment; `default` where it has none."""
    text = os.environ.get(name, "")
    return int(text) if text.isdecimal() else default


def restarted() -> bool:
    """Whether torchrun has started its processes again after one of them died."""
    return number("TORCHELASTIC_RESTART_COUNT", 0) > 0


def launch_name() -> str | None:
    """What torchrun calls this launch (``--rdzv-id``); None where it has no name of its own."""
    name = os.environ.get("TORCHELASTIC_RUN_ID", "")
    return None if name in _NO_NAME else name
