"""Folder trees that are recognised, and the pictures and masks of each of their splits.

=================== ====================================================================================
SegNet's CamVid     ``train/ trainannot/ val/ valannot/`` (any name and name + ``annot``)
images and masks    ``images/ masks/``; splits are sub-folders of both (``images/train masks/train``), or list
                    files (``train.txt``, beside them or in ``splits/``), or 80 % / 20 % by hash of the name
splits first        ``train/images train/masks val/images val/masks``
PASCAL VOC          ``JPEGImages/ SegmentationClass/ ImageSets/Segmentation/*.txt``, also below ``VOCdevkit/``
=================== ====================================================================================

A picture and its mask have the same name, the suffix apart; the mask may also end in ``_mask``.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from zoo.data.images import SUFFIXES, is_picture
from zoo.errors import DataError, did_you_mean

RECOGNISED = (
    "train/ trainannot/ val/ valannot/, or images/ masks/ (with sub-folders train/ val/ in both, or list files "
    "train.txt val.txt), or train/images/ train/masks/, or VOC's JPEGImages/ SegmentationClass/ ImageSets/"
)

_IMAGES = ("images", "imgs")
_MASKS = ("masks", "labels", "annotations")
_ALIASES = {"training": "train", "valid": "val", "validation": "val", "testing": "test"}
_SPLITS = ("train", "val", "test", "trainval")


class Pair(NamedTuple):
    """One sample's files; None for the one that is missing."""

    name: str
    image: Path | None
    mask: Path | None

    @classmethod
    def of_files(cls, name: str, image: Path, mask: Path) -> "Pair":
        """The pair of two paths at which there may be a file."""
        return cls(name, image if image.is_file() else None, mask if mask.is_file() else None)


@dataclass(frozen=True, slots=True)
class Layout:
    """What was found in a folder.

    Attributes:
        root: The folder.
        kind: ``"annot"``, ``"images"`` or ``"voc"``.
        splits: Split → its samples, sorted by name or in the order of the list file.
        folders: The folders of pictures and of masks that were matched by name.
    """

    root: Path
    kind: str
    splits: Mapping[str, tuple[Pair, ...]]
    folders: tuple[tuple[Path, Path], ...] = ()

    def samples(self, split: str) -> tuple[Pair, ...]:
        """What a split lists, complete or not; raises `DataError` where there is no such split."""
        split = _canonical(split) if split not in self.splits else split
        if split not in self.splits:
            there = ", ".join(self.splits) or "none"
            raise DataError(f"{self.root}: has no split {split!r}; it has {there}.{did_you_mean(split, self.splits)}")
        return self.splits[split]

    def strays(self) -> list[Path]:
        """The masks that belong to no picture."""
        found: list[Path] = []
        for images, masks in self.folders:
            pictures, labels = _index(images), _index(masks)
            used = {mask for key in pictures if (mask := _mask_of(key, labels))}
            found += [mask for mask in labels.values() if mask not in used]
        return found

    def pairs(self, split: str) -> list[tuple[Path, Path]]:
        """(picture, mask) of every sample of a split.

        Raises:
            DataError: No such split, an empty one, or one where a file is missing.
        """
        pairs = self.samples(split)
        if not pairs:
            raise DataError(f"{self.root}: split {split!r} is empty")
        for what, lacking in (
            ("picture", [pair.name for pair in pairs if pair.image is None]),
            ("mask", [pair.name for pair in pairs if pair.mask is None]),
        ):
            if lacking:
                some = ", ".join(lacking[:5]) + (", …" if len(lacking) > 5 else "")
                raise DataError(
                    f"{self.root}: {len(lacking)} of {len(pairs)} samples of split {split!r} have no {what}: {some}"
                )
        return [(pair.image, pair.mask) for pair in pairs if pair.image and pair.mask]

    def masks(self) -> list[Path]:
        """The masks of all splits, each once."""
        return sorted({pair.mask for pairs in self.splits.values() for pair in pairs if pair.mask and pair.image})


def find_layout(root: Path) -> Layout:
    """Recognise the tree below a folder; raises `DataError` that says what was found and what is recognised."""
    if not root.is_dir():
        near = did_you_mean(root.name, (path.name for path in _folders(root.parent)))
        what = "is not a folder" if root.exists() else "no such folder"
        raise DataError(f"{root}: {what}.{near}")
    layout = _recognise(root)
    if layout is None:
        raise DataError(_unrecognised(root))
    if not any(layout.splits.values()):
        raise DataError(f"{root}: its folders hold no pictures; {', '.join(sorted(SUFFIXES))} files are read")
    return layout


def _recognise(root: Path) -> Layout | None:
    return _voc(root) or _annotated(root) or _split_first(root) or _images_and_masks(root)


def _annotated(root: Path) -> Layout | None:
    names = {path.name for path in _folders(root)}
    found = [name for name in _ordered(names) if f"{name}annot" in names]
    folders = {_canonical(name): (root / name, root / f"{name}annot") for name in found}
    return _matched(root, "annot", folders) if folders else None


def _split_first(root: Path) -> Layout | None:
    names = _ordered(path.name for path in _folders(root))
    if not any(_canonical(name) in _SPLITS for name in names):
        return None  # images/ masks/ side by side in several folders are several data sets
    folders = {}
    for name in names:
        images, masks = _first(root / name, _IMAGES), _first(root / name, _MASKS)
        if images and masks:
            folders[_canonical(name)] = (images, masks)
    return _matched(root, "images", folders) if folders else None


def _images_and_masks(root: Path) -> Layout | None:
    images, masks = _first(root, _IMAGES), _first(root, _MASKS)
    if not images or not masks:
        return None
    inner = {path.name for path in _folders(images)}
    if any(_canonical(name) in _SPLITS for name in inner):
        return _matched(root, "images", {_canonical(name): (images / name, masks / name) for name in _ordered(inner)})
    lists = {path.stem: path for path in sorted(root.glob("*.txt")) if _canonical(path.stem) in _SPLITS}
    lists |= {path.stem: path for path in sorted((root / "splits").glob("*.txt"))}
    if lists:
        return Layout(root, "images", _listed(images, masks, lists), ((images, masks),))
    pairs = match(images, masks)
    return Layout(root, "images", {**by_hash(pairs), "all": pairs}, ((images, masks),))


def _voc(root: Path) -> Layout | None:
    trees = [
        folder
        for pattern in (".", "VOC*", "VOCdevkit/VOC*", "TrainVal/VOCdevkit/VOC*")
        for folder in ([root] if pattern == "." else sorted(root.glob(pattern)))
        if (folder / "JPEGImages").is_dir() and (folder / "SegmentationClass").is_dir()
    ]
    if not trees:
        return None
    if len(trees) > 1:
        raise DataError(f"{root}: holds several data sets; name one of {', '.join(map(str, trees))}")
    images, masks = trees[0] / "JPEGImages", trees[0] / "SegmentationClass"
    lists = {path.stem: path for path in sorted((trees[0] / "ImageSets" / "Segmentation").glob("*.txt"))}
    if lists:
        return Layout(root, "voc", _listed(images, masks, lists), ((images, masks),))
    pairs = tuple(pair for pair in match(images, masks) if pair.mask)  # most of VOC's pictures have no mask
    return Layout(root, "voc", {**by_hash(pairs), "all": pairs}, ((images, masks),))


def _matched(root: Path, kind: str, folders: Mapping[str, tuple[Path, Path]]) -> Layout:
    """Each split's pictures and masks in folders of its own."""
    return Layout(root, kind, {split: match(*both) for split, both in folders.items()}, tuple(folders.values()))


def match(images: Path, masks: Path) -> tuple[Pair, ...]:
    """Every picture of a folder with the mask of its name in another."""
    labels = _index(masks)
    return tuple(Pair(key, path, _mask_of(key, labels)) for key, path in sorted(_index(images).items()))


def _mask_of(key: str, masks: Mapping[str, Path]) -> Path | None:
    return masks.get(key) or masks.get(f"{key}_mask")


def _listed(images: Path, masks: Path, lists: Mapping[str, Path]) -> dict[str, tuple[Pair, ...]]:
    """The splits that list files name, in their order."""
    pictures, labels = _index(images), _index(masks)
    splits = {}
    for split in _ordered(lists):
        keys = [_key_of(name, pictures) or name for name in read_list(lists[split])]
        splits[_canonical(split)] = tuple(Pair(key, pictures.get(key), _mask_of(key, labels)) for key in keys)
    return splits


def read_list(path: Path) -> list[str]:
    """The lines of a list file, without empty ones and comments (#); raises `DataError`."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def _key_of(line: str, pictures: Mapping[str, Path]) -> str | None:
    """The picture that a line of a list file names: by stem, file name or path; a second column is the mask's."""
    for text in (line, line.split()[0]):
        path = PurePosixPath(text)
        parts = (path.with_suffix("") if path.suffix.lower() in SUFFIXES else path).parts
        for start in range(len(parts)):
            key = "/".join(parts[start:])
            if key in pictures:
                return key
    return None


def _index(folder: Path) -> dict[str, Path]:
    """Relative name without suffix → picture, of all pictures below a folder."""
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if is_picture(path):
            key = path.relative_to(folder).with_suffix("").as_posix()
            if key in found:
                raise DataError(f"{folder}: {found[key].name} and {path.name} have the same name; which one counts?")
            found[key] = path
    return found


def by_hash(pairs: Iterable[Pair]) -> dict[str, tuple[Pair, ...]]:
    """The fifth of the names with the lowest hashes is val, the rest train; new files move hardly any old one."""
    ranked = sorted((hashlib.sha256(pair.name.encode()).digest(), pair) for pair in pairs)
    cut = min(max(round(len(ranked) / 5), 1), len(ranked) - 1)
    return {
        "train": tuple(sorted(pair for _, pair in ranked[cut:])),
        "val": tuple(sorted(pair for _, pair in ranked[:cut])),
    }


def _canonical(split: str) -> str:
    return _ALIASES.get(split, split)


def _first(root: Path, names: Iterable[str]) -> Path | None:
    return next((root / name for name in names if (root / name).is_dir()), None)


def _folders(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def _ordered(names: Iterable[str]) -> list[str]:
    """train, val and test first, the others by name."""
    rank: dict[str, int] = {name: place for place, name in enumerate(_SPLITS)}
    return sorted(names, key=lambda name: (rank.get(_canonical(name), len(rank)), name))


def _unrecognised(root: Path) -> str:
    names = [path.name for path in _folders(root)]
    images = _first(root, _IMAGES)
    train = next((name for name in _ordered(names) if _canonical(name) in _SPLITS), None)
    if images:
        return f"{root}: has {images.name}/ but no masks/ beside it; each picture needs a mask of the same name there"
    if train:
        return f"{root}: has {train}/ but no masks for it; they are looked for in {train}annot/ or {train}/masks/"
    inside = [str(path) for path in _folders(root) if _recognise(path)]
    if inside:
        return f"{root}: is not itself a data set, but there is one in {' and in '.join(inside[:5])}"
    pictures = sum(1 for path in root.iterdir() if is_picture(path))
    found = ", ".join(f"{name}/" for name in names[:8]) or "no folders"
    if pictures:
        found += f" and {pictures} pictures without masks"
    return f"{root}: holds {found}, which is no layout that is recognised: {RECOGNISED}"
