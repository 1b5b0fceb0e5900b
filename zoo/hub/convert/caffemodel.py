"""Reading ``.caffemodel`` files without Caffe and without protobuf.

A file is one protobuf message, ``NetParameter``, of which only the names and blobs of layers are read:

    NetParameter       layer = 100 (LayerParameter), layers = 2 (V1LayerParameter)
    LayerParameter     name = 1, blobs = 7
    V1LayerParameter   name = 4, blobs = 6
    BlobProto          num, channels, height, width = 1 … 4 (the old form of a shape), shape = 7 (BlobShape),
                       data = 5 (float), double_data = 8
    BlobShape          dim = 1

Lists of numbers come packed or one by one; both are read. Numbers go straight from the file into their tensor.
"""

import math
import os
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zoo.errors import CheckpointError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LAYERS = {100: (1, 7), 2: (4, 6)}
"""Field of a layer → the fields of its name and its blobs."""
_DATA = {5: ("<f4", _FIXED32), 8: ("<f8", _FIXED64)}
"""Field of a blob's numbers → their type, and how one of them stands alone."""
_MOST_DIMENSIONS = 32
_AT_ONCE = 1 << 20

Numbers = NDArray[Any]


class _Field(NamedTuple):
    """One field of a message: its number, how it is written, its value, and where its content begins and ends."""

    number: int
    wire: int
    value: int
    start: int
    end: int


def read_caffemodel(path: Path) -> dict[str, list[Tensor]]:
    """Read the blobs of every layer that has any.

    Returns:
        Layer name → its blobs in order, float32 on the CPU, in Caffe's shapes (a bias may be 1×1×1×N).

    Raises:
        CheckpointError: The file is missing, cut short or damaged, holds no layers with blobs, a layer twice, or values
            that do not fill a blob's shape.
    """
    try:
        with path.open("rb") as file:
            return _Reader(path, file).net()
    except FileNotFoundError:
        raise CheckpointError(f"there is no file {path}") from None
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from None


class _Reader:
    """Walks through one file; every complaint names it and the place."""

    def __init__(self, path: Path, file: BufferedReader) -> None:
        self.path = path
        self.file = file
        self.size = os.fstat(file.fileno()).st_size

    def net(self) -> dict[str, list[Tensor]]:
        layers: dict[str, list[Tensor]] = {}
        for field in self.fields(0, self.size):
            if field.number in _LAYERS and field.wire == _BYTES:
                name, blobs = self.layer(field, *_LAYERS[field.number])
                if blobs and name in layers:
                    raise CheckpointError(f"{self.path}: layer {name!r} is there twice")
                if blobs:
                    layers[name] = blobs
        if not layers:
            raise CheckpointError(f"{self.path} is no caffemodel, or one without weights: it has no layer with blobs")
        return layers

    def layer(self, layer: _Field, name_field: int, blob_field: int) -> tuple[str, list[Tensor]]:
        name, blobs = "", []
        for field in self.fields(layer.start, layer.end):
            if field.number == name_field and field.wire == _BYTES:
                try:
                    name = self.bytes(field).decode("utf-8")
                except UnicodeDecodeError:
                    self.fail(field.start, "the name of a layer is no text")
            elif field.number == blob_field and field.wire == _BYTES:
                blobs.append(self.blob(field))
        return name, blobs

    def blob(self, blob: _Field) -> Tensor:
        old = [1, 1, 1, 1]
        shape: list[int] | None = None
        has_old = False
        pieces: list[Numbers] = []
        position = blob.start
        while position < blob.end:
            field = self.field(position, blob.end)
            position = field.end
            if 1 <= field.number <= 4 and field.wire == _VARINT:
                old[field.number - 1] = field.value
                has_old = True
            elif field.number == 7 and field.wire == _BYTES:
                shape = self.shape(field)
            elif field.number in _DATA:
                kind, alone = _DATA[field.number]
                if field.wire == alone:
                    values, position = self.run(field, kind, blob.end)
                else:
                    values = self.packed(field, kind)
                pieces.append(values)
        data = pieces[0] if len(pieces) == 1 else np.concatenate(pieces or [np.zeros(0, np.float32)])
        dims = shape if shape is not None else old if has_old else [data.size]
        if len(dims) > _MOST_DIMENSIONS or math.prod(dims) != data.size:
            self.fail(blob.start, f"a blob of shape {'×'.join(map(str, dims))} holds {data.size:,} values")
        return torch.from_numpy(data.astype(np.float32, copy=False)).reshape(dims)

    def shape(self, shape: _Field) -> list[int]:
        dims: list[int] = []
        for field in self.fields(shape.start, shape.end):
            if field.number == 1 and field.wire == _VARINT:
                dims.append(field.value)
            elif field.number == 1 and field.wire == _BYTES:
                self.file.seek(field.start)
                while self.file.tell() < field.end:
                    dims.append(self.varint(field.end))
        return dims

    def packed(self, field: _Field, kind: str) -> Numbers:
        """The values of a packed field."""
        count, rest = divmod(field.end - field.start, np.dtype(kind).itemsize)
        if field.wire != _BYTES or rest:
            self.fail(field.start, "the values of a blob are written in a way that floats cannot be")
        return self.read(field.start, count, kind)

    def run(self, field: _Field, kind: str, end: int) -> tuple[Numbers, int]:
        """The values from a field on that stand one by one, each with its key before it, and where they end."""
        key = field.number << 3 | field.wire
        record = np.dtype([("key", "u1"), ("value", kind)])
        pieces: list[Numbers] = []
        position = field.start - 1
        while True:
            count = min((end - position) // record.itemsize, _AT_ONCE)
            records = self.read(position, count, record)
            others = np.flatnonzero(records["key"] != key)
            count = int(others[0]) if others.size else count
            pieces.append(records["value"][:count])
            position += count * record.itemsize
            if count < _AT_ONCE:
                return np.concatenate(pieces), position

    def read(self, start: int, count: int, kind: Any) -> Numbers:
        """So many records from a position of the file."""
        values = np.empty(count, kind)
        self.file.seek(start)
        if count and self.file.readinto(values.view(np.uint8).data) != values.nbytes:
            self.fail(start, "the file ends in a blob")
        return values

    def fields(self, start: int, end: int) -> Iterator[_Field]:
        """The fields of the message between two positions."""
        while start < end:
            field = self.field(start, end)
            yield field
            start = field.end

    def field(self, position: int, end: int) -> _Field:
        """The field that begins at a position, in a message that ends at another."""
        self.file.seek(position)
        key = self.varint(end)
        number, wire = key >> 3, key & 7
        value = self.varint(end) if wire in (_VARINT, _BYTES) else 0
        start = self.file.tell()
        length = {_VARINT: 0, _FIXED64: 8, _BYTES: value, _FIXED32: 4}.get(wire)
        if length is None or number == 0:
            self.fail(position, "this is no protobuf message")
        if start + length > end:
            self.fail(position, "what is announced here goes beyond the end of the file or of its message")
        return _Field(number, wire, value, start, start + length)

    def varint(self, end: int) -> int:
        """The number at the current position, seven bits to a byte, the lowest first."""
        value = 0
        for shift in range(0, 70, 7):
            byte = self.file.read(1)
            if not byte or self.file.tell() > end:
                break
            value |= (byte[0] & 0x7F) << shift
            if byte[0] < 0x80:
                return value
        self.fail(self.file.tell(), "a number has no end")

    def bytes(self, field: _Field) -> bytes:
        self.file.seek(field.start)
        return self.file.read(field.end - field.start)

    def fail(self, position: int, what: str) -> NoReturn:
        raise CheckpointError(
            f"{self.path} is damaged, cut short or no caffemodel: {what} (byte {position:,} of {self.size:,})"
        )
