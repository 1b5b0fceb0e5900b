"""Reading parts of a TIFF picture that is larger than memory.

Only what lies in the wanted rows and columns is read. Taken are classic and BigTIFF files of either byte order, in
strips or tiles, not compressed, with deflate or LZW (with or without differencing) or PackBits, 8 or 16 bits per value,
grey, RGB or RGB with alpha, values side by side. (TIFF 6.0, Adobe 1992, with its Technical Note 2 and the BigTIFF
design.)
"""

import os
import struct
import zlib
from collections import OrderedDict
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from zoo.errors import DataError

_FORMATS = {1: "B", 2: "s", 3: "H", 4: "I", 6: "b", 7: "B", 8: "h", 9: "i", 16: "Q", 17: "q", 18: "Q"}
_CACHE = 128 * 2**20  # bytes of unpacked strips or tiles that are kept
_MOST_ENTRIES = 1 << 24
_PLAIN, _LZW, _PACKBITS, _DEFLATE = 1, 5, 32773, (8, 32946)
_BY_PILLOW = (_LZW, _PACKBITS)
_MOST_FOR_PILLOW = 1 << 26  # bytes of a strip or tile; of larger ones it warns
_MOST_GAIN = 4096  # bytes that any compression makes of one, at the very most


class _Layout(NamedTuple):
    """Where the pixels of a picture lie in its file."""

    height: int
    width: int
    channels: int
    dtype: "np.dtype[Any]"
    rows: int  # of a strip or tile
    columns: int
    offsets: list[int]
    counts: list[int]
    compression: int
    differenced: bool
    inverted: bool


class TiffPicture:
    """A TIFF file whose parts are read on their own.

    Attributes:
        shape: (H, W, C) of its first page.

    Args:
        path: The file.

    Raises:
        DataError: The file is no TIFF, is damaged, or is of a kind that cannot be read in parts; says which.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)
        self._kept: OrderedDict[int, NDArray[Any]] = OrderedDict()
        try:
            self._file = open(path, "rb")  # noqa: SIM115 (closed with the object)
        except OSError as error:
            raise DataError(f"{self._path}: cannot be read: {error.strerror}") from None
        try:
            self._size = os.fstat(self._file.fileno()).st_size
            self._layout = _layout(_tags(self._file.fileno()), self._path)
        except (struct.error, IndexError, KeyError, ValueError, TypeError, OverflowError) as error:
            self._file.close()
            if isinstance(error, DataError):
                raise
            raise DataError(f"{self._path}: is damaged, or no TIFF file: {type(error).__name__}") from None
        self.shape = (self._layout.height, self._layout.width, self._layout.channels)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def read(self, top: int, bottom: int, left: int, right: int) -> NDArray[np.uint8]:
        """The pixels of rows `top` … `bottom` and columns `left` … `right`: (h, w, C), 16 bits brought to 8.

        Raises:
            DataError: The file ends too early, or is damaged.
        """
        layout = self._layout
        out = np.empty((bottom - top, right - left, layout.channels), layout.dtype)
        for row in range(top // layout.rows, -(-bottom // layout.rows)):
            for column in range(left // layout.columns, -(-right // layout.columns)):
                self._copy(out, (top, left), row, column)
        if layout.dtype.itemsize == 2:
            out = (out // 257).astype(np.uint8)
        return 255 - out if layout.inverted else out

    def _copy(self, out: NDArray[Any], origin: tuple[int, int], row: int, column: int) -> None:
        """Copy what of one strip or tile lies within `out`."""
        layout, (top, left) = self._layout, origin
        y, x = row * layout.rows, column * layout.columns
        first, last = max(y, top), min(y + layout.rows, top + out.shape[0])
        begin, end = max(x, left), min(x + layout.columns, left + out.shape[1])
        place = out[first - top : last - top, begin - left : end - left]
        index = row * -(-layout.width // layout.columns) + column
        if layout.compression != _PLAIN:
            place[...] = self._unpacked(index, row)[first - y : last - y, begin - x : end - x]
            return
        pixel = layout.channels * layout.dtype.itemsize
        for line in range(first, last):
            start = layout.offsets[index] + ((line - y) * layout.columns + begin - x) * pixel
            data = self._bytes(start, (end - begin) * pixel)
            if len(data) < (end - begin) * pixel:
                raise DataError(f"{self._path}: is damaged: it ends too early")
            place[line - first] = np.frombuffer(data, layout.dtype).reshape(end - begin, layout.channels)

    def _unpacked(self, index: int, row: int) -> NDArray[Any]:
        """A strip or tile, (rows, columns, C); the last used ones are kept."""
        if index in self._kept:
            self._kept.move_to_end(index)
            return self._kept[index]
        layout = self._layout
        whole_tiles = layout.columns != layout.width
        rows = layout.rows if whole_tiles else min(layout.rows, layout.height - row * layout.rows)
        width = layout.columns * layout.channels * layout.dtype.itemsize
        packed = self._bytes(layout.offsets[index], layout.counts[index])
        try:
            data = _unpack(packed, layout.compression, rows, width)
            block = np.frombuffer(data, layout.dtype).reshape(rows, layout.columns, layout.channels)
        except (zlib.error, ValueError, OSError):
            raise DataError(f"{self._path}: is damaged: a part of it cannot be unpacked") from None
        if layout.differenced:
            block = np.cumsum(block, axis=1, dtype=layout.dtype.newbyteorder("="))
        self._kept[index] = block
        while len(self._kept) > 1 and sum(kept.nbytes for kept in self._kept.values()) > _CACHE:
            self._kept.popitem(last=False)
        return block

    def _bytes(self, start: int, count: int) -> bytes:
        """So many bytes of the file, or fewer where it ends: a damaged one may ask for more than there is memory."""
        there = min(count, self._size - start)
        return os.pread(self._file.fileno(), there, start) if there > 0 else b""


def _unpack(packed: bytes, compression: int, rows: int, width: int) -> bytes:
    """The `rows` of `width` bytes of a strip or tile; raises `zlib.error`, `ValueError` or `OSError`."""
    if rows * width > _MOST_GAIN * len(packed):
        raise ValueError("too little for a part of that size")
    if compression in _DEFLATE:
        return zlib.decompressobj().decompress(packed, rows * width)
    # To Pillow it is a grey picture of bytes, whatever their meaning: a TIFF file of one strip, its tags before it.
    start = 8 + 2 + 9 * 12 + 4
    tags = {256: width, 257: rows, 258: 8, 259: compression, 262: 1, 273: start, 277: 1, 278: rows, 279: len(packed)}
    table = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    head = struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + table + struct.pack("<I", 0)
    with Image.open(BytesIO(head + packed), formats=["TIFF"]) as picture:
        return picture.tobytes()


def _tags(file: int) -> dict[int, tuple[Any, ...]]:
    """The first page's tags: number → values; ``"order"`` is under 0."""
    head = os.pread(file, 16, 0)
    order = {b"II": "<", b"MM": ">"}[head[:2]]
    big = {42: False, 43: True}[struct.unpack(order + "H", head[2:4])[0]]
    start = struct.unpack_from(order + ("Q" if big else "I"), head, 8 if big else 4)[0]
    (count,) = struct.unpack(order + ("Q" if big else "H"), os.pread(file, 8 if big else 2, start))
    entry, inline = (20, 8) if big else (12, 4)
    if count > 4096:
        raise ValueError("too many tags")
    table = os.pread(file, count * entry, start + (8 if big else 2))
    found: dict[int, tuple[Any, ...]] = {0: (order,)}
    for position in range(0, count * entry, entry):
        tag, kind = struct.unpack_from(order + "HH", table, position)
        (number,) = struct.unpack_from(order + ("Q" if big else "I"), table, position + 4)
        if kind not in _FORMATS or number > _MOST_ENTRIES:
            continue
        text = f"{order}{number}{_FORMATS[kind]}"
        size = struct.calcsize(text)
        place = position + entry - inline
        data = table[place : place + size]
        if size > inline:
            (where,) = struct.unpack_from(order + ("Q" if big else "I"), table, place)
            data = os.pread(file, size, where)
        found[tag] = struct.unpack(text, data)
    return found


def _layout(tags: dict[int, tuple[Any, ...]], path: str) -> _Layout:
    def one(tag: int, default: int) -> int:
        return int(tags.get(tag, (default,))[0])

    (width,), (height,), channels = tags[256], tags[257], one(277, 1)
    bits, compression, photometric = set(tags.get(258, (1,))), one(259, 1), one(262, 1)
    tiled = 322 in tags
    rows, columns = (one(323, 0), one(322, 0)) if tiled else (min(one(278, height), height), width)
    size = rows * columns * channels * max(bits) // 8
    odd = [
        (bits not in ({8}, {16}), f"{'/'.join(map(str, sorted(bits)))} bits per value"),
        (compression not in (_PLAIN, *_DEFLATE, *_BY_PILLOW), f"compression {compression}"),
        (compression in _BY_PILLOW and size > _MOST_FOR_PILLOW, f"compression {compression} in one piece"),
        (photometric not in (0, 1, 2), f"colours of kind {photometric}"),
        (set(tags.get(339, (1,))) != {1}, "values that are not whole numbers without sign"),
        (one(284, 1) != 1, "channels one after the other"),
        (one(317, 1) not in (1, 2), f"predictor {one(317, 1)}"),
        (one(274, 1) != 1, "a turned picture"),
        (one(266, 1) != 1, "reversed bits"),
        (channels not in (1, 2, 3, 4), f"{channels} channels"),
    ]
    for wrong, what in odd:
        if wrong:
            raise DataError(
                f"{path}: a TIFF file with {what} cannot be read in parts. Save it with 8 or 16 bits per channel, "
                "not compressed or with deflate"
            )
    offsets, counts = (list(tags[tag]) for tag in ((324, 325) if tiled else (273, 279)))
    parts = -(-height // rows) * -(-width // columns) if min(width, height, rows, columns) > 0 else 0
    if not 0 < parts <= min(len(offsets), len(counts)):
        raise ValueError("sizes that do not agree")
    dtype = np.dtype(f"{tags[0][0]}u{bits.pop() // 8}")
    return _Layout(
        *(height, width, channels, dtype, rows, columns, offsets, counts, compression),
        differenced=compression not in (_PLAIN, _PACKBITS) and one(317, 1) == 2,
        inverted=photometric == 0,
    )
