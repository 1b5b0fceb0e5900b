"""The four students' U-Nets and DeepLabV3 on one data set at 128 × 128: trained alike, then compared in one table.

    python examples/compare_students.py --data camvid --out runs/students --steps 4000

DATA is a registered name or a folder; its pictures are scaled to 128 × 128 first, as the students did. Every model gets
a run folder with a report; the tables are OUT/table.txt, .md, .csv, .html. Stopped, the same command goes on.
"""

import argparse
import json
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


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--data", required=True)
parser.add_argument("--root", help="where a registered data set lies")
parser.add_argument("--out", type=Path, required=True)
parser.add_argument("--steps", type=int, default=4000)
parser.add_argument("--models", nargs="+", default=MODELS, metavar="MODEL")
given = parser.parse_args()

small = given.out / "data"
if not (small / "data.toml").exists():  # written last
    scale_down(given.data, given.root, small)
runs = [given.out / model.replace("@", "_") for model in given.models]
for model, run in zip(given.models, runs, strict=True):
    if (run / "recipe.toml").exists():
        zoo("train", "--out", run, "--resume", "--steps", given.steps)
    else:
        zoo("train", model, "--recipe", "unet_128", "--data", small, "--out", run, "--steps", given.steps)
    if (small / "test").exists():
        zoo("eval", run / "best.safetensors", "--data", small, "--split", "test", "--out", run / "test.json")
for suffix in ("md", "csv", "html", "txt"):
    zoo("compare", *runs, "--out", given.out / f"table.{suffix}")
print((given.out / "table.txt").read_text())
