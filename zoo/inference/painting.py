"""Drawing labels over a photograph."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zoo.config import Color

_LINE = 1 / 400  # width of an outline, relative to the shorter side


def paint(
    photo: NDArray[np.uint8], labels: NDArray[np.integer[Any]], palette: Sequence[Color], alpha: float = 0.5
) -> NDArray[np.uint8]:
    """Blend the colours of the classes over a photograph and outline the regions in the same hue at full brightness.

    A class whose colour is black is left unpainted: palettes give black to the background.

    Args:
        photo: (H, W, 3).
        labels: (H, W), values in [0, K).
        palette: K colours.
        alpha: 0 shows the photograph alone, 1 the colours alone.

    Returns:
        (H, W, 3).
    """
    colors = np.asarray(palette, dtype=np.uint8)
    painted: NDArray[np.bool_] = colors.astype(np.bool_).max(axis=1)
    # Per class, in 1/256: how much colour is laid on, and how much of the photo stays.
    strength = np.where(painted, round(alpha * 256), 0).astype(np.uint16)
    tint = colors.astype(np.uint16) * strength[:, None] + 128
    kept = (256 - strength)[:, None]
    blended: NDArray[np.uint8] = ((photo * kept[labels] + tint[labels]) >> 8).astype(np.uint8)
    if alpha > 0:
        lines = outlines(labels, max(1, round(min(labels.shape) * _LINE))) & painted[labels]
        bright = colors.astype(np.float32) * (255 / np.maximum(colors.max(axis=1, keepdims=True), 1))
        blended[lines] = bright.round().astype(np.uint8)[labels[lines]]
    return blended


def outlines(labels: NDArray[np.integer[Any]], width: int = 1) -> NDArray[np.bool_]:
    """Return where a region ends: (H, W), true for pixels less than `width` from a pixel of another label."""
    edge = np.zeros(labels.shape, dtype=bool)
    for distance in range(1, width + 1):
        across = labels[:, distance:] != labels[:, :-distance]
        edge[:, distance:] |= across
        edge[:, :-distance] |= across
        down = labels[distance:] != labels[:-distance]
        edge[distance:] |= down
        edge[:-distance] |= down
    return edge


def photograph(picture: Tensor) -> NDArray[np.uint8]:
    """Turn a model's picture (C, H, W), uint8 or float in 0…1, into something to look at: (H, W, 3).

    RGB and grey are shown as they are, alpha is dropped, of more channels the first three are shown.
    """
    shown = picture[:3] if picture.shape[0] >= 3 else picture[:1].expand(3, -1, -1)
    if shown.is_floating_point():
        shown = shown.clamp(0, 1).mul(255).round()
    array: NDArray[np.uint8] = shown.to("cpu", torch.uint8).permute(1, 2, 0).contiguous().numpy()
    return array
