"""What a manifest may say of published weights: ``[[weights]]``, and ``from``, the formats that can be converted.

::

    [[weights]]
    name = "net.voc"
    summary = "The Acme net, trained on PASCAL VOC"
    model = "net"
    default = true
    classes = "voc"
    data = { name = "voc2012", split = "train" }
    metrics = { miou = 0.655, data = "voc2012", split = "val", protocol = "one scale" }
    licence = { weights = "MIT", data = "PASCAL VOC terms" }
    sources = [{ from = "torchvision", name = "net.pth", urls = ["https://acme.example/net.pth"], sha256 = "0a1b2c3d" }]
"""

import re
from typing import Any, NoReturn

from zoo.classes import KNOWN
from zoo.config import InputSpec
from zoo.errors import did_you_mean

FIELDS = frozenset(
    [
        "model",
        "encoder",
        "files",
        "sources",
        "default",
        "classes",
        "data",
        "metrics",
        "licence",
        "input",
        "papers",
        "published",
        "recipe",
    ]
)
"""What a ``[[weights]]`` table may hold besides its name and summary."""

TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
"""How a manifest names what it stands for."""

ADDRESS = re.compile(r"(?:https?|hf|file)://\S+")
"""How it names the folder where the files of its records lie: ``hub``."""

_HEX = re.compile(r"[0-9a-f]+")
_FORMAT = re.compile(r"[a-z][a-z0-9_]*")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+\-]*")
_FILE = {"name", "urls", "bytes", "sha256"}
_SOURCE = _FILE | {"from", "md5", "sha1"}
_DIGITS = {"sha256": range(8, 65), "md5": range(32, 33), "sha1": range(40, 41)}
_TABLES = ("data", "metrics", "licence")


def weights_fault(entry: dict[str, Any], hub: str = "") -> str | None:
    """What is wrong with a ``[[weights]]`` table, or None; where there is a `hub`, its files need no addresses."""
    try:
        _check(entry, hub)
    except ValueError as error:
        return str(error)
    return None


def converters_fault(converters: object) -> str | None:
    """What is wrong with a ``from`` table, format → ``"module:name"``, or None."""
    if not isinstance(converters, dict):
        return f"from = {converters!r}: expected a table, from = {{ caffe = 'package.module:name' }}"
    for key, target in converters.items():
        if not _FORMAT.fullmatch(key):
            return f"from: {key!r} is no name of a format: expected small letters, digits and '_'"
        if not isinstance(target, str) or not TARGET.fullmatch(target):
            return f"from: {key} = {target!r}: expected 'package.module:name'"
    return None


def digests(value: object) -> tuple[str, ...]:
    """The digests in a field that holds one, several, or nothing."""
    return () if value is None else (value,) if isinstance(value, str) else tuple(value)  # type: ignore[arg-type]


def _check(entry: dict[str, Any], hub: str) -> None:
    if ("model" in entry) == ("encoder" in entry):
        _fail("give either 'model' or 'encoder', whose weights these are")
    if not entry.get("files") and not entry.get("sources"):
        _fail("give 'files' (ours) or 'sources' (files to be converted)")
    for index, file in enumerate(entry.get("files", [])):
        _file(f"files[{index}]", {"urls": [hub], **file} if hub and isinstance(file, dict) else file, _FILE)
    for index, source in enumerate(entry.get("sources", [])):
        _file(f"sources[{index}]", source, _SOURCE)
        format = source.get("from")
        if not isinstance(format, str) or not _FORMAT.fullmatch(format):
            _fail(f"sources[{index}]: from = {format!r}: expected the name of a format, as 'caffe'")
    classes = entry.get("classes", [])
    if isinstance(classes, str):
        if classes not in KNOWN:
            _fail(f"classes = {classes!r}: expected names, or one of {', '.join(KNOWN)}.{did_you_mean(classes, KNOWN)}")
    elif not _texts(classes):
        _fail(f"classes = {classes!r}: expected a list of names, or one of {', '.join(KNOWN)}")
    if not isinstance(entry.get("default", False), bool):
        _fail(f"default = {entry['default']!r}: expected true or false")
    for key in _TABLES:
        if not isinstance(entry.get(key, {}), dict):
            _fail(f"{key} = {entry[key]!r}: expected a table")
    if "input" in entry:
        try:
            InputSpec.from_json(entry["input"])
        except (KeyError, TypeError, ValueError, AttributeError):
            _fail(f"input = {entry['input']!r}: expected {InputSpec().to_json()} or the like")


def _file(where: str, file: object, fields: set[str]) -> None:
    if not isinstance(file, dict):
        _fail(f"{where} = {file!r}: expected a table with {', '.join(sorted(fields))}")
    for key in file.keys() - fields:
        _fail(f"{where}: unknown key {key!r}.{did_you_mean(key, fields)}")
    name, urls, size = file.get("name"), file.get("urls"), file.get("bytes")
    if not isinstance(name, str) or not _FILE_NAME.fullmatch(name):
        _fail(f"{where}: name = {name!r}: expected a plain file name")
    if not urls or not _texts(urls):
        _fail(f"{where}: urls = {urls!r}: expected a list of addresses")
    if size is not None and (type(size) is not int or size < 1):
        _fail(f"{where}: bytes = {size!r}: expected the size of the file")
    for key, count in _DIGITS.items():
        value = file.get(key)
        if value is not None and not isinstance(value, str) and not _texts(value):
            _fail(f"{where}: {key} = {value!r}: expected a digest, or a list of those that will do")
        for digest in digests(value):
            if len(digest) not in count or not _HEX.fullmatch(digest):
                least = f"{count[0]} or more" if len(count) > 1 else str(count[0])
                _fail(f"{where}: {key} = {digest!r}: expected {least} hex digits")


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) and item for item in value)


def _fail(message: str) -> NoReturn:
    raise ValueError(message)
