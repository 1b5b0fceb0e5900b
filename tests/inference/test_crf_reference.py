"""The dense CRF beside pydensecrf2 (extra `crf-test`), on real images."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from zoo.inference.crf import dense_crf
from zoo.inference.crf_terms import NORMALIZATIONS, PRESETS, Bilateral, Features, Gaussian

COMPATIBILITIES: dict[str, Any] = {
    "Potts": 3.0,
    "vector": torch.tensor([-1.0, -4, 0.5, -2]),
    "matrix": torch.arange(16.0).view(4, 4) / 8 - 1,
}


def real(shared_data: Path, name: str, classes: int, crop: int) -> tuple[np.ndarray, np.ndarray]:
    """A real image and uncertain, blurred probabilities of its labels."""
    folder = shared_data / "camvid"
    if name == "voc":
        folder = next(shared_data.glob("voc_sample/**/JPEGImages"))
        pictures, labels = sorted(folder.glob("*.jpg")), sorted(folder.with_name("SegmentationClass").glob("*.png"))
        picture, label = next(p for p in pictures if p.stem == labels[0].stem), labels[0]
    else:
        picture = sorted((folder / "val").iterdir())[0]
        label = next((folder / "valannot").glob(f"{picture.stem}.*"))
    image = np.ascontiguousarray(np.array(Image.open(picture).convert("RGB"))[:crop, :crop])
    truth = torch.from_numpy(np.array(Image.open(label))[:crop, :crop].astype(np.int64)).clamp(max=classes - 1)
    generator = torch.Generator().manual_seed(0)
    size = tuple(truth.shape)
    noise = F.interpolate(torch.randn(1, classes, 45, 60, generator=generator), size=size, mode="bilinear")
    hints = F.one_hot(truth, classes).permute(2, 0, 1)[None, :, ::8, ::8].float()
    return (noise + 2 * F.interpolate(hints, size=size, mode="bilinear"))[0].softmax(0).numpy(), image


def reference(p: np.ndarray, image: np.ndarray, terms: Any, rounds: int) -> np.ndarray:
    densecrf = pytest.importorskip("pydensecrf.densecrf")
    kinds = {
        "symmetric": densecrf.NORMALIZE_SYMMETRIC, "after": densecrf.NORMALIZE_AFTER,
        "before": densecrf.NORMALIZE_BEFORE, "none": densecrf.NO_NORMALIZATION,
    }  # fmt: skip
    classes, height, width = p.shape
    net = densecrf.DenseCRF2D(width, height, classes)
    net.setUnaryEnergy(np.ascontiguousarray(-np.log(p.clip(1e-5, 1)).reshape(classes, -1)))
    for term in terms:
        compat = term.compat.numpy() if isinstance(term.compat, Tensor) else term.compat
        options = {"compat": compat, "kernel": densecrf.CONST_KERNEL, "normalization": kinds[term.normalization]}
        if isinstance(term, Gaussian):
            net.addPairwiseGaussian(term.sxy, **options)
        elif isinstance(term, Bilateral):
            net.addPairwiseBilateral(term.sxy, term.srgb, rgbim=image, **options)
        else:
            net.addPairwiseEnergy(term.features.numpy().reshape(len(term.features), -1), **options)
    return np.array(net.inference(rounds)).reshape(p.shape)


@pytest.mark.parametrize("name", ["camvid", "voc"])
@pytest.mark.parametrize("preset", PRESETS)
def test_presets_agree_with_pydensecrf(shared_data: Path, preset: str, name: str) -> None:
    p, image = real(shared_data, name, 21, crop=1000 if preset == "deeplab" else 240)
    expected = reference(p, image, PRESETS[preset].terms, 10)
    got = dense_crf(p, image, preset=preset, iterations=10).numpy()
    assert (got.argmax(0) == expected.argmax(0)).mean() > 0.99999
    far = np.abs(got - expected)
    if PRESETS[preset].terms[0].normalization != "none":
        assert far.max() < 1e-4
    else:  # sums of thousands in the exponent: both are further from the answer in float64 than from one another
        exact = dense_crf(p, image, preset=preset, iterations=10, dtype=torch.float64).numpy()
        assert (far > 1e-4).mean() < 1e-4
        assert far.max() < max(1e-4, np.abs(expected - exact).max())


@pytest.mark.parametrize("norm", NORMALIZATIONS)
@pytest.mark.parametrize("compatibility", COMPATIBILITIES)
def test_forms_agree_with_pydensecrf(shared_data: Path, compatibility: str, norm: Any) -> None:
    p, image = real(shared_data, "camvid", 4, crop=160)
    compat = COMPATIBILITIES[compatibility] * (0.01 if norm == "none" else 1)
    depth = torch.linspace(0, 30, 160).view(1, 160, 1).expand(1, 160, 160).contiguous()
    terms = [Gaussian((3, 5), 0.5, norm), Bilateral((40, 30), (13, 10, 7), compat, norm), Features(depth, 0.2, norm)]
    expected = reference(p, image, terms, 5)
    np.testing.assert_allclose(dense_crf(p, image, terms=terms, iterations=5), expected, atol=1e-4)
