"""Which file is wanted: its name, where it can be had, and how it is recognised when it is there."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from zoo.errors import ZooError

_DIGITS = {"sha256": 64, "sha1": 40, "md5": 32}
_SCHEMES = ("https", "http", "hf", "file")
_LONGEST = 180  # bytes of one part of a name: file systems take 255, and the files of a download have longer names
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # no file can be called so on Windows


class DownloadError(ZooError):
    """A file that could not be fetched, or is not the one that was expected."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file that lies in one or several places and is known by its size and its digests.

    Attributes:
        name: Relative name in the folder it is fetched into, as ``"a/b.safetensors"``. A name that could lead out of
            that folder, or means something else on another system, is refused.
        urls: Where it can be had, in the order in which they are tried: ``https://``, ``http://``, ``file://``,
            ``hf://org/repo[@revision]/path``, or a plain path.
        bytes: Its size, if that is known.
        sha256: Its digest: 64 hex digits, or the first 8 or more of them.
        md5: Digests of which it has one, for old files that were published with no other.
        sha1: As `md5`.

    Raises:
        DownloadError: A name, an address, a size or a digest that cannot be right.
    """

    name: str
    urls: tuple[str, ...]
    bytes: int | None = None
    sha256: str | None = None
    md5: tuple[str, ...] = ()
    sha1: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_name(self.name)
        object.__setattr__(self, "urls", _strings(self.urls, "urls"))
        for url in self.urls:
            check_url(url)
        if self.bytes is not None and (not isinstance(self.bytes, int) or self.bytes < 0 or self.bytes is True):
            raise DownloadError(f"{self.name}: its size should be a number of bytes, not {self.bytes!r}")
        if self.sha256 is not None:
            object.__setattr__(self, "sha256", _digest("sha256", self.sha256, least=8))
        for kind in ("md5", "sha1"):
            given = _strings(getattr(self, kind), kind)
            object.__setattr__(self, kind, tuple(_digest(kind, value) for value in given))

    @property
    def recognisable(self) -> bool:
        """Whether there is a digest to know it by."""
        return bool(self.sha256 or self.md5 or self.sha1)

    @property
    def known_by(self) -> str:
        """Size and digests in words: ``"537,959,036 bytes, md5 c03b…"``; empty where nothing is known."""
        size = [] if self.bytes is None else [f"{self.bytes:,} bytes"]
        return ", ".join([*size, *(f"{kind} {' or '.join(values)}" for kind, values in self._digests())])

    def mistake(self, path: Path) -> str | None:
        """What is wrong with the file at `path`, in words, or None where its size and every known digest are right.

        Raises:
            OSError: It cannot be read.
        """
        size = path.stat().st_size
        if self.bytes is not None and size != self.bytes:
            return f"has {size:,} bytes, expected {self.bytes:,}"
        digests = self._digests()
        for (kind, expected), found in zip(digests, _hash(path, [kind for kind, _ in digests]), strict=True):
            if not found.startswith(tuple(expected)):
                return f"has {kind} {found[: len(expected[0])]}, expected {' or '.join(expected)}"
        return None

    def _digests(self) -> list[tuple[str, tuple[str, ...]]]:
        given = (("sha256", (self.sha256,) if self.sha256 else ()), ("sha1", self.sha1), ("md5", self.md5))
        return [(kind, values) for kind, values in given if values]


def check_name(name: str) -> None:
    """Raise where a name from an index is not a plain relative one.

    Raises:
        DownloadError: It is absolute, has ``..``, a backslash, a drive letter, a control character, a part that
            begins with a dot or ends with a dot or a space, is a device on Windows, or is too long.
    """
    if not isinstance(name, str) or not name:
        raise DownloadError(f"{name!r} is no file name")
    for part in name.split("/"):
        mistake = (
            "must be relative and without empty parts"
            if not part
            else "must not lead out of its folder"
            if part in (".", "..")
            else "must have parts that do not begin with a dot"
            if part.startswith(".")
            else 'must not have backslashes, colons or any of *?"<>|'
            if set(part) & set('\\:*?"<>|')
            else "must not have control characters"
            if not part.isprintable()
            else "must have parts that do not end with a dot or a space"
            if part[-1] in ". "
            else "means a device on Windows"
            if _DEVICES.fullmatch(part)
            else f"has a part of more than {_LONGEST} bytes"
            if len(part.encode("utf-8", "surrogatepass")) > _LONGEST
            else None
        )
        if mistake:
            raise DownloadError(f"{name!r} is no file name that can be trusted: it {mistake}")


def check_url(url: str) -> None:
    """Raise where an address is of a kind that cannot be fetched.

    Raises:
        DownloadError: Another scheme, a host that is missing, spaces, or a name and password in it.
    """
    if not isinstance(url, str) or not url or not url.isprintable():
        raise DownloadError(f"{url!r} is no address")
    if is_path(url):
        return
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise DownloadError(f"{url}: {error}") from None
    if url.partition(":")[0] not in _SCHEMES:
        known = ", ".join(f"{scheme}://" for scheme in _SCHEMES)
        raise DownloadError(f"{url}: addresses start with {known}, or are paths")
    if parts.scheme != "file" and not host:
        raise DownloadError(f"{url}: this address names no host")
    if parts.scheme in ("http", "https") and parts.username is not None:
        raise DownloadError(f"{parts.scheme}://…@{host}{parts.path}: an address must not hold a name and a password")


def is_path(url: str) -> bool:
    """Whether an address is a plain path: it has no scheme, or one letter, which is a drive."""
    scheme, colon, _ = url.partition(":")
    return not colon or len(scheme) == 1 or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme)


def _strings(given: Iterable[str], what: str) -> tuple[str, ...]:
    values = () if isinstance(given, str) else tuple(given)
    if isinstance(given, str) or not all(isinstance(value, str) for value in values):
        raise DownloadError(f"{what} should be a list of strings, not {given!r}")
    return values


def _digest(kind: str, given: str, least: int | None = None) -> str:
    digits = _DIGITS[kind]
    fits = isinstance(given, str) and (least or digits) <= len(given) <= digits
    if not fits or set(given.lower()) - set("0123456789abcdef"):
        expected = f"{least} to {digits}" if least else str(digits)
        raise DownloadError(f"{given!r} is no {kind} hash ({expected} hex digits)")
    return given.lower()


def _hash(path: Path, kinds: list[str]) -> list[str]:
    """Digests of a file, which is read once."""
    if not kinds:
        return []
    hashes = [hashlib.new(kind, usedforsecurity=False) for kind in kinds]
    buffer = memoryview(bytearray(1 << 20))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            for one in hashes:
                one.update(buffer[:count])
    return [one.hexdigest() for one in hashes]
