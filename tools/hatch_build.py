"""Places the top-level folder plugins/ inside the wheel as zoo/plugins/, and the weights that travel with it.

An editable install needs no copy: there `zoo.plugins` finds the sibling folder itself, and so does the hub.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PluginsHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the plugins and the shipped weights to real wheels only."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it builds; `version` is "standard" or "editable"."""
        if version == "standard":
            build_data["force_include"]["plugins"] = "zoo/plugins"
            build_data["force_include"] |= self._shipped(self.config["shipped"])

    def _shipped(self, name: str) -> dict[str, str]:
        """Of the hub, one record with its files: an index of its own, and what the record names."""
        hub = Path(self.root) / "hub"
        if not (hub / "index.json").is_file():
            return {}  # an archive of the sources alone
        index = json.loads((hub / "index.json").read_text(encoding="utf-8"))
        records = [record for record in index["records"] if record["name"] == name]
        if not records:
            raise ValueError(f"{hub} has no record {name!r} to ship")
        self._folder = tempfile.TemporaryDirectory()  # kept until the wheel is written
        reduced = Path(self._folder.name) / "index.json"
        reduced.write_text(json.dumps({**index, "records": records}, indent=1, sort_keys=True), encoding="utf-8")
        files = {file["name"] for record in records for file in record["files"]}
        files |= {record["golden"]["file"]["name"] for record in records}
        files |= {record["card"] for record in records}
        return {
            str(reduced): "zoo/hub/shipped/index.json",
            **{str(hub / file): f"zoo/hub/shipped/{file}" for file in sorted(files)},
        }
