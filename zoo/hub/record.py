"""What a hub knows of one set of published weights. Nothing here imports torch."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from zoo.config import is_of
from zoo.errors import CheckpointError
from zoo.hub.fetching.file import DownloadError, RemoteFile
from zoo.published import digests

SCHEMA = 1
"""Version of `index.json` that this Zoo reads and writes."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_@+\-]*(?:[./][A-Za-z0-9_@+\-]+)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_+\-]*")
_TABLES = ("model", "data", "metrics", "licence", "recipe")


class RecordError(CheckpointError):
    """A record, or an index of records, that cannot be trusted."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file of another library, to be converted on arrival.

    Attributes:
        format: ``"caffe"``, ``"torchvision"`` …
        file: Where it lies and how it is recognised.
    """

    format: str
    file: RemoteFile


@dataclass(frozen=True)
class Record:
    """One set of weights.

    Attributes:
        name: ``"model.tag"``.
        table: The record as its index or manifest has it; plain JSON.
        base: Address of the hub's folder, against which its file names are meant; empty for a plugin's record.
        hub: Where it comes from, for people: the hub's address, or ``"plugin fcn"``.

    The fields are checked when they are asked for, so that a listing of a thousand records stays quick; `check` asks
    for all of them.
    """

    name: str
    table: Mapping[str, Any] = field(repr=False, compare=False)
    base: str = ""
    hub: str = ""

    def __post_init__(self) -> None:
        split(self.name)

    @property
    def model(self) -> str:
        """Name of the model that the weights are for."""
        return split(self.name)[0]

    @property
    def tag(self) -> str:
        return split(self.name)[1]

    @property
    def summary(self) -> str:
        return str(self.table.get("summary", ""))

    @property
    def default(self) -> bool:
        """Whether these are the weights that ``pretrained=True`` means."""
        return self.table.get("default") is True

    @property
    def config(self) -> Mapping[str, Any]:
        """The model's config as JSON; empty where the weights are still to be converted."""
        given = self.table.get("model", {})
        return given if isinstance(given, Mapping) else {}

    @property
    def only_named(self) -> bool:
        """Whether the model is only named, as in the manifest of a plugin: the file itself says all there is to say."""
        return self.hub.startswith("plugin ") and isinstance(self.table.get("model"), str)

    @property
    def of_encoder(self) -> bool:
        """Whether these are weights of an encoder alone, for its option ``encoder_weights``."""
        return "encoder" in self.table and "model" not in self.table

    @cached_property
    def files(self) -> tuple[RemoteFile, ...]:
        """Our files, all of which are needed; empty where the weights are to be converted.

        Raises:
            RecordError: One has no sha256 or no size, or a name that leads out of the hub.
        """
        return tuple(self._file(entry) for entry in self._list("files"))

    @cached_property
    def sources(self) -> tuple[Source, ...]:
        """Files of others, any one of which will do.

        Raises:
            RecordError: One of them is not described as it should be.
        """
        sources = []
        for entry in self._list("sources"):
            try:
                file = RemoteFile(
                    name=entry["name"],
                    urls=entry["urls"],
                    bytes=entry.get("bytes"),
                    sha256=entry.get("sha256"),
                    md5=digests(entry.get("md5")),
                    sha1=digests(entry.get("sha1")),
                )
                sources.append(Source(str(entry["from"]), file))
            except (KeyError, TypeError, DownloadError) as error:
                raise self._wrong(f"sources: {_said(error)}") from None
        return tuple(sources)

    @cached_property
    def golden(self) -> "tuple[RemoteFile, float] | None":
        """The file with a golden pair, and the tolerance relative to the largest logit.

        Raises:
            RecordError: It is not described as it should be.
        """
        given = self.table.get("golden")
        if not given:
            return None
        try:
            tolerance = float(given["tolerance"])
            if not 0 <= tolerance <= 1:
                raise ValueError(f"a tolerance of {tolerance}")
            return self._file(given["file"]), tolerance
        except (KeyError, TypeError, ValueError) as error:
            raise self._wrong(f"golden: {_said(error)}") from None

    @property
    def bytes(self) -> int | None:
        """Size of what has to be fetched, where known; read off without a check."""
        given = self.table.get("files") or self.table.get("sources")
        entries = given if isinstance(given, list) else []
        if not self.table.get("files"):
            entries = entries[:1]  # any one of the sources will do
        sizes = [entry.get("bytes") for entry in entries if isinstance(entry, Mapping)]
        known = [size for size in sizes if type(size) is int]
        return sum(known) if known and len(known) == len(entries) else None

    def check(self) -> None:
        """Look at every field.

        Raises:
            RecordError: One is missing, or is not what it should be.
        """
        if not self.files and not self.sources:
            raise self._wrong("it has neither files nor sources")
        for key in _TABLES:
            named = key == "model" and (self.sources or self.only_named)
            if key in self.table and not isinstance(self.table[key], Mapping) and not named:
                raise self._wrong(f"{key} = {self.table[key]!r}: expected a table")
        if self.files and not self.only_named and not is_of(str(self.config.get("name")), self.model):
            raise self._wrong(f"it is called after another model than its own, {self.config.get('name')!r}")
        _ = self.golden

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, **{key: value for key, value in self.table.items() if key != "name"}}

    def _list(self, key: str) -> list[Any]:
        given = self.table.get(key, [])
        if not isinstance(given, list):
            raise self._wrong(f"{key} = {given!r}: expected a list")
        return given

    def _file(self, entry: Any) -> RemoteFile:
        """A file beside the index. Whatever ends up in a cache is known by its whole sha256."""
        try:
            name, sha256, size = entry["name"], entry["sha256"], entry["bytes"]
            urls = [join(self.base, name), *entry.get("urls", [])] if self.base else list(entry["urls"])
            file = RemoteFile(name, tuple(urls), size, sha256)
        except (KeyError, TypeError, DownloadError) as error:
            raise self._wrong(f"files: {_said(error)}") from None
        if file.sha256 is None or len(file.sha256) != 64 or file.bytes is None:
            raise self._wrong(f"{name}: expected its size and 64 hex digits of sha256")
        return file

    def _wrong(self, what: str) -> RecordError:
        return RecordError(f"record {self.name!r} of {self.hub or 'an index'} cannot be used: {what}")


def split(name: str) -> tuple[str, str]:
    """``"model.tag"`` → model, tag. A tag has no dot; a model may.

    Raises:
        RecordError: It is no such name.
    """
    model, _, tag = name.rpartition(".") if isinstance(name, str) else ("", "", "")
    if not _TAG.fullmatch(tag) or not _NAME.fullmatch(model) or len(name) > 150:
        raise RecordError(f"{name!r} is no name of a record: expected MODEL.TAG, as 'unet_l4_aspp.camvid'")
    return model, tag


def join(base: str, name: str) -> str:
    """The address of a file in a hub's folder."""
    return f"{base.rstrip('/')}/{name}"


def _said(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)
