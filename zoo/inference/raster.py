"""Pictures of which parts can be had."""

import os
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from zoo.data.images import read_image
from zoo.data.tiff import TiffPicture
from zoo.errors import DataError
from zoo.inference.picture import to_channels


class Raster(Protocol):
    """A picture of `size` (H, W), uint8 or floating point in 0…1, whose parts are read on their own."""

    size: tuple[int, int]

    def read(self, top: int, bottom: int, left: int, right: int) -> Tensor:
        """Rows `top` … `bottom`, columns `left` … `right`: (C, h, w)."""
        ...


class HeldRaster:
    """A picture (C, H, W) in memory."""

    def __init__(self, picture: Tensor) -> None:
        self.picture = picture
        self.size = (picture.shape[1], picture.shape[2])

    def read(self, top: int, bottom: int, left: int, right: int) -> Tensor:
        return self.picture[:, top:bottom, left:right]


class TiffRaster:
    """A TIFF file, with the channels that a model takes."""

    def __init__(self, picture: TiffPicture, channels: int) -> None:
        self._picture, self._channels = picture, channels
        self.size = picture.shape[:2]

    def read(self, top: int, bottom: int, left: int, right: int) -> Tensor:
        array = self._picture.read(top, bottom, left, right)
        if array.shape[2] == 2:
            array = array[:, :, :1]  # grey with alpha
        return to_channels(torch.from_numpy(np.ascontiguousarray(array)).permute(2, 0, 1), self._channels)


def open_raster(path: str | os.PathLike[str], channels: int) -> Raster:
    """Open a picture file: TIFF in parts where it can be, anything else as a whole.

    Args:
        path: The file.
        channels: 1, 3 or 4, as for `zoo.data.images.read_image`.

    Raises:
        DataError: It cannot be read. Of a TIFF that can be read in neither way, both reasons.
    """
    if os.fspath(path).lower().endswith((".tif", ".tiff")):
        try:
            return TiffRaster(TiffPicture(path), channels)
        except DataError as odd:
            try:
                return HeldRaster(read_image(path, channels))
            except DataError as error:
                if "safety limit" in str(error):
                    raise odd from None
                raise
    return HeldRaster(read_image(path, channels))
