"""What a label map says about how it was made, so that interrupted work can go on."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.data.png import read_text
from zoo.inference.outputs import Job

if TYPE_CHECKING:
    from zoo.model import SegmentationModel

KEYWORD = "zoo"
_ENDS = 256  # numbers that are looked at on either end of every tensor


def fingerprint(model: "SegmentationModel") -> str:
    """16 letters that differ for another model or other weights: of its description and the ends of every tensor."""
    digest = hashlib.sha256(json.dumps(model.config.to_json(), sort_keys=True).encode())
    for name, tensor in model.state_dict().items():
        flat = tensor.detach().reshape(-1)
        for part in (flat[:_ENDS], flat[-_ENDS:]):
            digest.update(name.encode() + part.cpu().double().numpy().tobytes())
    return digest.hexdigest()[:16]


def mark(job: Job, how: Mapping[str, Any]) -> dict[str, Any]:
    """What goes into the label map of a picture: which file it was, and how it was asked about."""
    status = job.source.stat()
    return {"source": [job.source.name, status.st_size, status.st_mtime_ns], **how}


def words(made: Mapping[str, Any], pixels: list[int], size: tuple[int, int]) -> dict[str, str]:
    """As words in the label map's file: with how many pixels each class has, and (H, W)."""
    return {KEYWORD: json.dumps({**made, "pixels": pixels, "size": list(size)}, sort_keys=True)}


def done_alike(job: Job, made: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the label map says, where all files of a picture are there and were made like that; else None."""
    if not all(path.is_file() for path in job.files.values()):
        return None
    said = _said(job.labels)
    same = {key: value for key, value in said.items() if key not in ("pixels", "size")} == json.loads(json.dumps(made))
    return said if same else None


def _said(labels: Path) -> dict[str, Any]:
    try:
        found = json.loads(read_text(labels).get(KEYWORD, "{}"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
