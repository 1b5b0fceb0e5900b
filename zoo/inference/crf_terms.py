"""What a dense CRF's energy is made of: pairwise terms, their features and weights, and the published sets of them."""

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor

from zoo.errors import UnknownNameError, ZooError, did_you_mean

Normalization = Literal["symmetric", "before", "after", "none"]
NORMALIZATIONS: tuple[str, ...] = get_args(Normalization)
Compatibility: TypeAlias = float | Tensor
"""How labels get on: a number w (Potts: equal labels attract with weight w), or costs that are added to the energy:
a (K,) vector for equal labels (Potts w is −w for every label) or a (K, K) matrix for every pair, made symmetric."""


@dataclass(frozen=True, eq=False)
class Gaussian:
    """Pixels near each other: features x / sxy, y / sxy.

    Attributes:
        sxy: Standard deviation in pixels; a pair is (across, down).
        compat: See `Compatibility`.
        normalization: With n the kernel's sum at each pixel, the kernel is multiplied by 1/√n on both sides
            ("symmetric"), by 1/n where a pixel gives ("before") or receives ("after"), or left as it is ("none").
    """

    sxy: float | tuple[float, float]
    compat: Compatibility
    normalization: Normalization = "symmetric"


@dataclass(frozen=True, eq=False)
class Bilateral:
    """Pixels near each other and of like colours: features x / sxy, y / sxy, red / srgb, green / srgb, blue / srgb.

    Attributes:
        sxy: Standard deviation in pixels; a pair is (across, down).
        srgb: Standard deviation of the colours, which are 0 to 255; a triple is (red, green, blue).
        compat: See `Compatibility`.
        normalization: As for `Gaussian`.
    """

    sxy: float | tuple[float, float]
    srgb: float | tuple[float, float, float]
    compat: Compatibility
    normalization: Normalization = "symmetric"


@dataclass(frozen=True, eq=False)
class Features:
    """Pixels of like features, whatever they are: depth, thermal channels, embeddings.

    Attributes:
        features: (D, H, W) floating point, each already divided by its standard deviation.
        compat: See `Compatibility`.
        normalization: As for `Gaussian`.
    """

    features: Tensor
    compat: Compatibility
    normalization: Normalization = "symmetric"


Term: TypeAlias = Gaussian | Bilateral | Features


@dataclass(frozen=True)
class Preset:
    """A published set of parameters."""

    terms: tuple[Term, ...]
    iterations: int
    source: str

    @classmethod
    def of(
        cls,
        gaussian: tuple[float, float],
        bilateral: tuple[float, float, float],
        normalization: Normalization,
        source: str,
        iterations: int = 10,
    ) -> "Preset":
        """A Gaussian term of (sxy, weight) and a bilateral one of (sxy, srgb, weight)."""
        terms = (Gaussian(*gaussian, normalization), Bilateral(*bilateral, normalization))
        return cls(terms, iterations, source)


PRESETS = MappingProxyType(
    {
        "deeplab": Preset.of((3, 3), (49, 5, 4), "after", "DeepLab v1 and v2, script of VGG-LargeFOV"),
        "deeplab_binary": Preset.of((3, 3), (60, 20, 10), "after", "defaults of the program bundled with DeepLab"),
        "deeplab_resnet101": Preset.of((1, 3), (67, 3, 4), "symmetric", "kazuto1011/deeplab-pytorch, DeepLabV2"),
        "deconvnet": Preset.of((3, 3), (20, 3, 5), "none", "DeconvNet, inference script of EDeconvNet+CRF"),
        "pydensecrf": Preset.of((3, 3), (80, 13, 10), "symmetric", "pydensecrf, README's example", 5),
    }
)


def find_preset(name: str) -> Preset:
    """Return the preset of that name, or raise `UnknownNameError`."""
    try:
        return PRESETS[name]
    except KeyError:
        raise UnknownNameError(
            f"There is no CRF preset {name!r}.{did_you_mean(name, PRESETS)} There are: {', '.join(PRESETS)}."
        ) from None


def normalized(terms: tuple[Term, ...], normalization: Normalization | None) -> tuple[Term, ...]:
    """Return the terms with that normalization, or with their own where it is None; refuses unknown ones."""
    for name in [normalization] if normalization is not None else [term.normalization for term in terms]:
        if name not in NORMALIZATIONS:
            raise UnknownNameError(
                f"There is no CRF normalization {name!r}.{did_you_mean(str(name), NORMALIZATIONS)} "
                f"There are: {', '.join(NORMALIZATIONS)}."
            )
    return terms if normalization is None else tuple(replace(term, normalization=normalization) for term in terms)


def features_of(term: Term, image: Tensor, dtype: torch.dtype) -> Tensor:
    """Return a term's features at every pixel of an image (H, W, 3): (D, H · W) of `dtype` on the image's device."""
    height, width = image.shape[:2]
    if isinstance(term, Features):
        if term.features.ndim != 3 or term.features.shape[1:] != (height, width):
            raise ZooError(
                f"Features of a CRF term are (D, H, W), here (D, {height}, {width}); "
                f"{tuple(term.features.shape)} was given."
            )
        return term.features.to(image.device, dtype).reshape(len(term.features), -1)
    # Divided by tensors: by a number, a GPU would multiply with the inverse, and on a grid of pixels the last bit
    # decides between neighbouring cells of the lattice.
    across, down = image.new_tensor(_deviations("sxy", term.sxy, 2), dtype=dtype).unbind()
    x = (torch.arange(width, device=image.device, dtype=dtype) / across).expand(height, width)
    y = (torch.arange(height, device=image.device, dtype=dtype) / down).unsqueeze(1).expand(height, width)
    planes = [x, y]
    if isinstance(term, Bilateral):
        deviations = image.new_tensor(_deviations("srgb", term.srgb, 3), dtype=dtype)
        planes += (image.permute(2, 0, 1).to(dtype) / deviations.view(3, 1, 1)).unbind()
    return torch.stack(planes).view(len(planes), -1)


def cost_of(term: Term, classes: int, device: torch.device, dtype: torch.dtype) -> float | Tensor:
    """Return a term's compatibility as a cost: −w for Potts, a (K,) vector, or a symmetric (K, K) matrix."""
    cost = torch.as_tensor(term.compat).detach().to(device, dtype)
    if cost.ndim > 2 or cost.shape != (classes,) * cost.ndim:
        raise ZooError(
            f"A CRF term's compatibility is a number, ({classes},) or ({classes}, {classes}) for {classes} classes; "
            f"{tuple(cost.shape)} was given."
        )
    if not bool(cost.isfinite().all()):
        raise ZooError("A CRF term's compatibility holds NaN or infinity.")
    if cost.ndim == 0:
        return -float(cost)
    return (cost + cost.t()) / 2 if cost.ndim == 2 else cost


def _deviations(name: str, given: float | tuple[float, ...], count: int) -> tuple[float, ...]:
    deviations = (float(given),) * count if isinstance(given, int | float) else tuple(map(float, given))
    if len(deviations) != count or not all(0 < value < float("inf") for value in deviations):
        raise ZooError(f"{name} of a CRF term is a positive number or {count} of them; {given!r} was given.")
    return deviations
