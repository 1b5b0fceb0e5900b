"""Data sets in the folder trees of their publishers: Cityscapes, ADE20K, Oxford-IIIT Pet."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from data_folders import mask, picture, save

from zoo.data.catalog import open_dataset
from zoo.data.checking import check
from zoo.data.layouts import by_hash
from zoo.errors import DataError
from zoo.registry import registry


def cityscapes(root: Path) -> Path:
    for seed, (split, city) in enumerate([("train", "aachen"), ("train", "bochum"), ("val", "lindau")]):
        name = f"{city}_000000_000019"
        save(picture(12, 35, seed), root / "leftImg8bit" / split / city / f"{name}_leftImg8bit.png")
        for kind in ("labelIds", "labelTrainIds", "instanceIds"):
            save(mask(range(34), 12, 34 + 1), root / "gtFine" / split / city / f"{name}_gtFine_{kind}.png")
        ids = np.tile(np.arange(35, dtype=np.uint8), (12, 1))
        ids[:, 34] = 255  # the licence plate, -1
        save(ids, root / "gtFine" / split / city / f"{name}_gtFine_labelIds.png")
    return root


def test_cityscapes_label_ids_become_train_ids(tmp_path: Path) -> None:
    dataset = open_dataset("cityscapes", "train", root=cityscapes(tmp_path))
    assert len(dataset) == 2
    assert dataset.label(1) == "leftImg8bit/train/bochum/bochum_000000_000019_leftImg8bit.png"
    row = dataset[0].mask[0].tolist()
    # id: 7 road, 8 sidewalk, 11 building … 33 bicycle (cityscapesScripts' table); the rest is ignored
    expected = [255] * 7 + [0, 1, 255, 255, 2, 3, 4, 255, 255, 255, 5, 255, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]
    assert row == [*expected, 255, 255, 16, 17, 18, 255]
    assert dataset.classes[18] == "bicycle"
    assert check("cityscapes", root=tmp_path).ok


def test_cityscapes_merged(tmp_path: Path) -> None:
    values = {label: 0 if label < 2 else 1 if label < 18 else 255 for label in range(19)}
    dataset = open_dataset("cityscapes", "val", root=cityscapes(tmp_path), values=values)
    assert dataset.classes[0] == "road/sidewalk"
    assert dataset[0].mask[0, [0, 7, 8, 11, 32, 33]].tolist() == [255, 0, 0, 1, 1, 255]


def test_cityscapes_needs_its_labels(tmp_path: Path) -> None:
    root = cityscapes(tmp_path)
    with pytest.raises(DataError, match="not public"):
        open_dataset("cityscapes", "test", root=root)
    (root / "gtFine" / "val" / "lindau" / "lindau_000000_000019_gtFine_labelIds.png").unlink()
    with pytest.raises(DataError, match="1 of 1 samples of split 'val' have no mask: lindau/lindau_000000_000019"):
        open_dataset("cityscapes", "val", root=root)


def ade20k(root: Path) -> Path:
    tree = root / "ADEChallengeData2016"
    for seed, (part, name) in enumerate([("training", "ADE_train_00000001"), ("validation", "ADE_val_00000001")]):
        save(picture(4, 151, seed), tree / "images" / part / f"{name}.jpg")
        save(mask(range(151), 4, 151), tree / "annotations" / part / f"{name}.png")
    return root


def test_ade20k_starts_at_1(tmp_path: Path) -> None:
    dataset = open_dataset("ade20k", "train", root=ade20k(tmp_path))
    assert dataset[0].mask[0].tolist() == [255, *range(150)]
    assert (dataset.classes[0], dataset.classes[12], dataset.classes[149]) == ("wall", "person", "flag")
    assert check("ade20k", root=tmp_path).ok


def pets(root: Path, count: int = 10) -> Path:
    tree = root / "oxford-iiit-pet"
    for seed in range(count + 2):
        save(picture(seed=seed), tree / "images" / f"Abyssinian_{seed}.jpg")
        save(mask((1, 2, 3)), tree / "annotations" / "trimaps" / f"Abyssinian_{seed}.png")
    lines = [f"Abyssinian_{seed} 1 1 1\n" for seed in range(count + 2)]
    (tree / "annotations" / "trainval.txt").write_text("#Image CLASS-ID SPECIES BREED ID\n" + "".join(lines[:count]))
    (tree / "annotations" / "test.txt").write_text("".join(lines[count:]))
    return root


def test_oxford_pets(tmp_path: Path) -> None:
    root = pets(tmp_path)
    sizes = {
        split: len(open_dataset("oxford_pets", split, root=root)) for split in ("train", "val", "trainval", "test")
    }
    assert sizes == {"train": 8, "val": 2, "trainval": 10, "test": 2}
    dataset = open_dataset("oxford_pets", "test", root=root)
    assert dataset[0].mask[0].unique().tolist() == [0, 1, 2]
    assert dataset.classes == ("pet", "background", "border")
    report = check("oxford_pets", root=root)
    assert report.ok
    assert [one.split for one in report.splits] == ["train", "val", "test"]


def test_pet_against_background(tmp_path: Path) -> None:
    dataset = open_dataset("oxford_pets", "val", root=pets(tmp_path), values={0: 1, 1: 0, 2: 255})
    assert dataset.classes == ("background", "pet")
    assert dataset[0].mask[0, [0, 6, 15]].tolist() == [1, 0, 255]


def test_pets_without_a_picture(tmp_path: Path) -> None:
    (pets(tmp_path) / "oxford-iiit-pet" / "images" / "Abyssinian_11.jpg").unlink()
    with pytest.raises(DataError, match="have no picture: Abyssinian_11"):
        open_dataset("oxford_pets", "test", root=tmp_path)


def test_pets_are_fetched_by_torchvision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = pets(tmp_path / "source")

    def fetched(root: str, *, target_types: str, download: bool) -> None:
        assert download
        shutil.copytree(source / "oxford-iiit-pet", Path(root) / "oxford-iiit-pet")

    monkeypatch.setattr("torchvision.datasets.OxfordIIITPet", fetched)
    assert len(open_dataset("oxford_pets", "test", root=tmp_path / "home", download=True)) == 2
    assert len(open_dataset("oxford_pets", "test", root=tmp_path / "home")) == 2
    monkeypatch.setattr("torchvision.datasets.OxfordIIITPet", lambda *_, **__: (_ for _ in ()).throw(OSError("no net")))
    with pytest.raises(DataError, match="cannot be put there: no net"):
        open_dataset("oxford_pets", "test", root=tmp_path / "other", download=True)


@pytest.mark.parametrize("name", ["cityscapes", "ade20k", "oxford_pets"])
def test_absent(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"'{name}' is not on this machine; looked .*{tmp_path}") as caught:
        open_dataset(name, "train", root=tmp_path)
    assert "http" in str(caught.value) or "download=true" in str(caught.value)
    spec = registry().get("dataset", name)
    assert spec.meta["licence"]
    assert spec.meta["url"].startswith("http")


def test_hash_split_does_not_depend_on_order(tmp_path: Path) -> None:
    from zoo.data.layouts import Pair

    pairs = [Pair(str(number), None, None) for number in range(20)]
    assert by_hash(pairs) == by_hash(pairs[::-1])
