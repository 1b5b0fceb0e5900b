"""Parts of TIFF files, written by Pillow or by hand, against the whole array."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from zoo.data.tiff import TiffPicture
from zoo.errors import DataError

RANDOM = np.random.default_rng(0)
PARTS = [(0, 37, 0, 53), (5, 6, 7, 8), (0, 17, 52, 53), (16, 37, 3, 40), (31, 33, 15, 49)]


def check(path, expected):
    picture = TiffPicture(path)
    assert picture.shape == expected.shape
    for top, bottom, left, right in PARTS:
        found = picture.read(top, bottom, left, right)
        assert found.dtype == np.uint8
        assert np.array_equal(found, expected[top:bottom, left:right])
    picture.close()


@pytest.mark.parametrize("compression", [None, "tiff_adobe_deflate", "tiff_deflate", "tiff_lzw", "packbits"])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA"])
@pytest.mark.parametrize("strip", [1, 10_000, 1 << 20])
def test_files_of_pillow(tmp_path, mode, compression, strip):
    array = RANDOM.integers(0, 256, (37, 53, len(mode)), dtype=np.uint8)
    image = Image.fromarray(array[..., 0] if len(mode) == 1 else array, mode)
    image.save(tmp_path / "a.tif", compression=compression, strip_size=strip)
    check(tmp_path / "a.tif", array)


def test_sixteen_bits(tmp_path):
    array = RANDOM.integers(0, 65536, (37, 53), dtype=np.uint16)
    Image.fromarray(array).save(tmp_path / "a.tif")
    check(tmp_path / "a.tif", (array // 257).astype(np.uint8)[..., None])


def by_hand(path, array, *, order="<", big=False, tile=None, deflate=False, differenced=False, extra=()):
    """The picture as one strip or as square tiles."""
    height, width, channels = array.shape
    blocks = [array]
    if tile:
        padded = np.zeros((-(-height // tile) * tile, -(-width // tile) * tile, channels), array.dtype)
        padded[:height, :width] = array
        blocks = [
            padded[y : y + tile, x : x + tile]
            for y in range(0, len(padded), tile)
            for x in range(0, padded.shape[1], tile)
        ]
    data = []
    for block in blocks:
        if differenced:
            block = np.concatenate([block[:, :1], np.diff(block.astype(np.int64), axis=1)], 1).astype(block.dtype)
        raw = block.astype(block.dtype.newbyteorder(order)).tobytes()
        data.append(zlib.compress(raw) if deflate else raw)
    start = 16
    offsets = [start + sum(map(len, data[:index])) for index in range(len(data))]
    bits = array.dtype.itemsize * 8
    tags = {256: width, 257: height, 258: [bits] * channels, 259: 8 if deflate else 1, 262: 2 if channels > 1 else 1}
    tags |= {277: channels, 317: 2 if differenced else 1}
    counts = [len(part) for part in data]
    tags |= {322: tile, 323: tile, 324: offsets, 325: counts} if tile else {273: offsets, 278: height, 279: counts}
    tags |= dict(extra)
    body = b"".join(data)
    after = start + len(body)
    kind, letter, inline = (16, "Q", 8) if big else (4, "I", 4)
    size = (8 + 20 * len(tags) + 8) if big else (2 + 12 * len(tags) + 4)
    table, overflow = b"", b""
    for tag, value in sorted(tags.items()):
        values = value if isinstance(value, list) else [value]
        packed = struct.pack(f"{order}{len(values)}{letter}", *values)
        if len(packed) > inline:
            place = struct.pack(order + letter, after + size + len(overflow))
            overflow += packed
        else:
            place = packed.ljust(inline, b"\0")
        table += struct.pack(order + "HH" + letter, tag, kind, len(values)) + place
    count = struct.pack(order + ("Q" if big else "H"), len(tags))
    mark = b"II" if order == "<" else b"MM"
    if big:
        head = mark + struct.pack(order + "HHHQ", 43, 8, 0, after)
    else:
        head = (mark + struct.pack(order + "HI", 42, after)).ljust(16, b"\0")
    path.write_bytes(head + body + count + table + struct.pack(order + letter, 0) + overflow)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("tile", [None, 16])
@pytest.mark.parametrize("how", [{}, {"deflate": True}, {"deflate": True, "differenced": True}])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_layout(tmp_path, order, big, tile, how, dtype):
    array = RANDOM.integers(0, np.iinfo(dtype).max + 1, (37, 53, 3)).astype(dtype)
    by_hand(tmp_path / "a.tif", array, order=order, big=big, tile=tile, **how)
    if order == "<" and dtype == np.uint8:  # the file is one that others read
        with Image.open(tmp_path / "a.tif") as image:
            assert np.array_equal(np.array(image), array)
    check(tmp_path / "a.tif", array if dtype == np.uint8 else (array // 257).astype(np.uint8))


@pytest.mark.parametrize("strip", [1000, 1 << 20])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_lzw_of_differences(tmp_path, dtype, strip):
    array = RANDOM.integers(0, np.iinfo(dtype).max + 1, (37, 53)).astype(dtype)
    Image.fromarray(array).save(tmp_path / "a.tif", compression="tiff_lzw", tiffinfo={317: 2}, strip_size=strip)
    with Image.open(tmp_path / "a.tif") as image:
        assert image.tag_v2[317] == 2
    check(tmp_path / "a.tif", (array if dtype == np.uint8 else (array // 257).astype(np.uint8))[..., None])


def test_white_is_zero(tmp_path):
    array = RANDOM.integers(0, 256, (37, 53, 1), dtype=np.uint8)
    by_hand(tmp_path / "a.tif", array, extra={262: 0}.items())
    check(tmp_path / "a.tif", 255 - array)


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({259: 7}, "compression 7"),
        ({259: 5, 256: 10_000, 257: 10_000, 278: 10_000}, "compression 5 in one piece"),
        ({262: 6}, "colours of kind 6"),
        ({274: 6}, "a turned picture"),
        ({284: 2}, "one after the other"),
        ({339: 3}, "not whole numbers"),
        ({317: 3}, "predictor 3"),
        ({258: [4] * 3}, "4 bits"),
    ],
)
def test_what_cannot_be_read_in_parts_is_named(tmp_path, extra, words):
    by_hand(tmp_path / "a.tif", np.zeros((4, 4, 3), np.uint8), extra=extra.items())
    with pytest.raises(DataError, match=f"a.tif.*{words}"):
        TiffPicture(tmp_path / "a.tif")


def test_damaged_files(tmp_path):
    path = tmp_path / "a.tif"
    with pytest.raises(DataError, match="cannot be read"):
        TiffPicture(path)
    by_hand(path, RANDOM.integers(0, 256, (37, 53, 3), dtype=np.uint8), tile=16, deflate=True)
    whole = path.read_bytes()
    for content in (b"", b"II*\0", b"no picture at all", whole[:-200], whole[:8]):
        path.write_bytes(content)
        with pytest.raises(DataError, match="damaged"):
            TiffPicture(path)
    path.write_bytes(whole[:40] + b"\xff" * 60 + whole[100:])
    with pytest.raises(DataError, match="cannot be unpacked"):
        TiffPicture(path).read(0, 37, 0, 53)


@pytest.mark.parametrize("compression", [1, 5, 8])
@pytest.mark.parametrize(("tag", "value"), [(279, 1 << 62), (273, 1 << 62), (273, (1 << 64) - 1)])
def test_a_damaged_table_asks_for_nothing_that_is_not_there(tmp_path, compression, tag, value):
    array = np.zeros((37, 53, 1), np.uint8)
    by_hand(tmp_path / "a.tif", array, big=True, extra={259: compression, tag: value}.items())
    picture = TiffPicture(tmp_path / "a.tif")
    if compression == 1 and tag == 279:  # nobody needs the length of what is not compressed
        assert np.array_equal(picture.read(0, 37, 0, 53), array)
        return
    with pytest.raises(DataError, match="damaged"):
        picture.read(0, 37, 0, 53)


def test_a_table_that_is_too_short_is_damaged(tmp_path):
    by_hand(tmp_path / "a.tif", np.zeros((37, 53, 1), np.uint8), tile=16, deflate=True, extra={325: [9, 9]}.items())
    with pytest.raises(DataError, match="damaged"):
        TiffPicture(tmp_path / "a.tif").read(0, 37, 0, 53)
