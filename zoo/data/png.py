"""PNG files that need not fit into memory: written row by row, their words read (ISO/IEC 15948)."""

import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from zoo.config import Color
from zoo.data.images import voc_palette
from zoo.files import atomic_path

_LEVEL = 6
_CHUNK = 1 << 20
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


class LabelWriter:
    """Takes the rows of a label map in order. Made by `label_writer`.

    Args:
        file: Where the PNG goes.
        size: (H, W).
        palette: One colour per class, or empty for 16-bit labels.

    Attributes:
        text: Keyword → words in Latin letters, kept at the end of the file.
    """

    def __init__(self, file: BinaryIO, size: tuple[int, int], palette: Sequence[Color]) -> None:
        self._file, self._size, self._done = file, size, 0
        self._packer = zlib.compressobj(_LEVEL)
        self._pending = bytearray()
        self.text: dict[str, str] = {}
        self._dtype = np.dtype("u1" if palette else ">u2")
        file.write(_SIGNATURE)
        depth, kind = (8, 3) if palette else (16, 0)
        self._chunk(b"IHDR", struct.pack(">IIBBBBB", size[1], size[0], depth, kind, 0, 0, 0))
        if palette:
            self._chunk(b"PLTE", bytes(value for color in palette for value in color))

    def write(self, labels: NDArray[Any]) -> None:
        """Add rows (h, W)."""
        rows = np.zeros((len(labels), 1 + self._size[1] * self._dtype.itemsize), np.uint8)  # each after a filter of 0
        rows[:, 1:] = np.ascontiguousarray(labels.astype(self._dtype)).view(np.uint8).reshape(len(labels), -1)
        self._done += len(labels)
        self._pending += self._packer.compress(rows.tobytes())
        if len(self._pending) >= _CHUNK:
            self._flush()

    def finish(self) -> None:
        """Write the end of the file; raises `ValueError` where rows are missing."""
        if self._done != self._size[0]:
            raise ValueError(f"{self._done} of {self._size[0]} rows were written")
        self._pending += self._packer.flush()
        self._flush()
        for key, value in self.text.items():
            self._chunk(b"tEXt", key.encode("latin-1") + b"\0" + value.encode("latin-1"))
        self._chunk(b"IEND", b"")

    def _flush(self) -> None:
        self._chunk(b"IDAT", bytes(self._pending))
        self._pending.clear()

    def _chunk(self, kind: bytes, data: bytes) -> None:
        self._file.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))


@contextmanager
def label_writer(
    path: str | os.PathLike[str],
    size: tuple[int, int],
    palette: Sequence[Color],
    *,
    classes: int,
) -> Iterator[LabelWriter]:
    """Yield what takes the rows of a label map of `size` (H, W); the file appears when all are written.

    Up to 256 classes become a palette PNG, more a 16-bit grey one, as `zoo.data.images.write_labels` does.
    """
    colors = [*palette, *voc_palette(256)[len(palette) :]][:256] if classes <= 256 else []
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        writer = LabelWriter(file, size, colors)
        yield writer
        writer.finish()


def read_text(path: str | os.PathLike[str]) -> dict[str, str]:
    """The words in a PNG file, keyword → words; nothing where it is no whole PNG file."""
    found: dict[str, str] = {}
    try:
        with open(path, "rb") as file:
            if file.read(8) != _SIGNATURE:
                return {}
            while head := file.read(8):
                length, kind = struct.unpack(">I4s", head)
                if kind == b"IEND":
                    return found
                if kind == b"tEXt":
                    key, _, value = file.read(length).decode("latin-1").partition("\0")
                    found[key] = value
                    length = 0
                file.seek(length + 4, os.SEEK_CUR)
    except (OSError, struct.error):
        return {}
    return {}
