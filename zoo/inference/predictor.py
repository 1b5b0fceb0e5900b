"""Predicting one picture, or one after the other."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from zoo.errors import DataError
from zoo.inference.class_map import class_map
from zoo.inference.forward import answering, choose_device, logits, most_likely, refuse_nan
from zoo.inference.naming import asking_about
from zoo.inference.output_stride import at_output_stride
from zoo.inference.picture import Picture, to_tensor
from zoo.inference.prediction import Labels, Prediction
from zoo.inference.probabilities import probabilities
from zoo.inference.raster import HeldRaster
from zoo.inference.test_time import TestTime
from zoo.inference.tiled import label_bands
from zoo.inference.tiles import plan_tiles

if TYPE_CHECKING:
    from zoo.model import SegmentationModel

_PLAIN = TestTime()


def predict(
    model: "SegmentationModel",
    image: Picture,
    *,
    device: str | torch.device | None = None,
    amp: bool = False,
    test_time: TestTime = _PLAIN,
    tile: int | str | None = "auto",
    overlap: float | int | str = "auto",
    with_probabilities: bool = False,
) -> Prediction:
    """Segment one picture at its own size.

    Args:
        model: Left in the mode it is in.
        image: A path, a PIL image, an array (H, W) or (H, W, C), or a tensor (C, H, W) or (1, C, H, W); arrays and
            tensors hold uint8, uint16, or floats in 0…1, and are not normalised: that is done here.
        device: Where to compute (``"auto"``: on an accelerator if there is one); the model moves there
            and stays. None: where it is.
        amp: Compute in bfloat16.
        test_time: How the model is asked: at several scales, mirrored, in windows, at another output stride.
        tile: Side of the tiles in pixels that a large picture is cut into; ``"auto"``: 1024 for pictures of more than
            2048² pixels; None: never.
        overlap: Of tiles, see `zoo.inference.tiles.plan_tiles`.
        with_probabilities: Keep them in the prediction. They take K floats per pixel: not for what is tiled.

    Raises:
        DataError: The picture cannot be read or understood, or is too large for the device's memory, or for
            probabilities.
        ZooError: The device is not available, or the model answers with NaN, or cannot have the output stride.
    """
    model = placed(model, device, test_time)
    picture = to_tensor(image, model.config.in_channels)
    size = (picture.shape[1], picture.shape[2])
    tiling = plan_tiles(model, size, tile, overlap, test_time)
    path = os.fspath(image) if isinstance(image, str | os.PathLike) else None
    name = path or "the picture"
    labels: torch.Tensor | Labels
    found: torch.Tensor | None = None
    if tiling is not None and with_probabilities:
        raise DataError(
            f"{name}: probabilities are kept of pictures in one piece only, and {size[1]}×{size[0]} is tiled"
        )
    try:
        with asking_about([path], size), answering(model):
            if tiling is not None:
                bands = label_bands(model, HeldRaster(picture), tiling, test_time, amp=amp)
                labels = np.concatenate([band.labels for band in bands])
            elif test_time.plain and not with_probabilities:
                classes, broken = class_map(model, picture[None], amp=amp)
                refuse_nan(broken)
                labels = classes[0]
            else:
                labels, found = _both(model, picture, test_time, amp)
    except torch.OutOfMemoryError:
        raise DataError(
            f"{name}: {size[1]}×{size[0]} pixels do not fit into the device's memory; "
            f"make {'the tiles smaller (tile=512)' if tiling else 'it smaller, or cut it into tiles (tile=1024)'}"
        ) from None
    return Prediction.of(labels, picture, model.config, found if with_probabilities else None)


def _both(
    model: "SegmentationModel", picture: torch.Tensor, test_time: TestTime, amp: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Labels (H, W) and probabilities (K, H, W)."""
    if not test_time.plain:
        found = probabilities(model, picture[None], test_time, amp=amp)
        return most_likely(found)[0], found[0]
    scores = logits(model, picture[None], amp=amp)  # of two that are nearly sure, rounding makes both 1
    return most_likely(scores)[0], scores[0].float().softmax(0)


def predict_all(
    model: "SegmentationModel",
    images: Sequence[Picture],
    *,
    device: str | torch.device | None = None,
    amp: bool = False,
    test_time: TestTime = _PLAIN,
    tile: int | str | None = "auto",
    overlap: float | int | str = "auto",
    with_probabilities: bool = False,
) -> list[Prediction]:
    """Segment pictures one by one, each at its own size; arguments and errors as for `predict`."""
    model = placed(model, device, test_time)
    return [
        predict(
            model,
            image,
            amp=amp,
            test_time=test_time,
            tile=tile,
            overlap=overlap,
            with_probabilities=with_probabilities,
        )
        for image in images
    ]


def placed(
    model: "SegmentationModel", device: str | torch.device | None, test_time: TestTime = _PLAIN
) -> "SegmentationModel":
    """The model on a device (None: where it is) and at the output stride that is asked for."""
    if device is not None:
        model.to(choose_device(device))
    return model if test_time.output_stride is None else at_output_stride(model, test_time.output_stride)
