"""Object proposals by selective search (Uijlings et al., IJCV 2013), as OpenCV's contributed modules have it."""

from typing import Any

import numpy as np
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from zoo.data.objects import Box
from zoo.errors import DataError

LONGEST = 250
"""The longer side, in pixels, at which a picture is searched: the time grows with its area, the boxes hardly change."""


def selective_search(image: Tensor) -> list[Box]:
    """Boxes that may hold an object, in a fixed order and each once.

    Args:
        image: uint8 (C, H, W); grey, or the first three channels are RGB.

    Raises:
        DataError: OpenCV is not installed, or without its contributed modules.
    """
    segmentation = require_selective_search()
    height, width = image.shape[-2:]
    factor = min(LONGEST / max(height, width), 1.0)
    rows, columns = max(round(height * factor), 1), max(round(width * factor), 1)
    small = F.resize(image, [rows, columns], antialias=True)
    color = small[:3] if len(small) >= 3 else small[:1].expand(3, -1, -1)
    search = segmentation.createSelectiveSearchSegmentation()
    search.setBaseImage(np.ascontiguousarray(color.flip(0).permute(1, 2, 0).numpy()))  # blue first
    search.switchToSelectiveSearchFast()
    found = {
        Box(
            int(top * height / rows),
            int(left * width / columns),
            min(-(-(top + tall) * height // rows), height),
            min(-(-(left + wide) * width // columns), width),
        )
        for left, top, wide, tall in search.process().tolist()
    }
    return sorted(found)


def require_selective_search() -> Any:
    """The module of OpenCV that has it; raises `DataError` saying what to install."""
    try:
        from cv2.ximgproc import segmentation

        segmentation.createSelectiveSearchSegmentation  # noqa: B018  (a build may lack it)
    except (ImportError, AttributeError):
        raise DataError(
            "selective search needs OpenCV with its contributed modules: pip install 'zoo-segmentation[proposals]', or "
            'take data.proposals = "windows", which needs nothing'
        ) from None
    return segmentation
