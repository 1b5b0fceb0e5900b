"""A hub in a folder, with the weights of a model that is built in a moment."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import loopback
import torch

import zoo
from zoo.hub.golden import write_golden
from zoo.model import SegmentationModel

MODEL = "unet_l4"
OPTIONS: dict[str, Any] = {"channels": [4, 4, 8, 8]}


def model(seed: int = 0, name: str = MODEL, **options: Any) -> SegmentationModel:
    """A U-Net of a few thousand random parameters, whose classes have names."""
    torch.manual_seed(seed)
    built = zoo.create_model(name, num_classes=3, **{**OPTIONS, **options}).eval()
    built.config = built.config.describing(classes=("sky", "road", "tree"))
    return built


def entry_of(path: Path, folder: Path) -> dict[str, Any]:
    """Name, size and digest of a file of a hub."""
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return {"name": path.relative_to(folder).as_posix(), "bytes": len(content), "sha256": digest}


def add(
    folder: Path, weights: SegmentationModel, tag: str = "camvid", *, shard_bytes: int | None = None, **changes: Any
) -> str:
    """Put weights into a hub's folder and its index; returns the record's name."""
    name = f"{weights.config.name}.{tag}"
    home = folder / name
    home.mkdir(parents=True, exist_ok=True)
    first = zoo.save(weights, home / f"{name}.safetensors", shard_bytes=shard_bytes)
    write_golden(weights, home / "golden.safetensors")
    files = sorted(home.glob(f"{name}*.safetensors")) if shard_bytes else [first]
    record = {
        "name": name,
        "summary": "For tests",
        "files": [entry_of(file, folder) for file in files],
        "golden": {"file": entry_of(home / "golden.safetensors", folder), "tolerance": 1e-4},
        "model": weights.config.to_json(),
        "metrics": {"miou": 0.5},
        "licence": {"weights": "CC0-1.0", "data": "none"},
        **changes,
    }
    write(folder, [*records(folder), record])
    return name


def records(folder: Path) -> list[dict[str, Any]]:
    index = folder / "index.json"
    return list(json.loads(index.read_text())["records"]) if index.exists() else []


def write(folder: Path, entries: list[Mapping[str, Any]], schema: object = 1) -> None:
    """Write an index without asking whether it makes sense."""
    (folder / "index.json").write_text(json.dumps({"schema": schema, "records": entries}))


def serve(web: loopback.Web, folder: Path, under: str = "hub") -> str:
    """Let a server have all files of a hub; returns the hub's address."""
    for path in folder.rglob("*"):
        if path.is_file():
            name = f"{under}/{path.relative_to(folder).as_posix()}"
            web.misbehave(loopback.serve(path.read_bytes()), path=name, always=True)
    return web.url(under)
