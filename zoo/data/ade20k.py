"""ADE20K in the 150 classes of the Scene Parsing Challenge 2016 (Zhou et al. 2017): 20,210 / 2,000 pictures.

From http://sceneparsing.csail.mit.edu, as the tree of ``ADEChallengeData2016.zip``.
"""

from collections.abc import Mapping
from pathlib import Path

from zoo.config import IGNORE
from zoo.data.folder import FolderDataset
from zoo.data.images import voc_palette
from zoo.data.labels import ClassTable
from zoo.data.layouts import Layout, match
from zoo.data.places import not_here, places

ADE20K = ClassTable(
    classes=(
        "wall", "building", "sky", "floor", "tree", "ceiling", "road", "bed", "windowpane", "grass", "cabinet",
        "sidewalk", "person", "earth", "door", "table", "mountain", "plant", "curtain", "chair", "car", "water",
        "painting", "sofa", "shelf", "house", "sea", "mirror", "rug", "field", "armchair", "seat", "fence", "desk",
        "rock", "wardrobe", "lamp", "bathtub", "railing", "cushion", "base", "box", "column", "signboard",
        "chest of drawers", "counter", "sand", "sink", "skyscraper", "fireplace", "refrigerator", "grandstand",
        "path", "stairs", "runway", "case", "pool table", "pillow", "screen door", "stairway", "river", "bridge",
        "bookcase", "blind", "coffee table", "toilet", "flower", "book", "hill", "bench", "countertop", "stove",
        "palm", "kitchen island", "computer", "swivel chair", "boat", "bar", "arcade machine", "hovel", "bus",
        "towel", "light", "truck", "tower", "chandelier", "awning", "streetlight", "booth", "television", "airplane",
        "dirt track", "apparel", "pole", "land", "bannister", "escalator", "ottoman", "bottle", "buffet", "poster",
        "stage", "van", "ship", "fountain", "conveyer belt", "canopy", "washer", "plaything", "swimming pool",
        "stool", "barrel", "basket", "waterfall", "tent", "bag", "minibike", "cradle", "oven", "ball", "food",
        "step", "tank", "trade name", "microwave", "pot", "animal", "bicycle", "lake", "dishwasher", "screen",
        "blanket", "sculpture", "hood", "sconce", "vase", "traffic light", "tray", "ashcan", "fan", "pier",
        "crt screen", "plate", "monitor", "bulletin board", "shower", "radiator", "glass", "clock", "flag",
    ),
    palette=voc_palette(151)[1:],
    values={0: IGNORE} | {label + 1: label for label in range(150)},
)  # fmt: skip
"""The files hold 1…150, and 0 for everything else, which is ignored."""

_FOLDERS = {"train": "training", "val": "validation"}


class ADE20K150(FolderDataset):
    """One split of ADE20K, from a local tree.

    Args:
        split: ``"train"`` or ``"val"``.
        channels: 1, 3 or 4: grey, RGB or RGBA.
        download: Not possible: get the archive from its site.
        values: Label → other label (255 to ignore), to merge classes; all of 0…149 must be listed.
        root: Holds ``ADEChallengeData2016`` or what is in it; by default ``$ZOO_DATA/ade20k`` or the user's cache.

    Raises:
        DataError: No tree, another split, or pictures without labels.
    """

    def __init__(
        self,
        split: str,
        *,
        channels: int = 3,
        download: bool = False,
        values: Mapping[int, int] | None = None,
        root: Path | None = None,
    ) -> None:
        looked = places("ade20k", root)
        trees = [tree for place in looked for tree in (place, place / "ADEChallengeData2016")]
        folder = next((tree for tree in trees if (tree / "annotations" / "training").is_dir()), None)
        if folder is None:
            raise not_here(
                "ade20k", looked, "images/training/ and annotations/training/", "http://sceneparsing.csail.mit.edu"
            )
        folders = {name: (folder / "images" / part, folder / "annotations" / part) for name, part in _FOLDERS.items()}
        layout = Layout(
            folder, "ade20k", {name: match(*both) for name, both in folders.items()}, tuple(folders.values())
        )
        super().__init__(folder, split, channels=channels, values=values, name="ade20k", table=ADE20K, layout=layout)
