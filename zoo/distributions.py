"""What installed distributions announce, read from their metadata with nothing but `open`.

`importlib.metadata` takes as long to import as everything else a listing does, parses every description that it is
asked a name of, and fails as a whole where one distribution is damaged.
"""

import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass

GROUP = "zoo.plugins"
"""The group of entry points that announce plugins."""

_SECTION = re.compile(r"\[\s*(?P<name>[^\]]*?)\s*\]\s*")
_MODULE = re.compile(r"\w+(?:\.\w+)*")


@dataclass(frozen=True, slots=True)
class Announcement:
    """A plugin that a distribution says it has.

    Attributes:
        name: The entry point's name.
        package: The package that it names, in which the manifest lies.
        origin: The distribution, ``"zoo-acme 1.2"``.
        fault: Why its entry points cannot be read; empty where they can.
    """

    name: str
    package: str
    origin: str
    fault: str = ""


def announcements() -> Iterator[Announcement]:
    """Every plugin that a distribution on `sys.path` announces.

    A distribution that is there twice, as in two folders of `sys.path`, counts once: what Python would import.
    """
    seen: set[str] = set()
    for folder in sys.path:
        try:
            infos = sorted(entry.path for entry in os.scandir(folder or ".") if entry.name.endswith("-info"))
        except OSError:  # a zip file, or a folder that is not there
            continue
        for info in infos:
            try:
                with open(os.path.join(info, "entry_points.txt"), "rb") as file:
                    text = file.read()
            except OSError:
                continue
            if GROUP.encode() not in text:
                continue
            distribution, origin = _described(info)
            if distribution not in seen:
                seen.add(distribution)
                yield from _announced(text, os.path.basename(info).partition("-")[0], origin)


def _announced(text: bytes, stem: str, origin: str) -> list[Announcement]:
    try:
        return [Announcement(name, package, origin) for name, package in _entries(text.decode("utf-8"))]
    except ValueError as error:  # not UTF-8, or not what entry points look like
        return [Announcement(stem, "", origin, str(error))]


def _entries(text: str) -> list[tuple[str, str]]:
    """Name and module of each entry point of our group.

    Raises:
        ValueError: A line of it is none.
    """
    section = ""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if heading := _SECTION.fullmatch(line):
            section = heading["name"]
        elif section == GROUP:
            name, equals, value = (part.strip() for part in line.partition("="))
            if not equals or not name:
                raise ValueError(f"line {number} reads {line!r}: expected name = package")
            module = value.partition("[")[0].partition(":")[0].strip()
            if not _MODULE.fullmatch(module):
                raise ValueError(f"line {number}: {value!r} is no package")
            found.append((name, module))
    return found


def _described(info: str) -> tuple[str, str]:
    """A distribution's name as it is compared, and with its version as people read it.

    Where its metadata are absent or damaged, the folder's name has to do.
    """
    fields = {"Name": "", "Version": ""}
    for file in ("METADATA", "PKG-INFO"):
        try:
            with open(os.path.join(info, file), encoding="utf-8", errors="replace") as lines:
                for line in lines:
                    key, _, value = line.partition(":")
                    if not line.strip() or all(fields.values()):  # after the headers comes a description
                        break
                    if key in fields and not fields[key]:
                        fields[key] = value.strip()
        except OSError:
            continue
        if all(fields.values()):
            break
    stem = os.path.basename(info).rpartition(".")[0]
    name = fields["Name"] or stem
    return re.sub(r"[-_.]+", "-", name).lower(), f"{name} {fields['Version']}".strip()
