"""The dense CRF beside pydensecrf2, at 360×480 with 21 classes and 10 iterations, on two cores; and on a GPU, if any.

    python -m pip install -e '.[crf-test]'
    python benchmarks/crf.py [PHOTOGRAPH]

Promises: not slower than pydensecrf2 with any preset; at least 10 × faster than it on a GPU; the same probabilities to
1e-4 (where nothing normalizes the kernels, float32 itself is off by more, and what is compared is stated). Both are
given probabilities and an image, and give probabilities; building the lattices is part of the time. Runs alternate in
one process, and the fastest of each count: pydensecrf2 uses one core and torch two, whose threads wait for each other,
so that anything else that runs is counted against torch. They are told to sleep while they wait: on a machine that is
shared, spinning threads keep one another from working. Time depends on the image: smooth ones touch few vertices.
"""

import os
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch is imported

import numpy as np
import torch
from _measure import show, verdict
from PIL import Image
from torch.nn import functional as F

from zoo.inference.crf import dense_crf
from zoo.inference.crf_terms import PRESETS, Gaussian

try:
    from pydensecrf import densecrf
except ImportError:
    raise SystemExit("pydensecrf2 is missing: python -m pip install 'zoo-segmentation[crf-test]'") from None

HEIGHT, WIDTH, CLASSES, ITERATIONS = 360, 480, 21, 10
KINDS = {
    "symmetric": densecrf.NORMALIZE_SYMMETRIC,
    "after": densecrf.NORMALIZE_AFTER,
    "none": densecrf.NO_NORMALIZATION,
}


def peer(p: np.ndarray, image: np.ndarray, preset: str) -> np.ndarray:
    net = densecrf.DenseCRF2D(WIDTH, HEIGHT, CLASSES)
    net.setUnaryEnergy(-np.log(p.clip(1e-5, 1)).reshape(CLASSES, -1))
    for term in PRESETS[preset].terms:
        options: dict[str, Any] = {"compat": term.compat, "kernel": densecrf.CONST_KERNEL}
        options["normalization"] = KINDS[term.normalization]
        if isinstance(term, Gaussian):
            net.addPairwiseGaussian(term.sxy, **options)
        else:
            net.addPairwiseBilateral(term.sxy, term.srgb, rgbim=image, **options)
    return np.array(net.inference(ITERATIONS)).reshape(p.shape)


def scene(path: str | None) -> tuple[np.ndarray, np.ndarray]:
    """A photograph, or smooth random colours with noise; and smooth random probabilities."""
    generator = torch.Generator().manual_seed(0)
    if path:
        image = np.array(Image.open(path).convert("RGB").resize((WIDTH, HEIGHT)))
    else:
        colours = F.interpolate(torch.rand(1, 3, 12, 16, generator=generator), size=(HEIGHT, WIDTH), mode="bicubic")[0]
        colours = colours * 220 + torch.randn(3, HEIGHT, WIDTH, generator=generator) * 2 + 20
        image = np.ascontiguousarray(colours.clamp(0, 255).byte().permute(1, 2, 0).numpy())
    scores = F.interpolate(torch.randn(1, CLASSES, 24, 32, generator=generator) * 2, size=(HEIGHT, WIDTH))[0]
    return scores.softmax(0).numpy(), image


def fastest(runs: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    times = {name: float("inf") for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            times[name] = min(times[name], time.perf_counter() - start)
    return times


def main(path: str | None = None, repeats: int = 7) -> int:
    p, image = scene(path)
    rows = [("preset", "pydensecrf2", f"zoo, {torch.get_num_threads()} threads", "zoo, 1 thread", "GPU", "error")]
    kept, ratios, gpu_ratios = [], {}, {}
    threads = torch.get_num_threads()

    def single(preset: str) -> None:
        torch.set_num_threads(1)
        dense_crf(p, image, preset=preset, iterations=ITERATIONS)
        torch.set_num_threads(threads)

    for preset in PRESETS:
        runs: dict[str, Callable[[], Any]] = {
            "peer": lambda preset=preset: peer(p, image, preset),
            "zoo": lambda preset=preset: dense_crf(p, image, preset=preset, iterations=ITERATIONS),
            "single": lambda preset=preset: single(preset),
        }
        if torch.cuda.is_available():
            there, picture = torch.from_numpy(p).cuda(), torch.from_numpy(image).cuda()
            runs["gpu"] = lambda preset=preset, there=there, picture=picture: dense_crf(
                there, picture, preset=preset, iterations=ITERATIONS
            ).sum().item()  # fmt: skip
        times = fastest(runs, repeats)
        error = np.abs(runs["zoo"]().numpy() - runs["peer"]())
        ratios[preset] = times["peer"] / times["zoo"]
        gpu = f"{1000 * times['gpu']:.1f} ms" if "gpu" in times else "-"
        if "gpu" in times:
            gpu_ratios[preset] = times["peer"] / times["gpu"]
        cells = [f"{1000 * times[name]:.0f} ms" for name in ("peer", "zoo", "single")]
        beyond = f" ({(error > 1e-4).mean():.1e} beyond 1e-4)" if error.max() > 1e-4 else ""
        rows.append((preset, cells[0], cells[1], cells[2], gpu, f"{error.max():.1e}{beyond}"))
        if PRESETS[preset].terms[0].normalization != "none":
            kept.append(float(error.max()) < 1e-4)
    show(f"dense CRF, {HEIGHT}×{WIDTH}×{CLASSES}, {ITERATIONS} iterations, fastest of {repeats}", rows)
    kept += [verdict(f"{name}: pydensecrf2 against zoo", ratio, 1, at_most=False) for name, ratio in ratios.items()]
    kept += [verdict(f"{name}: pydensecrf2 against a GPU", r, 10, at_most=False) for name, r in gpu_ratios.items()]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
