"""What describes a pipeline: the small JSON-able object that makes it and is printed. Nothing here imports torch."""

import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, TypeVar

from zoo.errors import OptionError, did_you_mean
from zoo.inference.test_time import TestTime
from zoo.pipeline.options import Crf, Proposals, is_number, one_of

COMBINATIONS = ("mean", "product")

_PLAIN = TestTime()
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]*")
_T = TypeVar("_T")


@dataclass(frozen=True)
class Member:
    """One model of a pipeline, and how it is asked.

    Attributes:
        name: What it is called within the pipeline.
        weights: A weight file, relative to the pipeline's own file, or the name of published weights; None: the model
            is in memory only, and written when the pipeline is saved.
        sha256: Of the weight file; checked where it is given.
        test_time: Scales, mirroring, windows, output stride.
        tile: Ask about tiles of that side, faded into each other, where the picture is larger; None: about the whole.
        overlap: Of the tiles: a share, pixels, or ``"auto"``.
        frame: (H, W): a smaller picture is framed with the mean colour below and to the right, up to that size.
        proposals: Ask about boxes instead of the whole picture.

    Raises:
        OptionError: A value that makes no sense, or two that do not go together.
    """

    name: str
    weights: str | None = None
    sha256: str | None = None
    test_time: TestTime = _PLAIN
    tile: int | None = None
    overlap: float | int | str = "auto"
    frame: tuple[int, int] | None = None
    proposals: Proposals | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise OptionError(f"model.name = {self.name!r}: expected letters, digits, '_', '-' and '.'")
        for key, value in (("weights", self.weights), ("sha256", self.sha256)):
            if value is not None and (not isinstance(value, str) or not value):
                raise OptionError(f"model {self.name}: {key} = {value!r}: expected a text")
        if self.sha256 is not None and not re.fullmatch("[0-9a-f]{64}", self.sha256):
            raise OptionError(f"model {self.name}: sha256 = {self.sha256!r}: expected 64 letters of 0…9, a…f")
        if self.tile is not None and (type(self.tile) is not int or self.tile < 2):
            raise OptionError(f"model {self.name}: tile = {self.tile!r}: expected the side of a tile in pixels")
        if self.overlap != "auto" and not is_number(self.overlap):
            raise OptionError(f"model {self.name}: overlap = {self.overlap!r}: expected a share, pixels, or 'auto'")
        if self.frame is not None:
            sides = tuple(self.frame) if isinstance(self.frame, list | tuple) else ()
            if len(sides) != 2 or any(type(side) is not int or side < 1 for side in sides):
                raise OptionError(f"model {self.name}: frame = {self.frame!r}: expected height and width in pixels")
            object.__setattr__(self, "frame", (sides[0], sides[1]))
        if (self.proposals or self.frame) and not (self.test_time.plain and self.tile is None):
            what = "proposals" if self.proposals else "frame"
            raise OptionError(f"model {self.name}: {what} cannot go with tile, or scales, mirror, window of test_time")
        if self.proposals and self.frame:
            raise OptionError(f"model {self.name}: proposals and frame cannot go together")

    @property
    def gives_scores(self) -> bool:
        """Whether its raw scores can be had: nothing of it is averaged as probabilities."""
        return self.test_time.plain and self.tile is None

    def describe(self) -> str:
        """How it is asked, in words."""
        if self.proposals is not None:
            said = self.proposals.describe()
            stride = self.test_time.output_stride
            return said if stride is None else f"{said}; output stride {stride}"
        said = self.test_time.describe()
        said += f"; tiles of {self.tile} pixels, faded into each other" if self.tile is not None else ""
        return said + (f"; framed to {self.frame[0]}×{self.frame[1]}" if self.frame is not None else "")


@dataclass(frozen=True)
class PipelineConfig:
    """Everything needed to put a pipeline together again.

    Attributes:
        name: Its name.
        models: Its models, each with a name of its own; the first one's classes are the pipeline's.
        summary: One line.
        combine: How several answers become one: ``"mean"`` of the probabilities, or the ``"product"`` of the raw
            scores, those below 0 taken for 0, of which the softmax is taken (DeconvNet's released ensemble).
        crf: What sharpens the answer at last.

    Raises:
        OptionError: A value that makes no sense, or two that do not go together.
    """

    name: str
    models: tuple[Member, ...]
    summary: str = ""
    combine: str = "mean"
    crf: Crf | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name.rpartition("/")[2]):
            raise OptionError(f"pipeline.name = {self.name!r}: expected letters, digits, '_', '-' and '.'")
        if not isinstance(self.summary, str) or "\n" in self.summary:
            raise OptionError(f"pipeline.summary = {self.summary!r}: expected one line of text")
        one_of("pipeline.combine", self.combine, COMBINATIONS)
        if not self.models:
            raise OptionError(f"pipeline {self.name} has no model: give at least one [[model]]")
        names = [member.name for member in self.models]
        if len(set(names)) < len(names):
            raise OptionError(f"pipeline {self.name}: its models need different names, not {', '.join(names)}")
        averaged = [member.name for member in self.models if not member.gives_scores]
        if self.combine == "product" and averaged:
            raise OptionError(
                f'pipeline {self.name}: combine = "product" multiplies raw scores, but of {", ".join(averaged)} '
                'probabilities are averaged (tile, or scales, mirror, window of test_time); take combine = "mean"'
            )

    def describe(self) -> str:
        """How an answer comes about, in words, for the protocol of a measurement."""
        several = len(self.models) > 1
        said = "; ".join(
            f"{member.name} ({member.describe()})" if several else member.describe() for member in self.models
        )
        if several:
            said += "; mean of their probabilities" if self.combine == "mean" else "; product of their scores, softmax"
        return said if self.crf is None else f"{said}; {self.crf.describe()}"

    def to_json(self) -> dict[str, Any]:
        """The tables of its file: ``pipeline``, ``model`` (a list), ``crf``; what is as by default is left out."""
        own = {key: value for key, value in _shown(self).items() if key in ("name", "summary", "combine")}
        models = [
            _shown(member)
            | ({} if member.test_time == _PLAIN else {"test_time": _asked(member.test_time)})
            | ({} if member.frame is None else {"frame": list(member.frame)})
            | ({} if member.proposals is None else {"proposals": _proposed(member.proposals)})
            for member in self.models
        ]
        crf = {} if self.crf is None else {"crf": {"preset": self.crf.preset, **_shown(self.crf)}}
        return {"pipeline": {**own, "combine": self.combine}, "model": models, **crf}

    @classmethod
    def from_json(cls, record: Any) -> "PipelineConfig":
        """Read what `to_json` gave, or a file holds.

        Raises:
            OptionError: An unknown key, one that is missing, or a value that makes no sense.
        """
        tables = _known(record, ("pipeline", "model", "crf"), "a pipeline's file")
        models = tables.get("model", [])
        if not isinstance(models, list | tuple):
            raise OptionError("model: expected a list of tables: write [[model]]")
        own = _known(tables.get("pipeline", {}), ("name", "summary", "combine"), "[pipeline]")
        crf = tables.get("crf")
        given = {**own, "models": tuple(_member(entry) for entry in models)}
        return _made(cls, {**given, "crf": None if crf is None else _made(Crf, crf, "[crf]")}, "[pipeline]")


def _member(entry: Any) -> Member:
    table = _known(entry, [field.name for field in fields(Member)], "[[model]]")
    if "test_time" in table:
        table["test_time"] = TestTime.from_json(table["test_time"])
    if table.get("proposals") is not None:
        proposals = _known(table["proposals"], [field.name for field in fields(Proposals)], "proposals")
        if proposals.get("most") == 0:
            proposals["most"] = None  # TOML has no null
        table["proposals"] = _made(Proposals, proposals, "proposals")
    return _made(Member, table, "[[model]]")


def _made(cls: type[_T], table: Any, where: str) -> _T:
    found = _known(table, [field.name for field in fields(cls)], where)  # type: ignore[arg-type]
    for field in fields(cls):  # type: ignore[arg-type]
        if field.default is MISSING and field.name not in found:
            raise OptionError(f"{where}: {field.name!r} is missing")
    return cls(**found)


def _known(table: Any, names: Any, where: str) -> dict[str, Any]:
    if not isinstance(table, Mapping):
        raise OptionError(f"{where}: expected a table, not {table!r}")
    for key in table:
        if key not in names:
            raise OptionError(f"{where}: unknown key {key!r}.{did_you_mean(str(key), names)} It has {', '.join(names)}")
    return dict(table)


def _shown(item: Any, nothing: Any = None) -> dict[str, Any]:
    """The simple fields that differ from their defaults; `nothing` stands for None."""
    shown = {}
    for field in fields(item):
        value = getattr(item, field.name)
        if value != field.default and isinstance(value, str | int | float | None):
            shown[field.name] = nothing if value is None else value
    return shown


def _proposed(proposals: Proposals) -> dict[str, Any]:
    return {"source": proposals.source, **_shown(proposals, nothing=0)}  # TOML has no null


def _asked(test_time: TestTime) -> dict[str, Any]:
    plain = _PLAIN.to_json()
    return {key: value for key, value in test_time.to_json().items() if value != plain[key]}
