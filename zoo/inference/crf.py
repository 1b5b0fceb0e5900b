"""The fully connected CRF of Krähenbühl and Koltun (NIPS 2011): probabilities sharpened along an image's edges.

Energy: Σ_i −log p_i(x_i) + Σ_{i<j} Σ_m μ_m(x_i, x_j) k_m(f_i, f_j) with k(f, g) = exp(−½ |f − g|²), minimised by mean
field as the authors' program does it (a pixel's message to itself is not left out), with filters on the permutohedral
lattice. `crf_terms` has the terms and the published parameters.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.errors import ZooError
from zoo.inference.crf_terms import Normalization, Term, cost_of, features_of, find_preset, normalized
from zoo.inference.lattice import Lattice
from zoo.inference.rows import below, beside

_NOTHING = 1e-30  # smaller probabilities are taken for 0: sums with subnormal numbers are slow on a processor
_CHUNK = 2**20  # logits held at a time on a CPU: they stay in its cache between filter, sum and softmax


@torch.no_grad()
def dense_crf(
    probabilities: Any,
    image: Any,
    *,
    preset: str = "deeplab",
    iterations: int | None = None,
    terms: Sequence[Term] | None = None,
    extra: Sequence[Term] = (),
    normalization: Normalization | None = None,
    clip: float = 1e-5,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Refine the probabilities of one image's pixels by mean field in a fully connected CRF.

    The work is done on the device of `probabilities`, in time that grows with H · W · K. Memory at the peak, for a
    Gaussian and a bilateral term in float32: 16 K bytes a pixel, and 300 to 600 for the lattices while they are built,
    the more, the smaller the deviations; so an image of a million pixels and 21 classes takes 0.6 to 0.9 GB.

    Args:
        probabilities: (K, H, W) tensor or array in [0, 1], as from a softmax.
        image: (H, W, 3) tensor or array, uint8, red first.
        preset: Whose terms: "deeplab" (the script of VGG-LargeFOV), "deeplab_binary", "deeplab_resnet101",
            "deconvnet" or "pydensecrf"; see `zoo.inference.crf_terms.PRESETS`.
        iterations: Mean-field updates, at least 0; None for the preset's own: 10, but 5 for "pydensecrf".
        terms: Terms instead of the preset's.
        extra: Terms besides.
        normalization: One for all terms, instead of their own.
        clip: The least probability taken at its word, in (0, 1]; what lies below is raised to it.
        dtype: Arithmetic, torch.float32 or torch.float64.

    Returns:
        (K, H, W), of `dtype`, on the device of `probabilities`; each pixel sums to 1.

    Raises:
        ZooError: Something has another shape, type or range; the message says which was wanted.
        UnknownNameError: There is no such preset or normalization.
    """
    found = find_preset(preset)
    rounds = found.iterations if iterations is None else iterations
    chosen = normalized((*(found.terms if terms is None else terms), *extra), normalization)
    if rounds < 0 or not 0 < clip <= 1 or dtype not in (torch.float32, torch.float64):
        raise ZooError(
            "dense_crf takes iterations ≥ 0, clip in (0, 1] and dtype float32 or float64; "
            f"iterations={iterations}, clip={clip} and dtype={dtype} were given."
        )
    p, picture = _tensors(probabilities, image)
    classes, height, width = p.shape
    # Pixel by pixel: the filters gather and add whole rows of K numbers.
    scores = p.to(dtype).clamp(clip, 1).log_().view(classes, -1).t().contiguous()
    q = torch.softmax(scores, 1)
    if chosen and rounds:
        field = _Field(scores, [(term, features_of(term, picture, dtype)) for term in chosen])
        for _ in range(rounds):
            field.update(q)
    return q.t().contiguous().view(classes, height, width)


class _Field:
    """The mean-field update of all terms at once: one splat, the blurs of each lattice, one slice."""

    def __init__(self, scores: Tensor, terms: Sequence[tuple[Term, Tensor]]) -> None:
        points, classes = scores.shape
        splats, slices, self.blurs = [], [], []
        for term, features in terms:
            cost = cost_of(term, classes, scores.device, scores.dtype)
            lattice = Lattice(features)
            before, after = _scales(lattice, term, scores)
            if isinstance(cost, float):  # the same for all classes: the slice can carry it
                after = scores.new_full((points,), -cost) if after is None else after * -cost
            splats.append(lattice.splat if before is None else lattice.splat.scale_columns(before))
            slices.append(lattice.slice if after is None else lattice.slice.scale_rows(after))
            self.blurs.append((lattice.axes, cost))
        self.counts = [len(splat) for splat in splats]
        self.splat = below(splats)
        self.values = scores.new_empty(sum(self.counts), classes)
        step = max(1, _CHUNK // classes) if scores.device.type == "cpu" else points
        self.steps = list(zip(beside(slices, self.counts).split(step), torch.split(scores, step), strict=True))

    def update(self, q: Tensor) -> None:
        """Replace the classes' probabilities at each pixel, (N, K), by the next."""
        parts = []
        for values, (axes, cost) in zip(torch.split(self.splat @ q, self.counts), self.blurs, strict=True):
            for axis in axes:
                values = axis @ values
            if isinstance(cost, Tensor):
                values = values @ -cost if cost.ndim == 2 else values * -cost
            parts.append(values)
        torch.cat(parts, out=self.values)
        for (rows, scores), out in zip(self.steps, torch.split(q, len(self.steps[0][1])), strict=True):
            torch.softmax((rows @ self.values).add_(scores), 1, out=out)
            torch.threshold_(out, _NOTHING, 0)


def _scales(lattice: Lattice, term: Term, like: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """What a term's normalization multiplies each pixel's values by before and after the filter."""
    if term.normalization == "none":
        return None, None
    count = lattice.filter(like.new_ones(lattice.points, 1))[:, 0]
    if term.normalization == "symmetric":
        scale = (count + 1e-20).rsqrt_()
        return scale, scale
    scale = 1 / (count + 1e-20)
    return (scale, None) if term.normalization == "before" else (None, scale)


def _tensors(probabilities: Any, image: Any) -> tuple[Tensor, Tensor]:
    """Return both as tensors on the device of the first, or refuse them."""
    p, picture = _tensor(probabilities), _tensor(image)
    if p.ndim != 3 or 0 in p.shape or not p.is_floating_point():
        raise ZooError(
            f"dense_crf takes probabilities (K, H, W), floating point; {tuple(p.shape)} of {p.dtype} was given."
        )
    if picture.shape != (*p.shape[1:], 3) or picture.dtype != torch.uint8:
        raise ZooError(
            f"dense_crf takes an image (H, W, 3) of torch.uint8, for these probabilities {(*p.shape[1:], 3)}; "
            f"{tuple(picture.shape)} of {picture.dtype} was given."
        )
    low, high = (float(value) for value in p.aminmax())
    if not (low >= -1e-3 and high <= 1 + 1e-3):  # NaN fails, too
        raise ZooError(
            f"dense_crf takes probabilities in [0, 1]; they range from {low:.4g} to {high:.4g}. "
            "Apply a softmax over the classes first."
        )
    return p.detach(), picture.to(p.device)


def _tensor(given: Any) -> Tensor:
    # An array may be read-only or run backwards, as Pillow's and flipped ones do; a tensor may not.
    return given if isinstance(given, Tensor) else torch.from_numpy(np.require(given, requirements=["C", "W"]))
