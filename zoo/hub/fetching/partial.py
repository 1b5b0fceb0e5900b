"""What has arrived of a file so far, at a place where the next process finds it."""

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from zoo.hub.fetching.file import RemoteFile


class Partial:
    """The unfinished part of a file. Whoever uses it holds the file's lock.

    It lies beside the file as ``.NAME.KEY.part``, where the key stands for the wanted content, and is kept when the
    process ends. What is known of its source lies beside it in ``.NAME.KEY.part.json``. A rest left by another
    process is used only if the file's digest is known: then the digest of the whole decides in the end.

    Attributes:
        target: The file that this becomes.
        path: Where it lies until then.
        done: Bytes that have arrived.
        joined: Whether they came in more than one piece.
        source: The address they came from.
        tag: What identifies the content at that address in an ``If-Range`` header; empty if nothing does.

    Raises:
        OSError: The file cannot be made.
    """

    def __init__(self, target: Path, file: RemoteFile, *, shared: bool) -> None:
        wanted = [file.sha256, file.sha1, file.md5] if file.recognisable else [file.urls]
        key = hashlib.sha256(json.dumps([file.bytes, *wanted]).encode()).hexdigest()[:12]
        if not shared:  # on a file system without locks another process might write to the same place
            key += os.urandom(4).hex()
        self.target = target
        self.path = target.with_name(f".{target.name}.{key}.part")
        self._note = self.path.with_name(self.path.name + ".json")
        self._known = file.recognisable
        self._shared = shared
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        self._out = os.fdopen(os.open(self.path, flags, 0o666), "r+b", buffering=0)
        self.done = self._out.seek(0, os.SEEK_END)
        self.joined = self.done > 0
        self.source = self.tag = ""
        if self.done and not self._known:
            self.restart("", "")
        elif self.done:
            self._read_note()

    def continues(self, url: str) -> bool:
        """Whether the rest may be asked for at an address."""
        return self.done > 0 and (self._known or (url == self.source and bool(self.tag)))

    @property
    def lasts(self) -> bool:
        """Whether another process can go on from here."""
        return self._known and self._shared and self.done > 0

    def restart(self, source: str, tag: str) -> None:
        """Forget what has arrived; what comes next comes from that source."""
        self._out.truncate(0)
        self._out.seek(0)
        self.done, self.joined = 0, False
        self._remember(source, tag)

    def go_on(self, source: str, tag: str) -> None:
        """Add what comes next to what has arrived."""
        self._out.seek(self.done)
        self.joined = True
        self._remember(source, tag)

    def write(self, data: bytes) -> None:
        """Add bytes; after an error, `done` still says how many are there."""
        view = memoryview(data)
        while view:
            count = self._out.write(view)
            self.done += count
            view = view[count:]

    def place(self) -> None:
        """Make it the file: on the disk, as a whole, in one step."""
        os.fsync(self._out.fileno())
        self._out.close()
        self._note.unlink(missing_ok=True)
        self.path.replace(self.target)

    def close(self) -> None:
        """Leave it for another time; nothing is left of one that is empty or cannot be used again."""
        self._out.close()
        if not self.lasts:
            self.remove()

    def remove(self) -> None:
        """Leave nothing."""
        self._out.close()
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def _remember(self, source: str, tag: str) -> None:
        self.source, self.tag = source, tag
        if self._known and source:
            with suppress(OSError):  # it only spares a second download where the content has changed
                self._note.write_text(json.dumps({"source": source, "tag": tag}), encoding="utf-8")

    def _read_note(self) -> None:
        try:
            note: Any = json.loads(self._note.read_text(encoding="utf-8"))
            source, tag = note["source"], note["tag"]
        except (OSError, ValueError, KeyError, TypeError):
            return  # the process died while it wrote the note; the digest decides
        if isinstance(source, str) and isinstance(tag, str) and tag.isascii() and tag.isprintable():
            self.source, self.tag = source, tag
