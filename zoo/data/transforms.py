"""Joint augmentation of a picture and its mask, as transforms of torchvision's v2.

Every transform draws from torch's default generator only, so that `zoo.data.loader` can make it a function
of seed, epoch and sample.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional as F

from zoo.config import IGNORE, IMAGENET_MEAN
from zoo.errors import DataError


def train_transform(
    crop: tuple[int, int] | None = None,
    scale: tuple[float, float] = (1.0, 1.0),
    flip: float = 0.5,
    jitter: float = 0.0,
) -> v2.Transform:
    """The augmentation of training: scale and crop, mirror, jitter; called as ``transform(sample)``.

    Args:
        crop: (h, w) of the result, padded where the scaled picture is smaller; None keeps pictures whole.
        scale: Range of the random scale factor, drawn evenly in its logarithm.
        flip: Probability of mirroring left and right.
        jitter: Strength of brightness, contrast and saturation changes: each factor is in 1 ± jitter.

    Raises:
        DataError: A size, range or probability that makes no sense.
    """
    if crop is not None and (len(crop) != 2 or min(crop) < 1):
        raise DataError(f"crop is {crop}; (height, width) of at least 1 each, or none, is expected")
    if len(scale) != 2 or not 0 < scale[0] <= scale[1]:
        raise DataError(f"scale is {tuple(scale)}; a range (low, high) with 0 < low ≤ high is expected")
    if not 0 <= flip <= 1:
        raise DataError(f"flip is {flip}; a probability 0…1 is expected")
    if not 0 <= jitter < 1:
        raise DataError(f"jitter is {jitter}; 0 ≤ jitter < 1 is expected")
    steps: list[v2.Transform] = []
    if crop is not None or tuple(scale) != (1, 1):
        steps.append(RandomScaleCrop(crop, scale))
    if flip:
        steps.append(v2.RandomHorizontalFlip(flip))
    if jitter:
        steps.append(Jitter(jitter))
    return v2.Compose(steps) if steps else v2.Identity()


class RandomScaleCrop(v2.Transform):  # type: ignore[misc]  # torchvision has no types
    """Scale by a random factor and cut a random window, in one resampling of no more than the window.

    Where the scaled picture is smaller than the window it is placed at random in it; the rest is filled with
    ImageNet's mean colour, and 255 in the mask.

    Args:
        crop: (h, w) of the window; None for the whole scaled picture.
        scale: Range of the factor, drawn evenly in its logarithm.
    """

    def __init__(self, crop: tuple[int, int] | None, scale: tuple[float, float]) -> None:
        super().__init__()
        self.crop = (int(crop[0]), int(crop[1])) if crop is not None else None
        self.scale = (float(scale[0]), float(scale[1]))

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        height, width = F.get_size(next(item for item in flat_inputs if isinstance(item, tv_tensors.TVTensor)))
        low, high = self.scale
        draw, *places = torch.rand(5, dtype=torch.float64).tolist()
        factor = low * (high / low) ** draw
        rows, columns = self.crop or (max(round(height * factor), 1), max(round(width * factor), 1))
        top, source_h, above, target_h = _window(height, rows, factor, places[0], places[1])
        left, source_w, before, target_w = _window(width, columns, factor, places[2], places[3])
        return {
            "source": [top, left, source_h, source_w],
            "target": [target_h, target_w],
            "padding": [before, above, columns - target_w - before, rows - target_h - above],
        }

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        part = F.crop(inpt, *params["source"])
        if params["target"] != params["source"][2:]:
            if isinstance(part, tv_tensors.Mask):
                part = tv_tensors.wrap(_nearest(part, params["target"]), like=part)
            else:
                part = F.resize(part, params["target"], antialias=True)
        if any(params["padding"]):
            part = F.pad(part, params["padding"], fill=IGNORE if isinstance(part, tv_tensors.Mask) else _fill(part))
        return part


class Jitter(v2.Transform):  # type: ignore[misc]
    """Change brightness, contrast and saturation of a picture with any number of channels by 1 ± `strength`.

    Saturation is that of the first three channels; a fourth and further ones change in brightness and
    contrast only. The mask is left alone.
    """

    def __init__(self, strength: float) -> None:
        super().__init__()
        self.strength = float(strength)

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        factors = 1 + self.strength * (2 * torch.rand(3, dtype=torch.float64) - 1)
        return dict(zip(("brightness", "contrast", "saturation"), factors.tolist(), strict=True))

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        if not isinstance(inpt, tv_tensors.Image):
            return inpt
        picture = inpt.as_subclass(Tensor).float()
        color = picture[:3]
        if len(color) == 3:
            grey = color.mean(dim=0, keepdim=True)
            color.sub_(grey).mul_(params["saturation"]).add_(grey)
        middle = picture.mean(dim=(1, 2), keepdim=True).mean()
        picture.sub_(middle).mul_(params["contrast"]).add_(middle).mul_(params["brightness"])
        return tv_tensors.wrap(picture.round_().clamp_(0, 255).to(torch.uint8), like=inpt)


def _window(size: int, window: int, factor: float, place: float, pad_place: float) -> tuple[int, int, int, int]:
    """Along one axis: start and length of the source window, padding before it, and its length in the result."""
    length = min(size, max(round(window / factor), 1))
    target = window if length < size else min(window, max(round(size * factor), 1))
    start = int(place * (size - length + 1))
    before = int(pad_place * (window - target + 1))
    return start, length, before, target


def _nearest(mask: Tensor, size: Sequence[int]) -> Tensor:
    """Labels at the pixel centres of the new grid; plain "nearest" is half a pixel off the picture's sampling."""
    plain = mask.as_subclass(Tensor).to(torch.uint8)[None]
    scaled: Tensor = F.resize(plain, list(size), interpolation=InterpolationMode.NEAREST_EXACT)
    return scaled[0].to(mask.dtype)


def _fill(image: Tensor) -> list[float]:
    """The colour of padding: ImageNet's mean, which normalises to about 0; its average for other channels."""
    mean = IMAGENET_MEAN if image.shape[-3] == 3 else [sum(IMAGENET_MEAN) / 3] * image.shape[-3]
    return [float(round(255 * value)) for value in mean]
