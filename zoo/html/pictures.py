"""Pictures inside a page."""

import base64
import io
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from zoo.config import IGNORE, Color

VOID = (198, 202, 208)
"""What a pixel without a label is painted with."""

Array = NDArray[np.uint8]


def jpeg(array: NDArray[Any], quality: int = 85, *, drawn: bool = False) -> bytes:
    """A picture (H, W, 3) as a JPEG file; of one that is `drawn`, the edges of colours are kept sharp."""
    how = {"subsampling": 0} if drawn else {}
    return _encoded(Image.fromarray(array), format="JPEG", quality=quality, optimize=True, **how)


def label_png(labels: NDArray[np.integer[Any]], palette: Sequence[Color]) -> bytes:
    """Labels (H, W) in their colours as a PNG file: small, and without the noise of JPEG.

    What is no class (`IGNORE`, or outside [0, K)) is painted in `VOID`.
    """
    strange = (labels < 0) | (labels >= len(palette)) | (labels == IGNORE)
    if len(palette) < IGNORE + 1:
        picture = Image.fromarray(np.where(strange, len(palette), labels).astype(np.uint8))
        picture.putpalette([int(value) for color in (*palette, VOID) for value in color])
    else:
        colors = np.asarray([*palette, VOID], np.uint8)
        picture = Image.fromarray(colors[np.where(strange, len(palette), labels)])
    return _encoded(picture, format="PNG", optimize=True)


def reduced(array: Array, side: int) -> Array:
    """A picture (H, W, 3) with neither side longer than `side` pixels."""
    size = _fitting(array.shape[:2], side)
    if size == array.shape[:2]:
        return array
    return np.asarray(Image.fromarray(array).resize(size[::-1], Image.Resampling.LANCZOS))


def reduced_labels(labels: NDArray[np.integer[Any]], side: int) -> NDArray[np.integer[Any]]:
    """The same for labels (H, W): the nearest pixel's."""
    height, width = _fitting(labels.shape, side)
    rows = (np.arange(height) + 0.5) * labels.shape[0] / height
    columns = (np.arange(width) + 0.5) * labels.shape[1] / width
    nearest: NDArray[np.integer[Any]] = labels[rows.astype(np.int64)[:, None], columns.astype(np.int64)]
    return nearest


def image(data: bytes, alt: str) -> str:
    """A JPEG or PNG file as an element that holds it."""
    kind = "png" if data.startswith(b"\x89PNG") else "jpeg"
    return f'<img src="data:image/{kind};base64,{base64.b64encode(data).decode()}" alt="{escape(alt)}">'


def _fitting(shape: tuple[int, ...], side: int) -> tuple[int, int]:
    height, width = shape[:2]
    ratio = min(side / max(height, width), 1)
    return max(1, round(height * ratio)), max(1, round(width * ratio))


def _encoded(picture: Image.Image, **how: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, **how)
    return buffer.getvalue()
