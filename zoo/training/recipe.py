"""Recipes: everything that decides what a training run does, as TOML tables that are checked.

Six tables: `model`, `data`, `optim`, `schedule`, `loss`, `run`. A key that no table has is refused with
its path, so that a typing mistake never trains the default in silence. Nothing here imports torch.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from zoo.errors import OptionError, did_you_mean
from zoo.training import toml

Tables = dict[str, dict[str, Any]]
"""A recipe before it is checked: table name → key → value."""

DEFAULT_EPOCHS = 50

FREE_ON_RESUME = frozenset(
    {"run.steps", "run.epochs", "run.device", "run.log_every", "data.workers", "data.root", "data.download"}
)
"""What a resumed run may change: its length, and where and how fast it runs. The rest decides what is learned."""


def _both_sides(value: Any) -> Any:
    return (value, value) if isinstance(value, int) else value


Side = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class ModelTable(_Table):
    """What is trained: the arguments of `zoo.create_model`, except for the classes, which the data know."""

    name: str
    encoder: str | None = None
    in_channels: int | None = Field(default=None, ge=1)
    weights: str | None = None
    options: dict[str, Any] = {}


class DataTable(_Table):
    """What it is trained on, and how a picture is varied.

    Attributes:
        name: A registered data set or a folder.
        train: Split to learn from.
        val: Split that chooses the best weights.
        crop: (height, width) of a training picture; ``"auto"``: the pictures' own size, at most 320 a side;
            ``"full"``: no cropping, for data of one size.
        scale: Range of the random resize before cropping.
        flip: Chance of a horizontal mirror.
        jitter: Strength of the random change of brightness, contrast, saturation; 0 is none.
        workers: Processes that prepare batches; ``"auto"``: one for every two cores, at most 8.
        values: File value → label, for masks such as 0/255.
        root: Where a registered data set lies.
        download: Whether a registered data set may be fetched.
    """

    name: str
    train: str = "train"
    val: str = "val"
    batch_size: int = Field(default=8, ge=1)
    crop: Annotated[tuple[Side, Side], BeforeValidator(_both_sides)] | Literal["auto", "full"] = "auto"
    scale: tuple[Positive, Positive] = (0.5, 2.0)
    flip: Share = 0.5
    jitter: Share = 0.2
    workers: Annotated[int, Field(ge=0)] | Literal["auto"] = "auto"
    values: dict[int, int] = {}
    root: str | None = None
    download: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> "DataTable":
        if self.scale[0] > self.scale[1]:
            raise ValueError(f"scale goes from small to large, got {list(self.scale)}")
        return self


class OptimTable(_Table):
    """AdamW or SGD with momentum. Weight decay spares norms and biases.

    Attributes:
        learns: ``"all"``, or ``"classifier"``: only the layers that score classes, as in FCN-32s-fixed; norms keep
            their statistics.
    """

    name: Literal["adamw", "sgd"] = "adamw"
    lr: Positive = 1e-3
    weight_decay: NotNegative = 0.01
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.999)
    learns: Literal["all", "classifier"] = "all"


class ScheduleTable(_Table):
    """How the learning rate moves. `warmup` is the share of the run in which it rises from nothing."""

    name: Literal["poly", "constant"] = "poly"
    power: Positive = 0.9
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.05


class LossTable(_Table):
    """Cross-entropy over the pixels that are not ignored; auxiliary outputs count `aux_weight` each."""

    name: Literal["cross_entropy"] = "cross_entropy"
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    class_weights: Literal["none", "median", "inverse"] = "none"
    aux_weight: NotNegative = 0.4


class RunTable(_Table):
    """How long, where and how precisely. Exactly one of `steps` and `epochs` is set.

    Attributes:
        device: ``"auto"`` takes an accelerator where there is one.
        amp: ``"bf16"`` computes forward and backward in bfloat16; the weights stay float32.
        eval_every: Steps between evaluations on `val`; ``"auto"``: an epoch, or a twentieth of the run
            where that is longer. The last step is always evaluated.
        log_every: Steps between two lines of the log.
    """

    steps: Annotated[int, Field(ge=1)] | None = None
    epochs: Annotated[int, Field(ge=1)] | None = None
    seed: int = Field(default=0, ge=0)
    device: str = "auto"
    amp: Literal["none", "bf16"] = "none"
    channels_last: bool = True
    eval_every: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    log_every: int = Field(default=10, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _one_length(cls, given: Any) -> Any:
        if isinstance(given, Mapping):
            lengths = [key for key in ("steps", "epochs") if given.get(key) is not None]
            if len(lengths) == 2:
                raise ValueError("a run is so many steps or so many epochs long, not both")
            if not lengths:
                return {**given, "epochs": DEFAULT_EPOCHS}
        return given


class Recipe(_Table):
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
    """Return `tables` with `value` at ``table.key``; raises `OptionError` where a part of the path is no table."""
    keys = path.split(".")
    result: Tables = {name: dict(table) if isinstance(table, Mapping) else table for name, table in tables.items()}
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
    path = ".".join(where[:2])  # deeper parts name a branch of a union or a place in a list
    if fault["type"] == "extra_forbidden":
        return _explain_unknown(where)
    if fault["type"] == "missing":
        return f"{path} is missing"
    message = fault["msg"].removeprefix("Value error, ")
    given = "" if isinstance(fault["input"], Mapping) else f", got {fault['input']!r}"
    return f"{path}: {message[0].lower()}{message[1:]}{given}"


def _explain_unknown(where: list[str]) -> str:
    *table, key = where[:2]
    prefix = ".".join([*table, ""])
    siblings = [known.removeprefix(prefix) for known in (known_keys() if table else Recipe.model_fields)]
    siblings = [name for name in siblings if "." not in name]
    elsewhere = [known for known in known_keys() if known.partition(".")[2] == key]
    hint = f" Did you mean {' or '.join(map(repr, elsewhere))}?" if elsewhere else did_you_mean(key, siblings)
    return f"unknown key {prefix + key!r}.{hint} {prefix.rstrip('.') or 'a recipe'} has: {', '.join(siblings)}"
