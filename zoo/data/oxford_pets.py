"""Oxford-IIIT Pet (Parkhi et al. 2012): 7349 photographs of cats and dogs with trimaps of pet, background and border.

Licence CC BY-SA 4.0. The 3680 pictures of the official ``trainval`` list are split 80 / 20 by hash of the name into
train and val; test has 3669.
"""

import contextlib
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from zoo.data.folder import FolderDataset
from zoo.data.labels import ClassTable
from zoo.data.layouts import Layout, Pair, by_hash, read_list
from zoo.data.places import absent, places
from zoo.errors import DataError

PETS = ClassTable(
    classes=("pet", "background", "border"),
    palette=((244, 162, 97), (38, 42, 51), (233, 196, 106)),
    values={1: 0, 2: 1, 3: 2},
)


class OxfordPets(FolderDataset):
    """One split of Oxford-IIIT Pet.

    Args:
        split: ``"train"``, ``"val"``, ``"trainval"`` or ``"test"``.
        channels: 1, 3 or 4: grey, RGB or RGBA.
        download: Let torchvision fetch it (800 MB) where there is no copy.
        values: Label → other label: ``{0: 1, 1: 0, 2: 255}`` is pet against background, borders ignored.
        root: Holds ``oxford-iiit-pet``, as torchvision has it, or what is in it; by default ``$ZOO_DATA/oxford_pets``
            or the user's cache.

    Raises:
        DataError: No copy and no wish to download, or a download that failed.
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
        looked = places("oxford_pets", root)
        folder = _find(looked)
        if folder is None and download:
            folder = _download(looked[0])
        if folder is None:
            raise absent("oxford_pets", looked, root, "800 MB")
        trainval, test = _pairs(folder, "trainval"), _pairs(folder, "test")
        layout = Layout(folder, "pets", {**by_hash(trainval), "trainval": trainval, "test": test})
        super().__init__(folder, split, channels=channels, values=values, name="oxford_pets", table=PETS, layout=layout)


def _find(looked: list[Path]) -> Path | None:
    trees = [tree for place in looked for tree in (place, place / "oxford-iiit-pet")]
    return next((tree for tree in trees if (tree / "annotations" / "trimaps").is_dir()), None)


def _pairs(folder: Path, split: str) -> tuple[Pair, ...]:
    """The pictures of one of the official lists; their lines begin with the name."""
    images, masks = folder / "images", folder / "annotations" / "trimaps"
    names = [line.split()[0] for line in read_list(folder / "annotations" / f"{split}.txt")]
    return tuple(Pair.of_files(name, images / f"{name}.jpg", masks / f"{name}.png") for name in names)


def _download(place: Path) -> Path:
    """Let torchvision fetch, check and unpack it, and move the tree in at once."""
    from torchvision.datasets import OxfordIIITPet

    target = place / "oxford-iiit-pet"
    try:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place, prefix=".pets.") as name:
            with contextlib.redirect_stdout(sys.stderr):  # torchvision reports there; stdout is for results
                OxfordIIITPet(name, target_types="segmentation", download=True)
            (Path(name) / "oxford-iiit-pet").rename(target)
    except (OSError, RuntimeError) as error:
        if _find([place]) is None:  # unless another process was faster
            raise DataError(f"{place}: oxford_pets cannot be put there: {error}") from None
    return target
