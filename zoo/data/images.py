"""Reading pictures and masks as they come, writing label maps.

A picture is shown (any mode, any bit depth, EXIF rotation), a mask is read: its raw values are labels,
and no conversion may touch them.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from zoo.config import Color
from zoo.errors import DataError
from zoo.files import atomic_path

SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm", ".jp2"))
"""File names that are taken for pictures, in lower case."""

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_EXIF_ORIENTATION = 0x0112

PathLike = str | os.PathLike[str]
T = TypeVar("T")


def read_image(path: PathLike, channels: int = 3) -> Tensor:
    """Read a picture of any common kind as uint8 (C, H, W), channels in RGB order.

    The EXIF orientation is applied. Grey, palette, CMYK and two-level pictures are converted, 16-bit grey
    is scaled to 8 bits (65535 → 255), alpha is dropped. Of several frames or pages the first is read.

    Args:
        path: The file.
        channels: 1 for grey, 3 for RGB, 4 for RGBA (opaque where the picture has no alpha).

    Raises:
        DataError: No such file, not a picture, damaged, or another number of channels.
    """
    if channels not in _MODES:
        raise DataError(f"pictures are read with 1 (grey), 3 (RGB) or 4 (RGBA) channels, not {channels}")
    return picture_tensor(_decode(path), channels, str(path))


def picture_tensor(picture: Image.Image, channels: int = 3, name: str = "the picture") -> Tensor:
    """Convert an upright PIL picture to uint8 (C, H, W); `name` is for the message of a `DataError`."""
    if picture.mode in ("I", "F"):
        if picture.format != "PNG":  # 16-bit PNG files come as "I" from some versions of Pillow
            raise DataError(f"{name}: its 32-bit values have no fixed range; save it with 8 or 16 bits per channel")
        picture = _eight_bits(picture)
    elif picture.mode.startswith("I;16"):
        picture = _eight_bits(picture)
    elif picture.mode == "P" and isinstance(picture.info.get("transparency"), bytes):
        picture = picture.convert("RGBA")  # straight to RGB makes Pillow warn
    if picture.mode != _MODES[channels]:
        picture = picture.convert(_MODES[channels])
    planes = np.empty((channels, picture.height, picture.width), np.uint8)
    for plane, channel in zip(planes, picture.split(), strict=True):
        plane[...] = np.asarray(channel)  # twice as fast as an array (H, W, C) that is then turned
    return torch.from_numpy(planes)


def image_size(path: PathLike) -> tuple[int, int]:
    """(H, W) of a picture as `read_image` returns it, from the header alone; raises `DataError`."""

    def measure(picture: Image.Image) -> tuple[int, int]:
        in_header = picture.format != "PNG" or "exif" in picture.info  # else Pillow decodes a PNG to look behind it
        turned = in_header and picture.getexif().get(_EXIF_ORIENTATION, 1) in (5, 6, 7, 8)
        width, height = picture.size
        return (width, height) if turned else (height, width)

    return _guard(path, measure)


def page_count(path: PathLike) -> int:
    """How many pages or frames a picture file has; `read_image` reads the first. Raises `DataError`."""
    return _guard(path, lambda picture: int(getattr(picture, "n_frames", 1)))


def read_mask(path: PathLike, palette: Sequence[Color] = ()) -> NDArray[np.integer[Any]]:
    """Read a label mask as (H, W) of its raw values: uint8, or uint16 / int32 where the file has more bits.

    Palette PNGs give their indices, never colours; two-level masks give 0 and 1; a grey mask that was
    saved as RGB gives its grey values. A mask in colours is read with `palette`: the label of a pixel is
    the position of its colour.

    Raises:
        DataError: The file cannot be read, is a JPEG (which blurs labels), is in colours that are not in
            `palette`, or holds fractions.
    """
    raw = read_raw_mask(path)
    if raw.ndim == 2:
        return raw
    labels = labels_of_colors(raw, {color: label for label, color in reversed(list(enumerate(palette)))}, path)
    return np.ascontiguousarray(raw[..., 0]) if labels is None else labels


def read_raw_mask(path: PathLike) -> NDArray[np.integer[Any]]:
    """A mask as it is stored: (H, W) of values, or (H, W, 3) uint8 of colours; raises as `read_mask`."""

    def refuse_jpeg(picture: Image.Image) -> None:
        if picture.format in ("JPEG", "MPO"):
            raise DataError(f"{path}: JPEG blurs the labels of a mask; save masks as PNG")

    picture = _decode(path, refuse_jpeg)
    if picture.mode in ("L", "P", "I") or picture.mode.startswith("I;16"):
        return np.array(picture)
    if picture.mode == "1":
        return np.array(picture).astype(np.uint8)
    if picture.mode == "F":
        values = np.array(picture)
        if not np.array_equal(values, np.rint(values)):
            raise DataError(f"{path}: holds fractions; a mask holds whole numbers, one label per pixel")
        return values.astype(np.int32)
    if picture.mode in ("LA", "La", "PA"):
        return np.array(picture.getchannel(0))
    return np.array(picture.convert("RGB"))


def labels_of_colors(colors: NDArray[Any], labels: Mapping[Color, int], path: PathLike) -> NDArray[np.uint8] | None:
    """Labels (H, W) of a mask in colours (H, W, 3); None where it is grey and its values are no known colours.

    Args:
        colors: The mask.
        labels: Colour → label, 255 for none.
        path: Whose mask it is, for the `DataError` about another colour.
    """
    codes = color_codes(colors)
    found, inverse = np.unique(codes, return_inverse=True)
    known = {(r << 16) + (g << 8) + b: label for (r, g, b), label in labels.items()}
    meant = np.array([known.get(int(code), -1) for code in found])
    if (meant >= 0).all():
        return meant.astype(np.uint8)[inverse].reshape(codes.shape)
    if bool((colors == colors[..., :1]).all()):
        return None
    raise DataError(f"{path}: {_unknown_color(codes, found[meant < 0], len(labels))}")


def color_codes(colors: NDArray[Any]) -> NDArray[np.int32]:
    """One number for each colour of (H, W, 3): red · 2¹⁶ + green · 2⁸ + blue."""
    codes: NDArray[np.int32] = colors.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], dtype=np.int32)
    return codes


def write_labels(
    path: PathLike, labels: NDArray[Any] | Tensor, palette: Sequence[Color] = (), *, text: Mapping[str, str] = {}
) -> None:
    """Write a label map (H, W) as a PNG that `read_mask` gives back unchanged; the file appears at once.

    Labels up to 255 become a palette PNG (colours past the end of `palette` follow `voc_palette`), larger
    ones a 16-bit grey PNG. `text` is kept in the file: keyword → words, for readers of PNG files.

    Raises:
        DataError: Not a map of labels 0…65535, or the file cannot be written.
    """
    array = np.asarray(labels)
    if array.ndim != 2 or array.size == 0 or array.dtype.kind not in "iub":
        raise DataError(f"a label map is (H, W) of whole numbers, not {array.dtype} {array.shape}")
    if array.min() < 0 or array.max() > 65535:
        raise DataError(f"labels are written as 0…65535; these are {array.min()}…{array.max()}")
    if array.max() > 255:
        picture = Image.fromarray(array.astype(np.uint16))
    else:
        colors = [*palette, *voc_palette(256)[len(palette) :]]
        picture = Image.fromarray(array.astype(np.uint8))
        picture.putpalette([value for color in colors[:256] for value in color])
    about = PngInfo()
    for key, value in text.items():
        about.add_text(key, value)
    try:
        with atomic_path(path) as temporary:
            picture.save(temporary, format="PNG", pnginfo=about)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror or error}") from None


def voc_palette(n: int) -> tuple[Color, ...]:
    """The first n ≤ 256 colours of PASCAL VOC: bits 0, 1, 2 of the label go to red, green, blue, from the top."""
    colors = []
    for label in range(n):
        color = [0, 0, 0]
        for bit in range(8):
            for channel in range(3):
                color[channel] |= (label >> (3 * bit + channel) & 1) << (7 - bit)
        colors.append((color[0], color[1], color[2]))
    return tuple(colors)


def is_picture(path: Path) -> bool:
    """Whether a file name looks like a picture's; hidden files do not."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def _decode(path: PathLike, check: Callable[[Image.Image], None] | None = None) -> Image.Image:
    """Open, check, load and turn upright."""

    def decode(picture: Image.Image) -> Image.Image:
        if check is not None:
            check(picture)
        picture.load()
        ImageOps.exif_transpose(picture, in_place=True)
        return picture

    return _guard(path, decode)


def _guard(path: PathLike, use: Callable[[Image.Image], T]) -> T:
    """Open a file as a picture and use it, turning every failure into a `DataError` that names it."""
    try:
        with Image.open(path) as picture:
            return use(picture)
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise DataError(f"{path}: is a folder, not a picture") from None
    except PermissionError:
        raise DataError(f"{path}: cannot be read: permission denied") from None
    except UnidentifiedImageError:
        empty = os.path.getsize(path) == 0
        raise DataError(f"{path}: {'is an empty file' if empty else 'is not a picture that can be read'}") from None
    except Image.DecompressionBombError:
        raise DataError(
            f"{path}: is larger than Pillow's safety limit; if you trust it, raise PIL.Image.MAX_IMAGE_PIXELS"
        ) from None
    except Exception as error:  # decoders fail in any way they like on damaged files
        raise DataError(f"{path}: is damaged: {str(error) or type(error).__name__}") from None


def _eight_bits(picture: Image.Image) -> Image.Image:
    return Image.fromarray((np.clip(np.array(picture), 0, 65535) // 257).astype(np.uint8))


def _unknown_color(codes: NDArray[Any], unknown: NDArray[Any], known: int) -> str:
    def name(code: int) -> str:
        return f"({code >> 16}, {code >> 8 & 255}, {code & 255})"

    if not known:
        some = ", ".join(name(int(code)) for code in unknown[:8]) + (", …" if len(unknown) > 8 else "")
        return (
            f"is a mask in colours ({some}), and nothing says which colour is which class; list `classes` and "
            "`palette` in a data.toml in the data's folder, e.g. "
            'classes = ["sky", "road"], palette = [[128, 128, 128], [128, 64, 128]]'
        )
    row, column = np.argwhere(codes == unknown[0])[0]
    return (
        f"has colour {name(int(unknown[0]))} at row {row}, column {column}, which is none of the {known} "
        "colours it may have; add it to `palette`, or to `ignore`, in data.toml"
    )
