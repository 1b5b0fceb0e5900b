"""The nuclei: a split that has a fifth of every kind of picture."""

from collections import Counter

import numpy as np
import pytest
from PIL import Image

from zoo.data.catalog import open_dataset
from zoo.errors import DataError


def _tree(root, counts):
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for size, count in counts.items():
        for index in range(count):
            name = f"{size[0]}x{size[1]}_{index}"
            Image.new("RGB", size, (index, 0, 0)).save(root / "images" / f"{name}.jpg")
            Image.fromarray(np.full(size[::-1], index % 2, np.uint8)).save(root / "masks" / f"{name}.png")


def test_every_size_gives_a_fifth_to_val(tmp_path):
    counts = {(16, 16): 20, (24, 16): 10, (32, 32): 5, (40, 8): 1}
    _tree(tmp_path / "nuclei", counts)
    names = {}
    for split in ("train", "val"):
        dataset = open_dataset("nuclei", split, root=tmp_path)
        assert dataset.classes == ("background", "nucleus")
        names[split] = [dataset.label(index) for index in range(len(dataset))]
        assert dataset[0].mask.max() <= 1
    assert not set(names["train"]) & set(names["val"])
    assert sum(map(len, names.values())) == 36

    def sizes(split):
        return Counter(name.rpartition("/")[2].split("_")[0] for name in names[split])

    assert sizes("val") == {"16x16": 4, "24x16": 2, "32x32": 1}
    assert sizes("train")["40x8"] == 1


def test_a_new_picture_does_not_move_those_of_other_sizes(tmp_path):
    _tree(tmp_path / "a", {(16, 16): 20})
    _tree(tmp_path / "b", {(16, 16): 20, (24, 16): 7})
    before, after = (open_dataset("nuclei", "val", root=tmp_path / name) for name in "ab")
    kept = {after.label(index).rpartition("/")[2] for index in range(len(after))}
    assert {before.label(index).rpartition("/")[2] for index in range(len(before))} <= kept


def test_says_where_it_looked(tmp_path):
    with pytest.raises(DataError, match=r"images/ and masks/.*BBBC038"):
        open_dataset("nuclei", "train", root=tmp_path)


def test_a_damaged_picture_is_named(tmp_path):
    _tree(tmp_path, {(16, 16): 2})
    (tmp_path / "images" / "16x16_0.jpg").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"16x16_0\.jpg"):
        open_dataset("nuclei", "train", root=tmp_path)


def test_the_real_ones(shared_data):
    folder = shared_data / "nuclei"
    if not folder.is_dir():
        pytest.skip(f"needs {folder}")
    train, val = (open_dataset("nuclei", split, root=folder) for split in ("train", "val"))
    assert (len(train), len(val)) == (531, 133)
