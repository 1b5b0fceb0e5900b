"""Which published file a file is, and what its record says."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.classes import named_classes
from zoo.manifest import Spec
from zoo.published import digests
from zoo.registry import registry


@dataclass(frozen=True, slots=True)
class Provenance:
    """What is known of a foreign file.

    Attributes:
        record: The weight record it belongs to, as the manifest has it; empty where none fits.
        name: The record's name.
        certain: Whether it is the published file. If not, it is only one of the same form: then the record says how
            to use it, but not what it was trained on and how good it is.
    """

    record: Mapping[str, Any]
    name: str = ""
    certain: bool = False


def find_record(path: Path, format: str, target: Spec, num_classes: int | None) -> Provenance:
    """Look up a file among the weights that plugins know of.

    A source with digests is known by them, another one by its name. Else the default record of that model and format
    will do, if it has as many classes.

    Args:
        path: The file.
        format: ``"caffe"``, ``"torchvision"`` …
        target: The model or encoder.
        num_classes: K of the file, where known.
    """
    kind = "encoder" if target.kind == "encoder" else "model"
    records = [
        spec
        for spec in registry().find("weights")
        if spec.meta.get(kind) in (target.name, target.name.rpartition("/")[2])
    ]
    found: dict[str, str] = {}
    for spec in records:
        for source in spec.meta.get("sources", []):
            if source["from"] == format and _is(path, source, found):
                return Provenance(spec.meta, spec.name, certain=True)
    for spec in sorted(records, key=lambda spec: not spec.meta.get("default", False)):
        classes = len(named_classes(spec.meta.get("classes", [])))
        if any(source["from"] == format for source in spec.meta.get("sources", [])) and num_classes in (None, classes):
            return Provenance(spec.meta, spec.name)
    return Provenance({})


def _is(path: Path, source: Mapping[str, Any], found: dict[str, str]) -> bool:
    """Whether the file is the source's; `found` keeps digests that were computed."""
    known = {kind: digests(source.get(kind)) for kind in ("sha256", "sha1", "md5") if source.get(kind)}
    if not path.is_file() or source.get("bytes") not in (None, path.stat().st_size):
        return False
    if not known:
        return path.name == str(source["name"])
    kind, expected = next(iter(known.items()))  # the strongest
    if kind not in found:
        import hashlib

        with path.open("rb") as file:
            found[kind] = hashlib.file_digest(file, kind).hexdigest()
    return any(found[kind].startswith(digest) for digest in expected)
