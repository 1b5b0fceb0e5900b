"""Folder trees are recognised, splits found, missing files named."""

from pathlib import Path

import pytest
from data_folders import mask, pairs, picture, save, simple

from zoo.data.layouts import find_layout
from zoo.errors import DataError


def names(root: Path, split: str) -> list[str]:
    return [image.stem for image, _ in find_layout(root).pairs(split)]


def test_annot_folders(tmp_path: Path) -> None:
    for split, count in (("train", 3), ("val", 2), ("night", 1)):
        pairs(tmp_path / split, tmp_path / f"{split}annot", [f"{split}{i}" for i in range(count)])
    (tmp_path / "test").mkdir()  # without masks it is no split
    layout = find_layout(tmp_path)
    assert {split: len(found) for split, found in layout.splits.items()} == {"train": 3, "val": 2, "night": 1}
    image, label = layout.pairs("val")[1]
    assert image == tmp_path / "val" / "val1.png"
    assert label == tmp_path / "valannot" / "val1.png"
    with pytest.raises(DataError, match="no split 'test'; it has train, val, night"):
        layout.pairs("test")


def test_split_folders_inside_images_and_masks(tmp_path: Path) -> None:
    for split in ("training", "validation", "extra"):
        pairs(tmp_path / "images" / split, tmp_path / "masks" / split, [f"{split}1"])
    assert list(find_layout(tmp_path).splits) == ["train", "val", "extra"]
    assert names(tmp_path, "val") == ["validation1"]
    assert names(tmp_path, "validation") == ["validation1"]


def test_splits_first(tmp_path: Path) -> None:
    for split in ("train", "valid"):
        pairs(tmp_path / split / "images", tmp_path / split / "masks", [f"{split}1"])
    assert list(find_layout(tmp_path).splits) == ["train", "val"]


@pytest.mark.parametrize("where", [".", "splits"])
def test_list_files(tmp_path: Path, where: str) -> None:
    simple(tmp_path, 6)
    (tmp_path / where).mkdir(exist_ok=True)
    (tmp_path / where / "train.txt").write_text("# stems, file names, paths\np04\n\np02.png\nimages/p00.png\n")
    (tmp_path / where / "val.txt").write_text("/far/away/images/p01.png /far/away/masks/p01.png\n")
    (tmp_path / "classes.txt").write_text("background\ncell\n")
    assert list(find_layout(tmp_path).splits) == ["train", "val"]
    assert names(tmp_path, "train") == ["p04", "p02", "p00"]  # in the order of the list
    assert names(tmp_path, "val") == ["p01"]


def test_list_files_with_spaces_in_names(tmp_path: Path) -> None:
    pairs(tmp_path / "images", tmp_path / "masks", ["my cell 1", "my cell 2"])
    (tmp_path / "train.txt").write_text("my cell 1\n")
    (tmp_path / "val.txt").write_text("my cell 2.png\n")
    assert names(tmp_path, "val") == ["my cell 2"]


def test_list_files_that_name_what_is_not_there(tmp_path: Path) -> None:
    simple(tmp_path, 2)
    (tmp_path / "train.txt").write_text("p00\np07\n")
    with pytest.raises(DataError, match="1 of 2 samples of split 'train' have no picture: p07"):
        find_layout(tmp_path).pairs("train")


def test_without_splits_a_fifth_is_held_out_by_name(tmp_path: Path) -> None:
    simple(tmp_path, 30)
    train, val = names(tmp_path, "train"), names(tmp_path, "val")
    assert len(val) == 6
    assert not set(train) & set(val)
    assert sorted(train + val) == names(tmp_path, "all")
    save(picture(), tmp_path / "images" / "new.png")
    save(mask(), tmp_path / "masks" / "new.png")
    assert len(set(val) - set(names(tmp_path, "val"))) <= 1


def test_two_pictures_are_enough_to_split(tmp_path: Path) -> None:
    simple(tmp_path, 2)
    assert len(names(tmp_path, "train")) == len(names(tmp_path, "val")) == 1


def test_one_picture_has_no_validation(tmp_path: Path) -> None:
    simple(tmp_path, 1)
    assert names(tmp_path, "train") == ["p00"]
    with pytest.raises(DataError, match="split 'val' is empty"):
        find_layout(tmp_path).pairs("val")


@pytest.mark.parametrize("below", [".", "VOC2012", "VOCdevkit/VOC2012"])
def test_voc_tree(tmp_path: Path, below: str) -> None:
    root = tmp_path / below
    pairs(root / "JPEGImages", root / "SegmentationClass", ["2007_1", "2007_2"])
    save(picture(), root / "JPEGImages" / "2007_3.jpg")  # most of VOC's pictures have no mask
    (root / "ImageSets" / "Segmentation").mkdir(parents=True)
    for split, lines in {"train": "2007_1\n", "val": "2007_2\n", "trainval": "2007_1\n2007_2\n"}.items():
        (root / "ImageSets" / "Segmentation" / f"{split}.txt").write_text(lines)
    layout = find_layout(tmp_path)
    assert layout.kind == "voc"
    assert [image.stem for image, _ in layout.pairs("trainval")] == ["2007_1", "2007_2"]


def test_several_voc_trees_ask_for_one(tmp_path: Path) -> None:
    for year in ("VOC2007", "VOC2012"):
        pairs(tmp_path / year / "JPEGImages", tmp_path / year / "SegmentationClass", ["1"])
    with pytest.raises(DataError, match=r"several data sets; name one of .*VOC2007.*VOC2012"):
        find_layout(tmp_path)


def test_nested_folders_and_other_suffixes_and_hidden_files(tmp_path: Path) -> None:
    save(picture(), tmp_path / "images" / "aachen" / "x.JPG")
    save(mask(), tmp_path / "masks" / "aachen" / "x.png")
    save(picture(), tmp_path / "images" / "bonn" / "x.tif")
    save(mask(), tmp_path / "masks" / "bonn" / "x_mask.png")
    (tmp_path / "images" / "._x.jpg").write_bytes(b"")
    (tmp_path / "images" / "Thumbs.db").write_bytes(b"")
    files = find_layout(tmp_path).pairs("all")
    assert [label.name for _, label in files] == ["x.png", "x_mask.png"]


def test_pictures_without_masks_are_named(tmp_path: Path) -> None:
    simple(tmp_path, 10)
    for name in ("p03", "p07"):
        (tmp_path / "masks" / f"{name}.png").unlink()
    with pytest.raises(DataError, match="2 of 10 samples of split 'all' have no mask: p03, p07"):
        find_layout(tmp_path).pairs("all")


def test_two_pictures_of_one_name_are_refused(tmp_path: Path) -> None:
    simple(tmp_path, 2)
    save(picture(), tmp_path / "images" / "p01.jpg")
    with pytest.raises(DataError, match=r"p01\.jpg and p01\.png"):
        find_layout(tmp_path)


def test_an_unknown_split_gets_a_suggestion(tmp_path: Path) -> None:
    simple(tmp_path, 4)
    with pytest.raises(DataError, match=r"no split 'trian'; it has train, val, all. Did you mean 'train'"):
        find_layout(tmp_path).pairs("trian")


def test_folders_without_masks(tmp_path: Path) -> None:
    save(picture(), tmp_path / "a" / "images" / "x.png")
    with pytest.raises(DataError, match="has images/ but no masks/"):
        find_layout(tmp_path / "a")
    save(picture(), tmp_path / "b" / "train" / "x.png")
    with pytest.raises(DataError, match=r"has train/ but no masks for it; .* trainannot/"):
        find_layout(tmp_path / "b")
    save(picture(), tmp_path / "c" / "x.png")
    with pytest.raises(DataError, match=r"no folders and 1 pictures without masks, .* trainannot/"):
        find_layout(tmp_path / "c")


def test_a_folder_above_or_beside_the_data_gets_a_hint(tmp_path: Path) -> None:
    simple(tmp_path / "cells", 3)
    with pytest.raises(DataError, match=r"is not itself a data set, but there is one in .*cells"):
        find_layout(tmp_path)
    with pytest.raises(DataError, match=r"no such folder. Did you mean 'cells'"):
        find_layout(tmp_path / "cell")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="is not a folder"):
        find_layout(tmp_path / "file")


def test_empty_folders(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    with pytest.raises(DataError, match="hold no pictures"):
        find_layout(tmp_path)


def test_names_with_dots(tmp_path: Path) -> None:
    pairs(tmp_path / "images", tmp_path / "masks", ["frame.001", "frame.002"])
    (tmp_path / "train.txt").write_text("frame.001\nframe.002.png\n")
    assert names(tmp_path, "train") == ["frame.001", "frame.002"]
