"""The recipes that plugins bring. Nothing here imports torch."""

from pathlib import Path
from typing import Any

from zoo.errors import OptionError, PluginError, UnknownNameError
from zoo.manifest import Spec
from zoo.registry import registry
from zoo.training import recipe, stages

ANY_DATA = "DATA"
"""Stands for the name of the data where a recipe is shown without."""


def find_recipe(name: str) -> Path:
    """The file of a recipe: a path, or the name of one that a plugin brings.

    Raises:
        UnknownNameError: There is neither; near names are suggested.
        PluginError: The plugin's file is missing.
    """
    path = Path(name).expanduser()
    if path.is_file():
        return path
    if registry().lookup("recipe", name) is None and (path.suffix == ".toml" or len(path.parts) > 1):
        raise OptionError(f"cannot read the recipe {name}: there is no such file")
    try:
        return file_of(registry().get("recipe", name))
    except UnknownNameError as error:
        raise UnknownNameError(f"{error} Or give the path of a TOML file.") from None


def file_of(spec: Spec) -> Path:
    """Where the recipe of a manifest lies; raises `PluginError` where it does not."""
    path: Path = (spec.folder or Path()) / spec.meta["file"]
    if not path.is_file():
        raise PluginError(f"recipe {spec.name!r} of plugin {spec.plugin!r}: there is no {path}")
    return path


def shown(spec: Spec) -> list[dict[str, Any]]:
    """The complete tables of a shipped recipe, every default filled in; one entry per stage.

    Raises:
        OptionError: It is not a valid recipe.
    """
    tables = recipe.read(file_of(spec))
    if not tables.get("data", {}).get("name"):
        tables = recipe.put(tables, "data.name", ANY_DATA)
    if not stages.is_staged(tables) and not tables.get("model", {}).get("name"):
        tables = recipe.put(tables, "model.name", spec.meta.get("model", "MODEL"))
    found = []
    for name, complete in stages.resolve(tables, spec.name):
        entry = complete.to_json()
        if entry["data"]["name"] == ANY_DATA:
            del entry["data"]["name"]
        found.append({**({"stage": name} if name else {}), **entry})
    return found
