"""Joint augmentation of a picture and its mask, as transforms of torchvision's v2.

Every transform draws from torch's default generator only, so that `zoo.data.loader` can make it a function
of seed, epoch and sample.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2
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


@dataclass(frozen=True, slots=True)
class Scale:
    """A random factor, the same in height and width.

    Attributes:
        low: Its least.
        high: Its greatest.
        even: Drawn evenly in itself rather than in its logarithm.
        step: Where given, only low, low + step, low + 2 step, … are drawn.
    """

    low: float
    high: float
    even: bool = False
    step: float | None = None

    def __call__(self, draw: float, height: int, width: int) -> tuple[float, float]:
        """The factors of height and width for a number 0 ≤ draw < 1."""
        if self.step is not None:
            factor = self.low + int(draw * (int((self.high - self.low) / self.step + 1e-6) + 1)) * self.step
        elif self.even:
            factor = self.low + draw * (self.high - self.low)
        else:
            factor = self.low * (self.high / self.low) ** draw
        return factor, factor


@dataclass(frozen=True, slots=True)
class ShortSide:
    """Scaling that gives the shorter side a random whole length low…high."""

    low: int
    high: int

    def __call__(self, draw: float, height: int, width: int) -> tuple[float, float]:
        """The factors of height and width for a number 0 ≤ draw < 1."""
        factor = (self.low + int(draw * (self.high - self.low + 1))) / min(height, width)
        return factor, factor


@dataclass(frozen=True, slots=True)
class Warp:
    """Scaling to one size, whatever the picture's proportions."""

    height: int
    width: int

    def __call__(self, draw: float, height: int, width: int) -> tuple[float, float]:
        """The factors of height and width."""
        return self.height / height, self.width / width


class RandomScaleCrop(v2.Transform):  # type: ignore[misc]  # torchvision has no types
    """Scale by a random factor and cut a random window, in one resampling of no more than the window.

    Where the scaled picture is smaller than the window it is placed at random in it; the rest is filled, in the mask
    with 255.

    Args:
        crop: (h, w) of the window; None for the whole scaled picture.
        scale: Range of the factor, drawn evenly in its logarithm; or another rule.
        fill: Colour of padding; None for ImageNet's mean.
    """

    def __init__(
        self,
        crop: tuple[int, int] | None,
        scale: tuple[float, float] | Callable[[float, int, int], tuple[float, float]] = (1.0, 1.0),
        fill: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.crop = (int(crop[0]), int(crop[1])) if crop is not None else None
        self.scale = scale if callable(scale) else Scale(float(scale[0]), float(scale[1]))
        self.fill = fill

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        height, width = F.get_size(next(item for item in flat_inputs if isinstance(item, tv_tensors.TVTensor)))
        draw, *places = torch.rand(5, dtype=torch.float64).tolist()
        by_height, by_width = self.scale(draw, height, width)
        rows, columns = self.crop or (max(round(height * by_height), 1), max(round(width * by_width), 1))
        top, source_h, above, target_h = _window(height, rows, by_height, places[0], places[1])
        left, source_w, before, target_w = _window(width, columns, by_width, places[2], places[3])
        return {
            "source": [top, left, source_h, source_w],
            "target": [target_h, target_w],
            "padding": [before, above, columns - target_w - before, rows - target_h - above],
        }

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        top, left, height, width = params["source"]
        part = inpt.as_subclass(Tensor)[..., top : top + height, left : left + width]
        if params["target"] != [height, width]:
            nearest = isinstance(inpt, tv_tensors.Mask)
            part = _nearest(part, params["target"]) if nearest else F.resize_image(part, params["target"])
        if any(params["padding"]):
            part = _framed(part, params["padding"], filling(inpt, self.fill))
        return tv_tensors.wrap(part.to(inpt.dtype), like=inpt)


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
        return recoloured(inpt, **params) if isinstance(inpt, tv_tensors.Image) else inpt


def recoloured(image: tv_tensors.Image, brightness: float, contrast: float, saturation: float) -> tv_tensors.Image:
    """A uint8 picture (C, H, W) with its brightness, contrast and saturation multiplied by factors.

    Saturation is the distance from the mean of a pixel's colours, which it leaves as it is; contrast the distance from
    the mean of the picture.
    """
    picture = image.as_subclass(Tensor).float()
    gain = brightness * contrast
    offset = brightness * (1 - contrast) * float(picture.mean()) + 0.5  # what is cut off in the end is then rounded
    colors = 3 if len(picture) >= 3 else 0
    if colors:
        red, green, blue = picture[:3]
        grey = (red + green).add_(blue).mul_(gain * (1 - saturation) / 3).add_(offset)
        picture[:3].mul_(gain * saturation).add_(grey)
    picture[colors:].mul_(gain).add_(offset)
    levels = picture.clamp_(0, 255).numpy().astype(np.uint8)  # three times as fast as torch
    changed: tv_tensors.Image = tv_tensors.wrap(torch.from_numpy(levels), like=image)
    return changed


def _window(size: int, window: int, factor: float, place: float, pad_place: float) -> tuple[int, int, int, int]:
    """Along one axis: start and length of the source window, padding before it, and its length in the result."""
    length = min(size, max(round(window / factor), 1))
    target = window if length < size else min(window, max(round(size * factor), 1))
    start = int(place * (size - length + 1))
    before = int(pad_place * (window - target + 1))
    return start, length, before, target


def _nearest(mask: Tensor, size: Sequence[int]) -> Tensor:
    """Labels (uint8) at the pixel centres of the new grid; plain "nearest" would be half a pixel off the picture's.

    As torch's "nearest-exact", which takes three times as long.
    """
    rows, columns = (
        ((np.arange(new, dtype=np.float32) + np.float32(0.5)) * np.float32(old / new)).astype(np.intp).clip(max=old - 1)
        for old, new in zip(mask.shape, size, strict=True)
    )
    return torch.from_numpy(mask.to(torch.uint8).numpy().take(rows, 0).take(columns, 1))


def _framed(part: Tensor, padding: Sequence[int], fill: float | list[float]) -> Tensor:
    """The picture or mask with `padding` (left, top, right, bottom) of one colour around it."""
    left, top, right, bottom = padding
    height, width = part.shape[-2:]
    whole = part.new_empty((*part.shape[:-2], top + height + bottom, left + width + right))
    if isinstance(fill, float):
        whole.fill_(fill)
    else:
        for channel, value in enumerate(fill):
            whole[..., channel, :, :] = value
    whole[..., top : top + height, left : left + width] = part
    return whole


def filling(item: Tensor, color: Sequence[float] | None = None) -> float | list[float]:
    """What fills the parts that no picture covers: 255 in a mask, `color` in a picture.

    Without a colour it is ImageNet's mean, which normalises to about 0; for other than three channels its average.
    """
    if isinstance(item, tv_tensors.Mask):
        return float(IGNORE)
    channels = item.shape[-3]
    values = [255 * value for value in IMAGENET_MEAN] if color is None else [float(value) for value in color]
    if len(values) != channels:
        values = [sum(values) / len(values)] * channels
    return [float(round(value)) for value in values]
