"""A folder becomes a data set: classes found, values mapped, mistakes named by file."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from data_folders import mask, pairs, picture, save, simple
from PIL import Image
from torchvision import tv_tensors

from zoo.data.folder import FolderDataset
from zoo.data.images import voc_palette
from zoo.data.recognised import CAMVID, VOC
from zoo.errors import DataError


def test_samples(tmp_path: Path) -> None:
    dataset = FolderDataset(simple(tmp_path, 5), "all")
    assert len(dataset) == 5
    sample = dataset[3]
    assert isinstance(sample.image, tv_tensors.Image)
    assert isinstance(sample.mask, tv_tensors.Mask)
    assert sample.image.dtype == torch.uint8
    assert sample.mask.dtype == torch.int64
    assert np.array_equal(sample.image.permute(1, 2, 0).numpy(), picture(seed=3))
    assert np.array_equal(sample.mask.numpy(), mask())
    assert np.array_equal(dataset.labels(3), mask())
    assert dataset.size(3) == (12, 16)
    assert dataset.label(3) == "images/p03.png"
    assert repr(dataset) == f"<{tmp_path.name} all: 5 samples, 3 classes>"
    assert len(list(dataset)) == 5


def test_it_travels_to_workers(tmp_path: Path) -> None:
    dataset = FolderDataset(simple(tmp_path), "train")
    copy = pickle.loads(pickle.dumps(dataset))
    assert torch.equal(copy[1].mask, dataset[1].mask)


def test_without_a_table_the_masks_of_all_splits_count_the_classes(tmp_path: Path) -> None:
    pairs(tmp_path / "train", tmp_path / "trainannot", ["a"], [0, 1])
    pairs(tmp_path / "val", tmp_path / "valannot", ["b"], [0, 4, 255])
    train, val = FolderDataset(tmp_path, "train"), FolderDataset(tmp_path, "val")
    assert train.classes == val.classes == tuple(f"class {i}" for i in range(5))
    assert train.palette == voc_palette(5)
    assert set(val[0].mask.unique().tolist()) == {0, 4, 255}


def test_the_count_follows_when_masks_change(tmp_path: Path) -> None:
    simple(tmp_path, 4)
    assert FolderDataset(tmp_path, "train").num_classes == 3
    save(mask([0, 6, 1, 2]), tmp_path / "masks" / "p00.png")
    assert FolderDataset(tmp_path, "train").num_classes == 7


def test_data_toml(tmp_path: Path) -> None:
    simple(tmp_path, 4, [0, 100, 7, 255])
    (tmp_path / "data.toml").write_text(
        'name = "cells"\nclasses = ["ground", "cell"]\npalette = [[1, 1, 1], [2, 2, 2]]\n'
        "ignore = 7\nvalues = {0 = 0, 100 = 1}\n"
    )
    dataset = FolderDataset(tmp_path, "train")
    assert (dataset.name, dataset.classes) == ("cells", ("ground", "cell"))
    assert dataset.palette == ((1, 1, 1), (2, 2, 2))
    assert dataset[0].mask[0].unique().tolist() == [0, 1, 255]
    other = FolderDataset(tmp_path, "train", values={0: 1, 100: 0})
    assert other.classes == ("ground", "cell")
    assert torch.equal(other[0].mask == 1, dataset[0].mask == 0)


def test_masks_in_colours_with_a_palette(tmp_path: Path) -> None:
    colors = np.array([(128, 128, 128), (0, 0, 0), (128, 64, 128)], np.uint8)
    save(picture(), tmp_path / "images" / "a.png")
    save(colors[mask()], tmp_path / "masks" / "a.png")
    with pytest.raises(DataError, match="list `classes` and `palette`"):
        FolderDataset(tmp_path, "all")
    (tmp_path / "data.toml").write_text(
        'classes = ["sky", "road"]\npalette = [[128, 128, 128], [128, 64, 128]]\nignore = [[0, 0, 0]]\n'
    )
    dataset = FolderDataset(tmp_path, "all")
    assert np.array_equal(dataset.labels(0), np.array([0, 255, 1])[mask()])


def test_binary_masks_get_an_offer_that_works(tmp_path: Path) -> None:
    simple(tmp_path, 4, [0, 255])
    with pytest.raises(DataError) as error:
        FolderDataset(tmp_path, "train")
    assert "values = {0 = 0, 255 = 1}" in str(error.value)
    assert "-o data.values='{0=0,255=1}'" in str(error.value)
    direct = FolderDataset(tmp_path, "train", values={0: 0, 255: 1})
    (tmp_path / "data.toml").write_text("values = {0 = 0, 255 = 1}\n")
    written = FolderDataset(tmp_path, "train")
    for dataset in (direct, written):
        assert dataset.num_classes == 2
        assert np.array_equal(dataset.labels(0), mask([0, 1]))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 127, 254], r"values 0, 127, 254, which are no labels .* values = \{0 = 0, 127 = 1, 254 = 2\}"),
        ([0, 128, 255], r"values = \{0 = 0, 128 = 1, 255 = 2\}"),
        ([0, 1, 300], "values 0, 1, 300"),
        ([0, 1000], "values 0, 1000"),
        ([255], "hold no label, only ignored values"),
        ([0], "nothing but 0"),
    ],
)
def test_values_that_are_no_labels(tmp_path: Path, labels: list[int], message: str) -> None:
    simple(tmp_path, 3, labels)
    with pytest.raises(DataError, match=message):
        FolderDataset(tmp_path, "train")


def test_sixteen_bit_masks_with_values(tmp_path: Path) -> None:
    simple(tmp_path, 2, [0, 1000, 40000])
    dataset = FolderDataset(tmp_path, "all", values={0: 0, 1000: 1, 40000: 255})
    assert np.array_equal(dataset.labels(0), mask([0, 1, 255]))


def test_a_label_out_of_range_is_named(tmp_path: Path) -> None:
    simple(tmp_path, 3)
    (tmp_path / "data.toml").write_text('classes = ["a", "b"]\n')
    dataset = FolderDataset(tmp_path, "all")
    with pytest.raises(DataError, match=r"masks/p01\.png: label value 2 at row 0, column 12, .*classes are 0…1"):
        dataset[1]


def test_sizes_must_agree(tmp_path: Path) -> None:
    simple(tmp_path, 3)
    save(mask(height=11), tmp_path / "masks" / "p01.png")
    dataset = FolderDataset(tmp_path, "all")
    with pytest.raises(DataError, match=r"p01\.png: is 16 × 12 pixels, but its mask .*p01\.png is 16 × 11"):
        dataset[1]


def test_a_turned_picture_and_its_mask(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for name in ("a", "b"):
        save(picture(12, 16), tmp_path / "images" / f"{name}.png", exif=exif)
    save(mask(height=16, width=12), tmp_path / "masks" / "a.png")  # drawn on the picture as shown
    save(mask(height=12, width=16), tmp_path / "masks" / "b.png")  # drawn on the picture as stored
    dataset = FolderDataset(tmp_path, "all")
    assert dataset[0].image.shape == (3, 16, 12)
    assert dataset.size(0) == (16, 12)
    with pytest.raises(DataError, match="turned by its EXIF orientation, the mask is not"):
        dataset[1]


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_channels(tmp_path: Path, channels: int) -> None:
    assert FolderDataset(simple(tmp_path, 2), "all", channels=channels)[0].image.shape[0] == channels


def test_other_channels_are_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not 5"):
        FolderDataset(simple(tmp_path, 2), "all", channels=5)


def camvid_like(root: Path, labels: list[int]) -> Path:
    pairs(root / "train", root / "trainannot", ["0001TP_006690", "0006R0_f00930"], labels)
    pairs(root / "val", root / "valannot", ["0016E5_07959", "Seq05VD_f00000"], labels)
    return root


def test_camvid_is_recognised(tmp_path: Path) -> None:
    dataset = FolderDataset(camvid_like(tmp_path, [0, 10, 11]), "val")
    assert dataset.classes == CAMVID.classes
    assert dataset.palette == CAMVID.palette
    assert dataset[0].mask[0].unique().tolist() == [0, 10, 255]
    merged = FolderDataset(tmp_path, "val", values={i: int(i == 3) for i in range(11)})
    assert merged.classes[1] == "Road"
    assert merged.num_classes == 2
    (tmp_path / "data.toml").write_text("classes = 12\n")
    assert FolderDataset(tmp_path, "val").num_classes == 12  # what the folder says itself counts


def test_other_names_in_that_layout_are_not_camvid(tmp_path: Path) -> None:
    camvid_like(tmp_path, [0, 1])
    pairs(tmp_path / "train", tmp_path / "trainannot", ["holiday"], [0, 1])
    assert FolderDataset(tmp_path, "val").num_classes == 2


def test_voc_is_recognised_and_its_colours_are_read(tmp_path: Path) -> None:
    pairs(tmp_path / "JPEGImages", tmp_path / "SegmentationClass", ["2007_000032"], [0, 15, 255])
    colors = np.array(voc_palette(256), np.uint8)
    save(picture(), tmp_path / "JPEGImages" / "2012_004331.jpg")
    save(colors[mask([0, 15, 255])], tmp_path / "SegmentationClass" / "2012_004331.png")
    dataset = FolderDataset(tmp_path, "all")
    assert dataset.classes == VOC.classes
    assert dataset.classes[15] == "person"
    for index in range(2):
        assert np.array_equal(dataset.labels(index), mask([0, 15, 255]))


def test_other_names_in_vocs_tree_are_not_voc(tmp_path: Path) -> None:
    pairs(tmp_path / "JPEGImages", tmp_path / "SegmentationClass", ["holiday"], [0, 2])
    assert FolderDataset(tmp_path, "all").num_classes == 3


@pytest.mark.parametrize(
    ("folder", "split", "count", "classes"),
    [
        ("camvid", "train", 367, 11),
        ("camvid", "val", 101, 11),
        ("nuclei", "train", 531, 2),
        ("voc_sample", "train", 4, 21),
    ],
)
def test_real_folders(shared_data: Path, folder: str, split: str, count: int, classes: int) -> None:
    dataset = FolderDataset(shared_data / folder, split)
    assert (len(dataset), dataset.num_classes) == (count, classes)
    sample = dataset[0]
    assert sample.image.shape[-2:] == sample.mask.shape
    assert set(sample.mask.unique().tolist()) <= {*range(classes), 255}


def test_real_membrane_masks_get_the_offer(shared_data: Path) -> None:
    with pytest.raises(DataError, match=r"hold only 0 and 255.*values = \{0 = 0, 255 = 1\}"):
        FolderDataset(shared_data / "membrane", "train")
    assert FolderDataset(shared_data / "membrane", "train", channels=1, values={0: 0, 255: 1})[0].image.shape[0] == 1
