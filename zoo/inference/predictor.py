"""Predicting one picture."""

import os
from typing import TYPE_CHECKING

import torch

from zoo.errors import DataError
from zoo.inference.forward import answering, logits, most_likely
from zoo.inference.picture import Picture, to_tensor
from zoo.inference.prediction import Prediction

if TYPE_CHECKING:
    from zoo.model import SegmentationModel


def predict(
    model: "SegmentationModel",
    image: Picture,
    *,
    device: str | torch.device | None = None,
    amp: bool = False,
) -> Prediction:
    """Segment one picture at its own size.

    Args:
        model: Left in the mode it is in.
        image: A path, a PIL image, an array (H, W) or (H, W, C), or a tensor (C, H, W) or (1, C, H, W); arrays and
            tensors hold uint8, uint16, or floats in 0…1, and are not normalised: that is done here.
        device: Where to compute (``"auto"``: on an accelerator if there is one); the model moves there
            and stays. None: where it is.
        amp: Compute in bfloat16.

    Raises:
        DataError: The picture cannot be read or understood, or is too large for the device's memory.
        ZooError: The device is not available, or the model answers with NaN.
    """
    picture = to_tensor(image, model.config.in_channels)
    try:
        with answering(model, device):
            labels = most_likely(logits(model, picture[None], amp=amp))[0]
    except torch.OutOfMemoryError:
        name = image if isinstance(image, str | os.PathLike) else "the picture"
        height, width = picture.shape[1:]
        size = f"{width}×{height} pixels"
        raise DataError(f"{name}: {size} do not fit into the device's memory; make it smaller") from None
    return Prediction.of(labels, picture, model.config)
