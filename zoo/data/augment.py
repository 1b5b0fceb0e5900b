"""Augmentations by name, one after the other.

In a recipe::

    data.augment = [
        { name = "scale", range = [0.5, 2.0] },
        { name = "rotate", degrees = 10 },
        { name = "crop", size = [320, 320] },
        { name = "mirror" },
        { name = "colour", brightness = 0.3, contrast = 0.3, saturation = 0.3, hue = 0.02 },
        { name = "blur", sigma = [0.1, 2.0], p = 0.5 },
    ]

Each changes picture and mask together, and never makes up a label: masks are sampled to the nearest pixel, and what no
picture covers is 255. All draw from torch's default generator, which `zoo.data.loader` sets by (seed, epoch, sample).

An augmentation of one's own is any transform of torchvision's v2 that does likewise: a plugin's ``[[transform]]``,
named as ``"acme/fog"``; given a name by `augmentation`; or named as ``"package.module:Class"``.
"""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, TypeVar

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional as F

from zoo.data.transforms import RandomScaleCrop, Scale, ShortSide, Warp, filling, recoloured
from zoo.errors import OptionError, did_you_mean
from zoo.registry import registry

Factory = Callable[..., v2.Transform]
T = TypeVar("T", bound=Factory)

AUGMENTATIONS: dict[str, Factory] = {}
"""Name → what makes the transform of its options."""


def augmentation(name: str) -> Callable[[T], T]:
    """Give an augmentation a name: ``@augmentation("noise")`` above a transform or a function that makes one.

    Raises:
        OptionError: Another one has the name.
    """

    def put(factory: T) -> T:
        other = AUGMENTATIONS.get(name)
        if other is not None and (other.__module__, other.__qualname__) != (factory.__module__, factory.__qualname__):
            raise OptionError(f"augmentation {name!r} is {other.__module__}.{other.__qualname__} already")
        AUGMENTATIONS[name] = factory
        return factory

    return put


def augment_transform(entries: Sequence[Mapping[str, Any]], crop: tuple[int, int] | None = None) -> v2.Transform:
    """The transform of a list of augmentations; called as ``transform(sample)``.

    Args:
        entries: Each a name and options. A ``crop`` that directly follows ``scale`` or ``resize`` is one resampling
            with it.
        crop: (h, w) for a ``crop`` without a size; where the list has no ``crop``, it comes last with this size.

    Raises:
        OptionError: An unknown name or option, or a value that makes no sense; says which entry.
    """
    steps: list[v2.Transform] = []
    named = [*entries]
    if crop is not None and all(entry.get("name") != "crop" for entry in named):
        named.append({"name": "crop"})
    for place, entry in enumerate(named):
        where = f"data.augment.{place}"
        options = {key: value for key, value in entry.items() if key != "name"}
        name = entry.get("name")
        if not isinstance(name, str):
            raise OptionError(f"{where}: name is missing; one of {', '.join(AUGMENTATIONS)}")
        if name == "crop" and "size" not in options:
            if crop is None:
                raise OptionError(f"{where}: crop needs a size = [height, width], here or as data.crop")
            options["size"] = crop
        step = _made(name, options, f"{where} ({name})")
        before = steps[-1] if steps else None
        if name == "crop" and type(before) is RandomScaleCrop and before.crop is None:
            steps[-1] = RandomScaleCrop(step.crop, before.scale, step.fill)
        else:
            steps.append(step)
    return v2.Compose(steps) if steps else v2.Identity()


def _made(name: str, options: Mapping[str, Any], where: str) -> v2.Transform:
    factory = AUGMENTATIONS.get(name) or _registered(name) or _imported(name, where)
    known = _options_of(factory)
    if known and not any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
        for key in options:
            if key not in known:
                has = ", ".join(known)
                raise OptionError(f"{where}: unknown option {key!r}.{did_you_mean(key, known)} It has: {has}")
    try:
        made = factory(**options)
    except (TypeError, ValueError) as error:  # OptionError is a TypeError
        raise OptionError(f"{where}: {error}") from None
    if not isinstance(made, v2.Transform):
        raise OptionError(f"{where}: made a {type(made).__name__}, no transform of torchvision's v2")
    return made


def _options_of(factory: Factory) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(factory).parameters
    except ValueError:  # what is written in C may not tell
        return {}


def _registered(name: str) -> Factory | None:
    spec = registry().lookup("transform", name)
    factory: Factory | None = None if spec is None else spec.load()
    return factory


def _imported(name: str, where: str) -> Factory:
    module, colon, attribute = name.partition(":")
    if not colon:
        known = dict.fromkeys([*AUGMENTATIONS, *(spec.name for spec in registry().find("transform"))])
        raise OptionError(
            f"{where}: there is no such augmentation.{did_you_mean(name, known)} There are "
            f"{', '.join(known)}; one of your own is package.module:Class"
        )
    try:
        factory: Factory = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise OptionError(f"{where}: cannot be imported: {error}") from None
    return factory


def _range(value: Any, what: str) -> tuple[float, float]:
    low, high = (value, value) if isinstance(value, (int, float)) else value if len(value) == 2 else (1, 0)
    if not 0 < low <= high < math.inf:
        raise OptionError(f"{what} is {value!r}; [low, high] with 0 < low ≤ high is expected")
    return low, high


def _size(value: Any) -> tuple[int, int]:
    both = (value, value) if isinstance(value, int) else tuple(value) if isinstance(value, (list, tuple)) else ()
    if len(both) != 2 or not all(isinstance(side, int) and side >= 1 for side in both):
        raise OptionError(f"size is {value!r}; [height, width], or one number for both, is expected")
    return both


def _color(value: Any) -> tuple[float, ...] | None:
    if value == "mean":
        return None
    if value == 0:
        return (0.0, 0.0, 0.0)
    if isinstance(value, (list, tuple)) and value and all(0 <= part <= 255 for part in value):
        return tuple(value)
    raise OptionError(f'fill is {value!r}; "mean", 0 or a colour [red, green, blue], each 0…255, is expected')


def _within(value: float, what: str, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise OptionError(f"{what} is {value!r}; {low:g}…{high:g} is expected")
    return float(value)


@augmentation("scale")
def scale(range: Sequence[float] = (0.5, 2.0), even: bool = False, step: float | None = None) -> RandomScaleCrop:
    """A random factor out of a range, drawn evenly in its logarithm; `even`: in itself; `step`: only in such steps."""
    low, high = _range(range, "range")
    if step is not None and not step > 0:
        raise OptionError(f"step is {step!r}; a number above 0 is expected")
    return RandomScaleCrop(None, Scale(float(low), float(high), bool(even), step))


@augmentation("resize")
def resize(size: Any = None, short: Any = None) -> RandomScaleCrop:
    """To one `size` [height, width], or so that the shorter side is `short`, a number or a range to draw from."""
    if (size is None) == (short is None):
        raise OptionError("give size = [height, width], or short = a length or a range of it")
    if size is not None:
        return RandomScaleCrop(None, Warp(*_size(size)))
    low, high = map(round, _range(short, "short"))
    if low < 1:
        raise OptionError(f"short is {short!r}; at least 1 pixel is expected")
    return RandomScaleCrop(None, ShortSide(low, high))


@augmentation("crop")
def crop(size: Any, fill: Any = "mean") -> RandomScaleCrop:
    """A random window [height, width]; what the picture does not cover gets the `fill`, and the label 255."""
    return RandomScaleCrop(_size(size), fill=_color(fill))


@augmentation("mirror")
def mirror(p: float = 0.5, vertical: float = 0.0) -> v2.Transform:
    """Left for right with probability `p`, top for bottom with probability `vertical`."""
    flips = [v2.RandomHorizontalFlip(_within(p, "p", 0, 1))]
    return v2.Compose([*flips, v2.RandomVerticalFlip(_within(vertical, "vertical", 0, 1))]) if vertical else flips[0]


@augmentation("rotate")
class Rotate(v2.Transform):  # type: ignore[misc]  # torchvision has no types
    """Turn by a random angle within ± `degrees` about the middle, with probability `p`; the size stays."""

    def __init__(self, degrees: float = 10.0, p: float = 1.0, fill: Any = "mean") -> None:
        super().__init__()
        self.degrees, self.p = _within(degrees, "degrees", 0, 180), _within(p, "p", 0, 1)
        self.fill = _color(fill)

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        chance, place = torch.rand(2, dtype=torch.float64).tolist()
        return {"angle": self.degrees * (2 * place - 1) if chance < self.p else 0.0}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        if not params["angle"] or not isinstance(inpt, tv_tensors.TVTensor):
            return inpt
        return F.rotate(inpt, params["angle"], interpolation=InterpolationMode.BILINEAR, fill=filling(inpt, self.fill))


@augmentation("colour")
class Colour(v2.Transform):  # type: ignore[misc]
    """Multiply brightness, contrast and saturation by 1 ± their strengths, and turn the hue by ± `hue` of a circle.

    With probability `p`. A fourth and further channels change in brightness and contrast only.
    """

    def __init__(
        self,
        brightness: float = 0.2,
        contrast: float = 0.2,
        saturation: float = 0.2,
        hue: float = 0.0,
        p: float = 1.0,
    ) -> None:
        super().__init__()
        strengths = {"brightness": brightness, "contrast": contrast, "saturation": saturation}
        self.strengths = {name: _within(value, name, 0, 1) for name, value in strengths.items()}
        self.hue, self.p = _within(hue, "hue", 0, 0.5), _within(p, "p", 0, 1)

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        chance, turn, *draws = torch.rand(5, dtype=torch.float64).tolist()
        factors = {
            name: 1 + value * (2 * draw - 1) for draw, (name, value) in zip(draws, self.strengths.items(), strict=True)
        }
        return {"factors": factors if chance < self.p else None, "hue": self.hue * (2 * turn - 1)}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        if params["factors"] is None or not isinstance(inpt, tv_tensors.Image):
            return inpt
        picture = recoloured(inpt, **params["factors"])
        if params["hue"] and len(picture) >= 3:
            plain = picture.as_subclass(Tensor)
            turned = F.adjust_hue(plain[:3], params["hue"])
            picture = tv_tensors.wrap(torch.cat([turned, plain[3:]]), like=picture)
        return picture


@augmentation("blur")
class Blur(v2.Transform):  # type: ignore[misc]
    """Blur the picture, not the mask, by a Gaussian of random width out of `sigma` (pixels), with probability `p`."""

    def __init__(self, sigma: Any = (0.1, 2.0), p: float = 0.5) -> None:
        super().__init__()
        self.sigma, self.p = _range(sigma, "sigma"), _within(p, "p", 0, 1)

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        chance, place = torch.rand(2, dtype=torch.float64).tolist()
        low, high = self.sigma
        return {"sigma": low + place * (high - low) if chance < self.p else 0.0}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        if not params["sigma"] or not isinstance(inpt, tv_tensors.Image):
            return inpt
        reach = min(math.ceil(3 * params["sigma"]), min(inpt.shape[-2:]) - 1)  # it is mirrored at the border
        return F.gaussian_blur(inpt, [2 * reach + 1] * 2, [params["sigma"]] * 2) if reach else inpt
