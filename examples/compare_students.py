"""The four students' U-Nets and DeepLabV3 on one data set at 128 × 128: trained alike, then compared in one table.

    python examples/compare_students.py --data camvid --out runs/students --steps 4000

DATA is a registered name or a folder; its pictures are scaled to 128 × 128 first, as the students did. Every model gets
a run folder with a report, one per seed; the tables are OUT/table.txt, .md, .csv, .html, and of several seeds
OUT/seeds.txt has the mean and the standard deviation. Stopped, the same command goes on.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from zoo.data.catalog import open_dataset
from zoo.data.images import write_labels
from zoo.errors import DataError

SIZE = [128, 128]
MODELS = ["unet_l4", "unet_l4_aspp", "unet_l5", "unet_l5_aspp", "deeplabv3@resnet18"]
CHANNELS = {"unet_l4": (64, 128, 256, 512), "unet_l5": (64, 128, 256, 512, 1024)}


def zoo(*arguments: object) -> None:
    """Run a command line."""
    print("zoo", *arguments, flush=True)
    subprocess.run([sys.executable, "-m", "zoo", *map(str, arguments)], check=True)


def scale_down(data: str, root: str | None, folder: Path) -> None:
    """Write the splits that there are into a folder that `zoo train` can read."""
    for split in ("train", "val", "test"):
        try:
            dataset = open_dataset(data, split, root=root)
        except DataError:
            if split != "test":
                raise
            continue
        (folder / split).mkdir(parents=True, exist_ok=True)
        (folder / f"{split}annot").mkdir(exist_ok=True)
        for index, (image, mask) in enumerate(dataset):
            nearest = F.resize(mask[None], SIZE, InterpolationMode.NEAREST_EXACT)[0]
            F.to_pil_image(F.resize(image, SIZE, antialias=True)).save(folder / split / f"{index:05}.png")
            write_labels(folder / f"{split}annot" / f"{index:05}.png", nearest.numpy(), dataset.palette)
    (folder / "data.toml").write_text(
        f"name = {json.dumps(dataset.name)}\nclasses = {json.dumps(dataset.classes)}\n"
        f"palette = {json.dumps(dataset.palette)}\n"
    )


def narrower(model: str, width: float) -> list[str]:
    """The options that make a U-Net `width` times as wide; other models stay as they are."""
    channels = CHANNELS.get(model.removesuffix("_aspp"), ()) if width != 1 else ()
    return ["-o", f"model.options.channels={[round(width * c) for c in channels]}"] if channels else []


def best_miou(run: Path) -> float:
    """The best mean IoU on `val` of a run."""
    records = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return max(record["miou"] for record in records if record["kind"] == "eval")


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--data", required=True)
parser.add_argument("--root", help="where a registered data set lies")
parser.add_argument("--out", type=Path, required=True)
parser.add_argument("--steps", type=int, default=4000)
parser.add_argument("--models", nargs="+", default=MODELS, metavar="MODEL")
parser.add_argument("--seeds", nargs="+", type=int, default=[0], metavar="SEED")
parser.add_argument("--width", type=float, default=1.0, help="channels of the U-Nets, as a share of the published ones")
given = parser.parse_args()

small = given.out / "data"
if not (small / "data.toml").exists():  # written last
    scale_down(given.data, given.root, small)
several = len(given.seeds) > 1
runs: dict[str, list[Path]] = {}
for model in given.models:
    for seed in given.seeds:
        run = given.out / (model.replace("@", "_") + (f"_seed{seed}" if several else ""))
        runs.setdefault(model, []).append(run)
        if (run / "recipe.toml").exists():
            zoo("train", "--out", run, "--resume", "--steps", given.steps)
        else:
            settings = ["--steps", given.steps, "-o", f"run.seed={seed}", *narrower(model, given.width)]
            zoo("train", model, "--recipe", "unet_128", "--data", small, "--out", run, *settings)
        if (small / "test").exists():
            zoo("eval", run / "best.safetensors", "--data", small, "--split", "test", "--out", run / "test.json")
for suffix in ("md", "csv", "html", "txt"):
    zoo("compare", *(run for group in runs.values() for run in group), "--out", given.out / f"table.{suffix}")
print((given.out / "table.txt").read_text())
if several:
    scores = {model: [best_miou(run) for run in group] for model, group in runs.items()}
    lines = [f"best mIoU on val over seeds {', '.join(map(str, given.seeds))}: mean ± standard deviation"]
    for model, of in scores.items():
        lines.append(f"{model:<20} {100 * statistics.mean(of):.1f} ± {100 * statistics.stdev(of):.1f} %")
    (given.out / "seeds.txt").write_text("\n".join(lines) + "\n")
    print(*lines, sep="\n")
