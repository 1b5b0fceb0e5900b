"""Recipes: everything that decides what a training run does, as TOML tables that are checked.

Six tables: `model`, `data`, `optim`, `schedule`, `loss`, `run`. A key that no table has is refused with
its path, so that a typing mistake never trains the default in silence. Nothing here imports torch.
"""

import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from zoo.errors import OptionError, did_you_mean
from zoo.training import toml
from zoo.training.loss_table import LossTable as LossTable
from zoo.training.loss_table import TermTable
from zoo.training.tables import DataTable as DataTable
from zoo.training.tables import GroupTable, Table
from zoo.training.tables import ModelTable as ModelTable
from zoo.training.tables import OptimTable as OptimTable
from zoo.training.tables import RunTable as RunTable
from zoo.training.tables import ScheduleTable as ScheduleTable

Tables = dict[str, Any]
"""A recipe before it is checked: table name → key → value, and ``stage``, a list of such."""

LISTS: dict[tuple[str, str], type[Table]] = {("optim", "groups"): GroupTable, ("loss", "terms"): TermTable}
"""The keys that hold a list of tables."""

FREE_ON_RESUME = frozenset(
    {
        "run.steps",
        "run.epochs",
        "run.device",
        "run.log_every",
        "run.save_every",
        "run.parallel",
        "data.workers",
        "data.root",
        "data.download",
        "data.check",
    }
)
"""What a resumed run may change: its length, and where and how fast it runs. The rest decides what is learned."""


class Recipe(Table):
    """One run, completely. `model.name` and `data.name` have no default; everything else has."""

    model: ModelTable
    data: DataTable
    optim: OptimTable = OptimTable()
    schedule: ScheduleTable = ScheduleTable()
    loss: LossTable = LossTable()
    run: RunTable = Field(default_factory=RunTable)

    def to_json(self) -> dict[str, Any]:
        """The tables with every default filled in; keys that are not set are left out."""
        return self.model_dump(mode="json", exclude_none=True)

    def to_toml(self) -> str:
        """The text that `load` reads back as an equal recipe."""
        return toml.dump(self.to_json())


def load(path: str | os.PathLike[str]) -> Recipe:
    """Read a complete recipe from a TOML file; raises `OptionError` naming the file and the key."""
    return build(read(path), source=str(path))


def read(path: str | os.PathLike[str]) -> Tables:
    """Read the tables of a TOML file without checking them, so that they can be completed first."""
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise OptionError(f"cannot read the recipe {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise OptionError(f"the recipe {path} is not TOML: {error}") from None


def override(tables: Tables, assignment: str) -> Tables:
    """Return `tables` with one ``table.key=value`` put in.

    The value is read as TOML (``3e-4``, ``true``, ``[256, 256]``, ``{0 = 0, 255 = 1}``) and, where it is not
    TOML, as a plain string (``sgd``). Giving one of `run.steps` and `run.epochs` takes the other away.

    Raises:
        OptionError: There is no ``=``, or the key has no table.
    """
    path, equals, text = assignment.partition("=")
    keys = [key.strip() for key in path.split(".")]
    if not equals or len(keys) < 2 or not all(keys):
        hint = did_you_mean(path, [known.partition(".")[2] for known in known_keys()]) if equals else ""
        homes = [known for known in known_keys() if known.partition(".")[2] == path.strip()]
        hint = f" Did you mean {' or '.join(repr(home) for home in homes)}?" if homes else hint
        raise OptionError(f"an option reads table.key=value, as in optim.lr=0.01; got {assignment!r}.{hint}")
    return put(tables, ".".join(keys), parse_value(text))


def put(tables: Tables, path: str, value: Any) -> Tables:
    """Return `tables` with `value` at ``table.key``.

    In a recipe with stages it then holds for all of them; ``stage.NAME.table.key`` is that of one.

    Raises:
        OptionError: A part of the path is no table, or there is no such stage.
    """
    keys = path.split(".")
    result: Tables = {name: dict(table) if isinstance(table, Mapping) else table for name, table in tables.items()}
    if keys[0] == "stage":
        return {**result, "stage": _put_in_stage(tables.get("stage"), keys[1:], path, value)}
    if isinstance(stages := tables.get("stage"), list):
        result["stage"] = [_without(stage, keys) for stage in stages]
    table: Any = result
    for depth, key in enumerate(keys[:-1], start=1):
        inner = table.get(key, {})
        if not isinstance(inner, Mapping):
            raise OptionError(f"{path}: {'.'.join(keys[:depth])} is a value, not a table")
        table[key] = dict(inner)
        table = table[key]
    table[keys[-1]] = value
    if keys[0] == "run" and keys[1] in ("steps", "epochs"):
        result["run"].pop("epochs" if keys[1] == "steps" else "steps", None)
    return result


def _put_in_stage(stages: Any, keys: list[str], path: str, value: Any) -> list[Any]:
    names = [stage.get("name") for stage in stages] if isinstance(stages, list) else []
    if len(keys) < 3 or keys[0] not in names:
        have = f"this recipe has the stages {', '.join(map(str, names))}" if names else "this recipe has no stages"
        raise OptionError(f"{path}: {have}; one is changed by stage.NAME.table.key=value")
    own = dict(stages[names.index(keys[0])])
    changed = put(own, ".".join(keys[1:]), value)
    return [changed if name == keys[0] else stage for name, stage in zip(names, stages, strict=True)]


def _without(stage: Mapping[str, Any], keys: list[str]) -> dict[str, Any]:
    """A stage without what all stages are given."""
    result = dict(stage)
    inner = result.get(keys[0])
    if isinstance(inner, Mapping):
        gone = {"steps", "epochs"} if keys[:2] in (["run", "steps"], ["run", "epochs"]) else {keys[1]}
        kept = {key: item for key, item in inner.items() if key not in gone}
        if len(keys) > 2 and isinstance(inner.get(keys[1]), Mapping):
            kept[keys[1]] = _without(inner, keys[1:])[keys[1]]
        result[keys[0]] = kept
    return result


def parse_value(text: str) -> Any:
    """Read a TOML value; what is not TOML is the string itself."""
    try:
        document = tomllib.loads(f"value = {text.strip()}")
    except tomllib.TOMLDecodeError:
        return text.strip()
    return document["value"] if document.keys() == {"value"} else text.strip()


def build(tables: Mapping[str, Any], source: str = "recipe") -> Recipe:
    """Check `tables` and fill in the defaults.

    Raises:
        OptionError: An unknown key (near ones are suggested) or a value that does not fit; says which key,
            what was given and what is accepted.
    """
    try:
        return Recipe.model_validate(tables)
    except ValidationError as error:
        faults = [_explain(dict(fault)) for fault in error.errors()]
        raise OptionError(f"{source}: {'; '.join(dict.fromkeys(faults))}") from None


def known_keys() -> list[str]:
    """Every ``table.key`` a recipe may hold."""
    tables = {name: field.annotation for name, field in Recipe.model_fields.items()}
    return [
        f"{name}.{key}"
        for name, table in tables.items()
        if isinstance(table, type) and issubclass(table, BaseModel)
        for key in table.model_fields
    ]


def differences(old: Recipe, new: Recipe) -> list[str]:
    """Every key in which `new` departs from `old`, as ``"optim.lr: 0.001 → 0.01"``."""
    before, after = _flat(old), _flat(new)
    return [
        f"{key}: {_shown(before.get(key))} → {_shown(after.get(key))}"
        for key in dict.fromkeys([*before, *after])
        if before.get(key) != after.get(key)
    ]


def _flat(recipe: Recipe) -> dict[str, Any]:
    return {f"{name}.{key}": value for name, table in recipe.to_json().items() for key, value in table.items()}


def _shown(value: Any) -> str:
    return "not set" if value is None else toml.value(value)


def _explain(fault: dict[str, Any]) -> str:
    """One fault of pydantic's as one sentence of ours."""
    where = [str(part) for part in fault["loc"]]
    path = ".".join(where if _in_list(fault["loc"]) else where[:2])  # else deeper parts name a branch of a union
    if fault["type"] == "extra_forbidden":
        return _explain_unknown(where)
    if fault["type"] == "missing":
        return f"{path} is missing"
    message = fault["msg"].removeprefix("Value error, ")
    given = "" if isinstance(fault["input"], Mapping) else f", got {fault['input']!r}"
    return f"{path}: {message[0].lower()}{message[1:]}{given}"


def _in_list(place: Sequence[Any]) -> bool:
    """Whether a fault lies in a table of a list, as ``optim.groups.0.lr``."""
    return tuple(place[:2]) in LISTS and len(place) == 4


def _explain_unknown(where: list[str]) -> str:
    if len(where) == 4:
        kind = LISTS[where[0], where[1]]
        place = ".".join(where[:3])
        known = ", ".join(kind.model_fields)
        return f"unknown key {'.'.join(where)!r}.{did_you_mean(where[3], kind.model_fields)} {place} has: {known}"
    *table, key = where[:2]
    prefix = ".".join([*table, ""])
    siblings = [known.removeprefix(prefix) for known in (known_keys() if table else Recipe.model_fields)]
    siblings = [name for name in siblings if "." not in name]
    elsewhere = [known for known in known_keys() if known.partition(".")[2] == key]
    hint = f" Did you mean {' or '.join(map(repr, elsewhere))}?" if elsewhere else did_you_mean(key, siblings)
    return f"unknown key {prefix + key!r}.{hint} {prefix.rstrip('.') or 'a recipe'} has: {', '.join(siblings)}"
