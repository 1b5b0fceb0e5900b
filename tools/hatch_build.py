"""Places the top-level folder plugins/ inside the wheel as zoo/plugins/.

An editable install needs no copy: there `zoo.plugins` finds the sibling folder itself.
"""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PluginsHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the plugins to real wheels only."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it builds; `version` is "standard" or "editable"."""
        if version == "standard":
            build_data["force_include"]["plugins"] = "zoo/plugins"
