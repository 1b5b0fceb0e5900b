"""Training speed and peak memory: `zoo train`'s own loop beside a plain one, over networks of other libraries.

    python benchmarks/training.py [--steps 12] [--size 128 128] [--batch 4] [--threads 2]

Promises: the loop costs at most 2 % more than a plain hand-written one at the same precision, over torchvision's
DeepLabV3-ResNet50 and SMP's U-Net-ResNet34, and needs at most 5 % more memory; with its default settings (bfloat16
where the processor has it, channels last, fused optimiser) a step is at least 2 × as fast as in a plain float32 loop
at 240 × 320; the training mIoU costs less than 1 % of a step, and the confusion matrix of an evaluation less than 1 %
of the evaluation.

Both loops run in one process and take turns, step by step: `zoo.training.loop.train` reports each step, and before it
goes on the plain loop takes one. Both do everything from the picture file's arrays on: augmentation, batch, upload,
normalisation, forward, loss, backward, AdamW. Ours also logs and counts its training mIoU. The network is one and the
same module of the other library. Times are medians over steps; on a shared machine take the seconds of the processor.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from _measure import run as in_fresh_process
from _measure import show, verdict
from _networks import CLASSES, NETWORKS, install, plain_network
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from zoo.data.catalog import open_dataset
from zoo.data.transforms import train_transform
from zoo.evaluation.confusion import ConfusionMatrix
from zoo.training.loop import train
from zoo.training.observers import TrainScore
from zoo.training.prepare import fast_in_bfloat16
from zoo.training.recipe import Recipe, build

Seconds = tuple[float, float]
"""Wall time, and time of the processor (all threads)."""

_MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
_STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)


class Plain:
    """A loop as one writes it by hand, for `torch.utils.data` and AdamW.

    Args:
        recipe: The same settings as ours, as far as it has them.
        default: Whether as torch sets things up by itself (float32, contiguous) rather than as the recipe says.
    """

    def __init__(self, recipe: Recipe, *, default: bool) -> None:
        torch.manual_seed(0)
        self.half = fast_in_bfloat16(torch.device("cpu")) and recipe.run.amp == "auto" and not default
        self.layout = torch.channels_last if recipe.run.channels_last and not default else torch.contiguous_format
        self.net: nn.Module = plain_network(recipe.model.name).to(memory_format=self.layout)
        fused = {} if default else {"fused": True}
        self.optimizer = torch.optim.AdamW(self.net.parameters(), recipe.optim.lr, **fused)
        self.loss = nn.CrossEntropyLoss(ignore_index=255)
        self.batches = self._batches(recipe)

    def _batches(self, recipe: Recipe) -> Iterator[Any]:
        data = recipe.data
        assert isinstance(data.crop, tuple)
        transform = train_transform(data.crop, data.scale, data.flip, data.jitter)
        samples = _Transformed(open_dataset(data.name, data.train), transform)
        while True:
            yield from DataLoader(samples, data.batch_size, shuffle=True, drop_last=True)

    def step(self) -> None:
        images, masks = next(self.batches)
        images = (images.float() / 255 - _MEAN) / _STD
        images = images.contiguous(memory_format=self.layout)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.half):
            outputs = self.net(images)
            logits = outputs["out"] if isinstance(outputs, dict) else outputs
        loss = self.loss(logits.float(), masks)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


class _Transformed(Dataset[tuple[Tensor, Tensor]]):
    def __init__(self, samples: Any, transform: Callable[[Any], Any]) -> None:
        self.samples, self.transform = samples, transform

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image, mask = self.transform(self.samples[index])
        return image.as_subclass(Tensor), mask.as_subclass(Tensor)


def settings(network: str, size: tuple[int, int], batch: int, steps: int, **run: Any) -> Recipe:
    """Our defaults, in this one process and without an evaluation before the end."""
    return build(
        {
            "model": {"name": network},
            "data": {"name": "shapes", "batch_size": batch, "crop": size, "workers": 0, "check": False},
            "run": {"steps": steps, "eval_every": steps + 1, **run},
        }
    )


def take_turns(recipe: Recipe, *, default: bool) -> tuple[list[Seconds], list[Seconds]]:
    """Seconds of our steps and of the plain ones."""
    plain = Plain(recipe, default=default)
    ours: list[Seconds] = []
    others: list[Seconds] = []
    last = _now()

    def watch(record: dict[str, Any]) -> None:
        nonlocal last
        if record["kind"] == "step":
            ours.append(_since(last))
            begun = _now()
            plain.step()
            others.append(_since(begun))
            if record["step"] == recipe.run.steps:
                raise _Enough
        last = _now()

    with tempfile.TemporaryDirectory() as folder, suppress(_Enough):
        train(recipe, Path(folder, "run"), report=watch)
    return ours[2:], others[2:]  # the first ones allocate


class _Enough(Exception):  # noqa: N818  (carries a run out of its last evaluation)
    pass


def _now() -> Seconds:
    return time.perf_counter(), time.process_time()


def _since(begun: Seconds) -> Seconds:
    wall, processor = _now()
    return wall - begun[0], processor - begun[1]


def _medians(steps: list[Seconds]) -> Seconds:
    return statistics.median(wall for wall, _ in steps), statistics.median(processor for _, processor in steps)


def compare(network: str, size: tuple[int, int], batch: int, steps: int, *, default: bool, **run: Any) -> float:
    """Print both; returns the ratio of processor times, ours over the plain loop's."""
    recipe = settings(network, size, batch, steps, **run)
    ours, others = (_medians(found) for found in take_turns(recipe, default=default))
    what = "plain float32 loop" if default else "plain loop"
    rows = [("", "images/s", "ms of the processor per step")]
    rows += [
        (label, f"{batch / wall:.2f}", f"{1000 * processor:.0f}")
        for label, (wall, processor) in (("zoo train", ours), (what, others))
    ]
    show(f"{network}, {batch} × {size[0]} × {size[1]}, {steps - 2} steps each, taking turns", rows)
    print(f"  wall time: ours takes {ours[0] / others[0]:.3f} of the other's")
    return ours[1] / others[1]


def memory(network: str, size: tuple[int, int], batch: int, threads: int) -> float:
    """Peak memory of three steps, ours over the plain loop's: growth over what the imports took, in fresh processes."""
    code = (
        "import sys, json, torch, pathlib, tempfile\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        f"torch.set_num_threads({threads})\n"
        "import training\n"
        "from zoo.memory import peak_memory as peak\n"
        "training.install()\n"
        f"recipe = training.settings({network!r}, {size!r}, {batch}, 3, amp='none')\n"
        "before = peak()\n"
        "{}\n"
        "print(json.dumps(dict(memory=peak() - before)))"
    )
    plain = "loop = training.Plain(recipe, default=False)\nfor _ in range(3): loop.step()"
    own = (
        "def watch(record):\n"
        "    if record['kind'] == 'step' and record['step'] == 3: raise training._Enough\n"
        "try: training.train(recipe, pathlib.Path(tempfile.mkdtemp(), 'run'), report=watch)\n"
        "except training._Enough: pass"
    )
    used = {label: in_fresh_process(code.replace("{}", part))["memory"] for label, part in (("o", own), ("p", plain))}
    print(f"  peak memory of {network}: zoo train {used['o'] / 2**20:.0f} MiB, plain loop {used['p'] / 2**20:.0f} MiB")
    return used["o"] / used["p"]


def counting(network: str, size: tuple[int, int], batch: int) -> tuple[float, float]:
    """What counting costs: the training mIoU as a share of a step, the confusion matrix as one of an evaluation."""
    recipe = settings(network, size, batch, 1)
    plain = Plain(recipe, default=False)
    step = _repeated(plain.step, 5)
    images, masks = next(plain.batches)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=plain.half):
        forward = _repeated(lambda: plain.net(images / 255), 5)
        answer = plain.net(images / 255)
    logits = answer["out"] if isinstance(answer, dict) else answer
    score, matrix, labels = TrainScore(CLASSES), ConfusionMatrix(CLASSES), logits.argmax(1)
    learned, counted = (
        _repeated(lambda: score.update(logits, masks), 25),
        _repeated(lambda: matrix.update(labels, masks), 25),
    )
    print(
        f"{network}: training mIoU {1000 * learned:.2f} ms in a step of {1000 * step:.0f} ms, confusion matrix "
        f"{1000 * counted:.2f} ms beside {1000 * forward:.0f} ms of the network"
    )
    return learned / step, counted / forward


def _repeated(act: Callable[[], object], times: int) -> float:
    """Median seconds of the processor."""
    act()
    spent = []
    for _ in range(times):
        begun = _now()
        act()
        spent.append(_since(begun))
    return _medians(spent)[1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--size", type=int, nargs=2, default=(128, 128))
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    install()
    size = (given.size[0], given.size[1])
    kept = []
    for network in NETWORKS:
        ratio = compare(network, size, given.batch, given.steps, default=False)
        kept.append(verdict(f"{network}: a step of ours against the plain loop's", ratio, 1.02, at_most=True))
        used = memory(network, size, given.batch, given.threads)
        kept.append(verdict(f"{network}: peak memory against the plain loop's", used, 1.05, at_most=True))
        shares = counting(network, size, given.batch)
        for what, share in zip(("training mIoU, of a step", "confusion matrix, of the network"), shares, strict=True):
            kept.append(verdict(f"{network}: {what}", share, 0.01, at_most=True))
        ratio = 1 / compare(network, (240, 320), given.batch, max(given.steps // 2, 5), default=True)
        kept.append(verdict(f"{network}: default settings against plain float32", ratio, 2, at_most=False))
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
