import re
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

import zoo.inference
from zoo.errors import UnknownNameError, ZooError
from zoo.inference import crf as module
from zoo.inference.crf import dense_crf
from zoo.inference.crf_terms import NORMALIZATIONS, PRESETS, Bilateral, Features, Gaussian, features_of
from zoo.inference.lattice import Lattice


def scene(classes: int = 4, height: int = 12, width: int = 15, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Probabilities (K, H, W), float64, and a smooth image with an edge."""
    generator = torch.Generator().manual_seed(seed)
    p = torch.randn(classes, height, width, dtype=torch.float64, generator=generator).softmax(0)
    image = F.interpolate(torch.rand(1, 3, 3, 4, generator=generator) * 255, size=(height, width), mode="bilinear")[0]
    image[:, :, width // 2 :] = 255 - image[:, :, width // 2 :]
    return p, image.byte().permute(1, 2, 0).contiguous()


def mean_field(p: Tensor, kernels: list[Tensor], messages: list[Any], norms: list[str], rounds: int) -> np.ndarray:
    """The update as the theory writes it, with dense (N, N) kernels; `messages` are functions of K̃ Q, (K, N)."""
    unary = -np.log(np.clip(p.reshape(len(p), -1).numpy(), 1e-5, 1))
    matrices = []
    for kernel, norm in zip(kernels, norms, strict=True):
        n = kernel.sum(1).numpy()
        left, right = {
            "symmetric": (n**-0.5, n**-0.5), "before": (n**0, 1 / n), "after": (1 / n, n**0), "none": (n**0, n**0)
        }[norm]  # fmt: skip
        matrices.append(left[:, None] * kernel.numpy() * right)
    q = np.exp(-unary) / np.exp(-unary).sum(0)
    for _ in range(rounds):
        energy = unary + sum(message(q @ m.T) for m, message in zip(matrices, messages, strict=True))
        q = np.exp(energy.min(0) - energy)
        q /= q.sum(0)
    return q.reshape(p.shape)


def refined(p: Any, image: Any, **options: Any) -> Tensor:
    return dense_crf(p, image, **{"dtype": torch.float64, **options})


COMPATIBILITIES: dict[str, Any] = {
    "Potts": (3.0, lambda v: -3 * v),
    "vector": (torch.tensor([-1.0, -4, 0.5, -2]), lambda v: np.array([[-1.0], [-4], [0.5], [-2]]) * v),
    "matrix": (
        torch.arange(16.0).view(4, 4) / 8 - 1,
        lambda v: (np.arange(16.0).reshape(4, 4) / 8 - 1 + (np.arange(16.0).reshape(4, 4) / 8 - 1).T) / 2 @ v,
    ),
}


@pytest.mark.parametrize("compatibility", COMPATIBILITIES)
@pytest.mark.parametrize("norm", NORMALIZATIONS)
def test_is_mean_field_with_the_lattices_kernel(norm: Any, compatibility: str) -> None:
    p, image = scene()
    compat, message = COMPATIBILITIES[compatibility]
    terms = [Gaussian(2, 1.5, norm), Bilateral((5, 7), (20, 30, 40), compat, norm)]
    identity = torch.eye(12 * 15, dtype=torch.float64)
    kernels = [Lattice(features_of(term, image, torch.float64)).filter(identity) for term in terms]
    expected = mean_field(p, kernels, [lambda v: -1.5 * v, message], [norm, norm], 4)
    np.testing.assert_allclose(refined(p, image, terms=terms, iterations=4), expected, atol=1e-9)


@pytest.mark.parametrize("norm", ["symmetric", "before", "after"])
def test_near_mean_field_with_exact_kernels(norm: Any) -> None:
    """Features are written out here, and sums are over all pairs; the lattice is an approximation of that."""
    p, image = scene()
    y, x = torch.meshgrid(torch.arange(12), torch.arange(15), indexing="ij")
    place = torch.stack([x, y]).double().view(2, -1)
    colour = image.double().permute(2, 0, 1).reshape(3, -1)
    kernels = [
        torch.exp(-0.5 * torch.cdist(f.t(), f.t()) ** 2) for f in (place / 3, torch.cat([place / 10, colour / 40]))
    ]
    expected = mean_field(p, kernels, [lambda v: -1.0 * v, lambda v: -1.0 * v], [norm, norm], 3)
    got = refined(p, image, terms=[Gaussian(3, 1), Bilateral(10, 40, 1)], normalization=norm, iterations=3).numpy()
    assert np.abs(got - expected).max() < 0.1
    assert np.abs(got - expected).mean() < 0.02
    assert np.abs(got - expected).mean() < 0.2 * np.abs(p.numpy() - expected).mean()  # it did something


@pytest.mark.parametrize(
    "options",
    [
        {"iterations": 0},
        {"terms": []},
        {"terms": [Gaussian(3, 0), Bilateral(10, 20, 0)]},
        {"terms": [Bilateral(10, 20, torch.zeros(4)), Gaussian(3, torch.zeros(4, 4))]},
    ],
)
def test_without_pairs_probabilities_stay(options: dict[str, Any]) -> None:
    p, image = scene()
    torch.testing.assert_close(refined(p, image, **options), p)


def test_clip_raises_small_probabilities() -> None:
    p = torch.tensor([1.0, 0.0, 0.0]).view(3, 1, 1).expand(3, 4, 5)
    got = refined(p, torch.zeros(4, 5, 3, dtype=torch.uint8), iterations=0, clip=0.25)
    torch.testing.assert_close(got[:, 0, 0], torch.tensor([2 / 3, 1 / 6, 1 / 6], dtype=torch.float64))


@pytest.mark.parametrize("norm", ["after", "symmetric"])
def test_uniform_image(norm: Any) -> None:
    """The same everywhere: filtered "after", a constant is itself, and each update is q ← softmax(log p + Σ w q)."""
    p = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64).view(3, 1, 1).expand(3, 9, 11)
    got = refined(p, torch.full((9, 11, 3), 77, dtype=torch.uint8), preset="deeplab", iterations=3, normalization=norm)
    if norm == "after":
        q = p[:, 0, 0]
        for _ in range(3):
            q = (p[:, 0, 0].log() + 7 * q).softmax(0)
        torch.testing.assert_close(got, q.view(3, 1, 1).expand_as(got))
    assert bool((got.argmax(0) == 0).all())


def test_forms_of_the_same_compatibility() -> None:
    """Potts w is the cost −w on the diagonal; a cost for unequal labels differs by what all labels share."""
    p, image = scene()
    eye = torch.eye(4)
    results = [
        refined(p, image, terms=[Bilateral(8, 30, compat)], iterations=3)
        for compat in (2, 2.0, torch.full((4,), -2.0), -2 * eye, 2 * (1 - eye), np.float32(2))
    ]
    for result in results[1:]:
        torch.testing.assert_close(result, results[0])


def test_order_of_classes_and_terms_is_of_no_account() -> None:
    p, image = scene()
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(refined(p[order], image), refined(p, image)[order])
    terms = PRESETS["deeplab"].terms
    torch.testing.assert_close(refined(p, image, terms=terms[::-1]), refined(p, image))
    torch.testing.assert_close(refined(p, image, terms=terms[:1], extra=terms[1:]), refined(p, image))


def test_features_of_ones_own() -> None:
    """A term given by its features is the one that is named; and depth, say, may tell pixels apart besides."""
    p, image = scene()
    y, x = torch.meshgrid(torch.arange(12, dtype=torch.float64), torch.arange(15, dtype=torch.float64), indexing="ij")
    features = torch.cat([torch.stack([x, y]) / 8, image.permute(2, 0, 1).double() / 30])
    named = refined(p, image, terms=[Bilateral(8, 30, 2.0)])
    assert torch.equal(refined(p, image, terms=[Features(features, 2.0)]), named)
    depth = torch.zeros(1, 12, 15)
    depth[..., 5:] = 100
    got = refined(p, image, terms=[], extra=[Features(depth, 5.0, "after")], iterations=20)
    for part in (got[..., :5], got[..., 5:]):
        assert len(part.argmax(0).unique()) == 1


def test_noise_goes_and_edges_stay() -> None:
    image = torch.zeros(40, 40, 3, dtype=torch.uint8)
    image[:, 20:] = torch.tensor([200, 150, 20], dtype=torch.uint8)
    truth = (image[..., 0] > 0).long()
    flipped = torch.rand(40, 40, generator=torch.Generator().manual_seed(0)) < 0.3
    p = F.one_hot(torch.where(flipped, 1 - truth, truth), 2).permute(2, 0, 1).float() * 0.4 + 0.3
    for preset in PRESETS:
        assert bool((dense_crf(p, image, preset=preset).argmax(0) == truth).all()), preset


def test_in_small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    p, image = scene()
    whole = refined(p, image)
    monkeypatch.setattr(module, "_CHUNK", 50)
    assert torch.equal(refined(p, image), whole)


def test_what_it_takes_and_gives() -> None:
    p, image = scene()
    expected = dense_crf(p.float(), image)
    assert expected.dtype == torch.float32
    assert expected.is_contiguous()
    torch.testing.assert_close(expected.sum(0), torch.ones(12, 15))
    picture = np.asarray(Image.fromarray(image.numpy()))  # read-only
    backwards = np.ascontiguousarray(p.float().numpy()[:, ::-1, ::-1])[:, ::-1, ::-1]
    strided = p.float().permute(1, 2, 0).contiguous().permute(2, 0, 1).requires_grad_()
    for probabilities in (p.float().numpy(), backwards, strided, p):
        got = dense_crf(probabilities, picture)
        assert torch.equal(got, expected)
        assert not got.requires_grad
    assert torch.equal(strided, p.float())  # nothing was done in place
    torch.testing.assert_close(dense_crf(p.bfloat16(), image), expected, atol=0.05, rtol=0)
    assert dense_crf(p[:1] * 0 + 1, image).eq(1).all()  # one class only
    assert dense_crf(p[:, :1, :1], image[:1, :1]).shape == (4, 1, 1)
    assert zoo.inference.dense_crf is dense_crf
    assert not hasattr(zoo.inference, "dense_crfs")


def test_presets() -> None:
    """sxy, weight; sxy, srgb, weight; normalization; iterations."""
    table = {}
    for name, preset in PRESETS.items():
        near, alike = preset.terms
        assert isinstance(near, Gaussian)
        assert isinstance(alike, Bilateral)
        assert near.normalization == alike.normalization
        numbers = (near.sxy, near.compat, alike.sxy, alike.srgb, alike.compat)
        table[name] = (*numbers, near.normalization, preset.iterations)
        assert preset.source
    assert table == {
        "deeplab": (3, 3, 49, 5, 4, "after", 10),
        "deeplab_binary": (3, 3, 60, 20, 10, "after", 10),
        "deeplab_resnet101": (1, 3, 67, 3, 4, "symmetric", 10),
        "deconvnet": (3, 3, 20, 3, 5, "none", 10),
        "pydensecrf": (3, 3, 80, 13, 10, "symmetric", 5),
    }
    p, image = scene()
    five = refined(p, image, preset="pydensecrf")
    assert torch.equal(five, refined(p, image, preset="pydensecrf", iterations=5))
    assert not torch.equal(five, refined(p, image, preset="pydensecrf", iterations=10))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"probabilities": torch.zeros(4, 12)}, "probabilities (K, H, W), floating point; (4, 12)"),
        ({"probabilities": torch.ones(4, 12, 15, dtype=torch.int64)}, "floating point; (4, 12, 15) of torch.int64"),
        ({"probabilities": torch.full((4, 12, 15), 2.5)}, "they range from 2.5 to 2.5. Apply a softmax"),
        ({"probabilities": torch.full((4, 12, 15), torch.nan)}, "range from nan to nan"),
        ({"image": torch.zeros(12, 15, 3)}, "(H, W, 3) of torch.uint8, for these probabilities (12, 15, 3); "),
        ({"image": torch.zeros(3, 12, 15, dtype=torch.uint8)}, "(3, 12, 15) of torch.uint8 was given"),
        ({"preset": "deeplap"}, "no CRF preset 'deeplap'. Did you mean 'deeplab'"),
        ({"normalization": "non"}, "no CRF normalization 'non'. Did you mean 'none'"),
        ({"terms": [Gaussian(3, 3, "befor")]}, "Did you mean 'before'"),  # type: ignore[arg-type]
        ({"iterations": -1}, "iterations ≥ 0"),
        ({"clip": 0}, "clip in (0, 1]"),
        ({"dtype": torch.float16}, "dtype float32 or float64"),
        ({"terms": [Gaussian(0, 3)]}, "sxy of a CRF term is a positive number or 2 of them; 0 was given"),
        ({"terms": [Bilateral(3, (1, 2), 3)]}, "srgb of a CRF term is a positive number or 3 of them; (1, 2)"),  # type: ignore[arg-type]
        ({"terms": [Gaussian(3, torch.ones(3))]}, "a number, (4,) or (4, 4) for 4 classes; (3,) was given"),
        ({"terms": [Gaussian(3, float("nan"))]}, "NaN or infinity"),
        ({"extra": [Features(torch.zeros(1, 15, 12), 1.0)]}, "here (D, 12, 15); (1, 15, 12) was given"),
        ({"extra": [Features(torch.full((1, 12, 15), torch.inf), 1.0)]}, "not all finite"),
    ],
)
def test_refuses(options: dict[str, Any], said: str) -> None:
    p, image = scene()
    given = {"probabilities": p, "image": image, **options}
    with pytest.raises(ZooError, match=re.escape(said)) as caught:
        dense_crf(**given)
    assert isinstance(caught.value, UnknownNameError) == ("Did you mean" in said)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("preset", PRESETS)
def test_gpu_agrees(preset: str) -> None:
    p, image = scene(8, 60, 80)
    there = dense_crf(p.cuda(), image, preset=preset, dtype=torch.float64)
    assert there.is_cuda
    torch.testing.assert_close(there.cpu(), refined(p, image, preset=preset), atol=1e-8, rtol=0)
    single = dense_crf(p.float().cuda(), image, preset=preset)
    torch.testing.assert_close(single.cpu(), dense_crf(p.float(), image, preset=preset), atol=1e-4, rtol=0)
