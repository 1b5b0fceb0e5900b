"""Where weights are looked for: the hubs of ``ZOO_HUB``, the one that ships with Zoo, the records of plugins."""

import hashlib
import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from zoo.errors import did_you_mean
from zoo.hub.fetching.address import local_path
from zoo.hub.fetching.cache import cache_folder, offline
from zoo.hub.fetching.file import DownloadError, RemoteFile, check_url
from zoo.hub.index import FILE, LARGEST, parse_index, read_index
from zoo.hub.record import Record, RecordError, join
from zoo.registry import registry

logger = logging.getLogger("zoo")

VARIABLE = "ZOO_HUB"
DEFAULT = "default"
"""The tag that ``pretrained=True`` asks for."""

_SEPARATOR = re.compile(r"[,;\s]+")


class NoRecordError(RecordError):
    """Published weights that nobody has."""


@dataclass(frozen=True, slots=True)
class Hub:
    """A folder with an index: on this machine, on a web server, on Hugging Face.

    Attributes:
        address: A path, ``https://…``, ``http://…``, ``file://…`` or ``hf://org/repo[@revision]``.
    """

    address: str

    @property
    def folder(self) -> Path | None:
        """Its folder, where it is on this machine."""
        path = local_path(self.address)
        return path.absolute() if path is not None else None

    @property
    def base(self) -> str:
        return str(self.folder) if self.folder is not None else self.address

    def records(self) -> list[Record]:
        """Read its index. That of a remote hub is asked for each time; without a connection the last one seen serves.

        Raises:
            RecordError: The index is damaged or cannot be trusted.
            DownloadError: It cannot be had.
        """
        if self.folder is not None:
            return read_index(self.folder / FILE, base=self.base, hub=self.address)
        return parse_index(self._fetch_index(), base=self.base, hub=self.address)

    def _fetch_index(self) -> str:
        from zoo.hub.fetching.fetch import fetch  # a listing of what is here needs no network code

        cache = cache_folder() / "indexes" / hashlib.sha256(self.address.encode()).hexdigest()[:16]
        seen = cache / FILE
        if not (offline() and seen.is_file()):
            try:
                fetch(RemoteFile(FILE, (join(self.base, FILE),)), cache, refresh=True, attempts=2, limit=LARGEST)
            except DownloadError as error:
                if not seen.is_file():
                    raise
                logger.warning("%s; its index of an earlier time is used", error)
        try:
            return seen.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RecordError(f"the index of {self.address} cannot be read: {error}") from None


def hubs() -> list[Hub]:
    """Those of ``ZOO_HUB`` (several, separated by commas, semicolons or spaces), then the one that ships with Zoo.

    A path with such a sign in it, or with a colon, may be given alone.

    Raises:
        DownloadError: An address that is none.
    """
    given = os.environ.get(VARIABLE, "").strip()
    alone = Path(given).expanduser()
    addresses = [given] if given and alone.is_dir() else [part for part in _SEPARATOR.split(given) if part]
    if len(addresses) == 1 and os.pathsep in addresses[0] and "://" not in addresses[0] and not alone.is_dir():
        addresses = [part for part in addresses[0].split(os.pathsep) if part]
    for address in addresses:
        check_url(address)
    shipped = shipped_folder()
    return [*(Hub(address) for address in addresses), *([Hub(str(shipped))] if shipped is not None else [])]


def is_hub(text: str) -> bool:
    """Whether a text is the address of a hub rather than a name: it has a scheme, or is a folder with an index."""
    return "://" in text or (Path(text) / FILE).is_file()


def shipped_folder() -> Path | None:
    """The hub that comes with Zoo: ``hub/`` in a checkout, ``zoo/hub/shipped`` in a wheel; None where neither is."""
    package = Path(__file__).parents[1]
    checkout = package.parent
    if (checkout / "hubconf.py").is_file() and (checkout / "hub" / FILE).is_file():
        return checkout / "hub"
    inside = package / "hub" / "shipped"
    return inside if (inside / FILE).is_file() else None


def all_records() -> Iterator[Record]:
    """Every record, in the order in which they are looked for; of one name only the first.

    A hub that cannot be used is reported in a line and left out.
    """
    seen: set[str] = set()
    for hub in hubs():
        try:
            found = hub.records()
        except (RecordError, DownloadError) as error:
            logger.warning("%s", error)
            continue
        for record in found:
            if record.name not in seen:
                seen.add(record.name)
                yield record
    for record in of_plugins():
        if record.name not in seen:
            seen.add(record.name)
            yield record


def of_plugins() -> list[Record]:
    """The records in the manifests of plugins."""
    records = []
    for spec in registry().find("weights"):
        table = {"summary": spec.summary, **spec.meta}
        records.append(Record(spec.name, table, table.pop("hub", ""), f"plugin {spec.plugin}"))
    return records


def find_record(model: str, tag: str | None = None) -> Record:
    """The record of a model with a tag, or its default one.

    Args:
        model: Name of a model; or ``"model.tag"``, with no `tag`.
        tag: ``"default"`` or None asks for the record that says it is the default, or for the only one there is.

    Raises:
        NoRecordError: There is none; says which there are.
    """
    records = list(all_records())
    if tag is None:
        exact = next((record for record in records if record.name == model), None)
        if exact is not None:
            return exact
        base, _, last = model.rpartition(".")
        if base and any(record.model == base for record in records):
            model, tag = base, last
    own = [record for record in records if record.model == model]
    if tag in (None, DEFAULT):
        chosen = next((record for record in own if record.default), own[0] if len(own) == 1 else None)
    else:
        chosen = next((record for record in own if record.tag == tag), None)
    if chosen is not None:
        return chosen
    tags = [record.tag for record in own]
    if tag in (None, DEFAULT):
        asked = f"there are no default weights of {model!r}"
    else:
        asked = f"there are no weights tagged {tag!r} of {model!r}"
    if tags:
        raise NoRecordError(f"{asked}; it has {', '.join(tags)}.{did_you_mean(tag or '', tags)}")
    names = [record.name for record in records]
    hint = did_you_mean(model if tag in (None, DEFAULT) else f"{model}.{tag}", names)
    raise NoRecordError(
        f"{asked}: no hub and no plugin has weights of it.{hint} `zoo hub list` shows all there are; "
        "give the path of a .safetensors file, or none"
    )
