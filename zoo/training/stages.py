"""Recipes in stages: several runs by one command, each starting from the weights of the one before.

A staged recipe has ``[[stage]]`` tables. What stands outside of them holds for every stage; a stage has a `name`, may
say `start` (``"last"``, ``"best"`` or ``"none"`` of the weights before it), and overrides the rest.
Nothing here imports torch.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from zoo.errors import OptionError, did_you_mean
from zoo.training import recipe as recipes
from zoo.training.recipe import Recipe, Tables

STARTS = ("last", "best", "none")
PREFIX = "stage:"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_\-]*")


class Stage(NamedTuple):
    """One stage, complete.

    Attributes:
        name: Also that of its folder.
        recipe: What to do.
    """

    name: str
    recipe: Recipe


def is_staged(tables: Mapping[str, Any]) -> bool:
    """Whether a recipe has stages."""
    return "stage" in tables


def resolve(tables: Tables, source: str = "recipe") -> list[Stage]:
    """Check a recipe and complete it; one without stages is a single stage without a name.

    Raises:
        OptionError: As `zoo.training.recipe.build` raises it, naming the stage.
    """
    if not is_staged(tables):
        return [Stage("", recipes.build(tables, source))]
    given: Any = tables["stage"]
    if not isinstance(given, list) or not given or not all(isinstance(stage, Mapping) for stage in given):
        raise OptionError(f"{source}: stages are written as [[stage]] tables, one after the other")
    common = {name: table for name, table in tables.items() if name != "stage"}
    found: list[Stage] = []
    for number, stage in enumerate(given, start=1):
        name = stage.get("name")
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name in [other.name for other in found]:
            raise OptionError(
                f"{source}: stage {number} has the name {name!r}; "
                "expected a name of its own, of letters, digits, _ and -"
            )
        own = {key: table for key, table in stage.items() if key not in ("name", "start")}
        unknown = next((key for key in own if key not in Recipe.model_fields), None)
        if unknown is not None:
            known = ["name", "start", *Recipe.model_fields]
            raise OptionError(
                f"{source}: unknown key 'stage.{name}.{unknown}'.{did_you_mean(unknown, known)} "
                f"a stage has: {', '.join(known)}"
            )
        start = stage.get("start", "last")
        if start not in STARTS:
            raise OptionError(f"{source}: stage.{name}.start is {start!r}; expected one of {', '.join(STARTS)}")
        merged = merge(common, own)
        if found and start != "none":
            merged = _starting(merged, own, f"{PREFIX}{found[-1].name}/{start}")
        found.append(Stage(name, recipes.build(merged, f"{source}, stage {name}")))
    return found


def merge(common: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """`common` with what `own` says instead, table by table; a length in `own` takes the place of any in `common`."""
    result = dict(common)
    for key, value in own.items():
        before = common.get(key)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            if key == "run" and not {"steps", "epochs"}.isdisjoint(value):
                before = {name: item for name, item in before.items() if name not in ("steps", "epochs")}
            value = merge(before, value)
        result[key] = value
    return result


def _starting(merged: dict[str, Any], own: Mapping[str, Any], weights: str) -> dict[str, Any]:
    """A stage's tables with the weights it starts from; those of the encoder are then in them."""
    model = dict(merged.get("model", {}))
    said = own.get("model", {})
    if "weights" not in said:
        model["weights"] = weights
    if "options" in model and "encoder_weights" not in said.get("options", {}):
        model["options"] = {key: value for key, value in model["options"].items() if key != "encoder_weights"}
    return {**merged, "model": model}
