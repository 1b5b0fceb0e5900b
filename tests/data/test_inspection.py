"""Every mask is looked at before training does."""

from pathlib import Path

import numpy as np
import pytest
import torch
from data_folders import mask, picture, save, simple
from torchvision import tv_tensors

from zoo.data.dataset import Sample, SegmentationDataset
from zoo.data.folder import FolderDataset
from zoo.data.inspection import inspect
from zoo.data.shapes import Shapes
from zoo.errors import DataError


class Given(SegmentationDataset):
    """Masks handed over as arrays, pictures black."""

    name, split, palette = "given", "train", ((0, 0, 0),) * 3
    classes = ("a", "b", "c")

    def __init__(self, *masks: list[list[int]]) -> None:
        self.masks = masks

    def __len__(self) -> int:
        return len(self.masks)

    def __getitem__(self, index: int) -> Sample:
        labels = torch.tensor(self.masks[index])
        return Sample(tv_tensors.Image(torch.zeros(3, *labels.shape, dtype=torch.uint8)), tv_tensors.Mask(labels))


def test_counts_against_counting_by_hand() -> None:
    found = inspect(Given([[0, 0, 1], [255, 0, 1]], [[0, 255]], [[255]]))
    assert found.images == 3
    assert found.pixels == (4, 2, 0)
    assert found.image_pixels == (6, 5, 0)
    assert found.occurrences == (2, 1, 0)
    assert (found.ignored, found.blank) == (3, 1)
    assert (found.smallest, found.largest) == ((1, 1), (2, 3))
    assert found.absent == ("c",)
    assert found.shares() == (4 / 6, 2 / 6, 0)
    assert found.num_classes == 3
    assert found.to_json()["pixels"] == {"a": 4, "b": 2, "c": 0}


def test_a_folder(tmp_path: Path) -> None:
    found = inspect(FolderDataset(simple(tmp_path, 6), "all"))
    bands = np.bincount(mask().ravel())
    assert found.pixels == tuple(6 * bands)


@pytest.mark.parametrize("wrong", [3, 254, 256, 1000, -1])
def test_labels_of_any_data_set_are_checked(wrong: int) -> None:
    with pytest.raises(DataError, match=rf"train/00001: label value {wrong} at row 0, column 1.*0…2, and 255"):
        inspect(Given([[0, 1]], [[0, wrong]]))


def test_sizes_of_any_data_set_are_compared() -> None:
    class Uneven(Given):
        def size(self, index: int) -> tuple[int, int]:
            return 2, 2

    with pytest.raises(DataError, match=r"train/00000: the picture is 2 × 2 pixels, .* shape \(1, 2\)"):
        inspect(Uneven([[0, 1]]))


def test_the_first_wrong_file_is_named(tmp_path: Path) -> None:
    simple(tmp_path, 40)
    (tmp_path / "data.toml").write_text("classes = 3\n")
    for name in ("p31", "p17", "p39"):
        save(mask([0, 9]), tmp_path / "masks" / f"{name}.png")
    with pytest.raises(DataError, match=r"p17\.png: label value 9 at row 0, column 8"):
        inspect(FolderDataset(tmp_path, "all"))


def test_sizes_are_compared_without_decoding_pictures(tmp_path: Path) -> None:
    simple(tmp_path, 3)
    save(picture(5, 5), tmp_path / "images" / "p02.png")
    with pytest.raises(DataError, match=r"p02\.png: is 5 × 5 pixels, but its mask"):
        inspect(FolderDataset(tmp_path, "all"))


def test_damaged_masks_are_found_and_damaged_pictures_on_request(tmp_path: Path) -> None:
    simple(tmp_path, 3)
    path = save(picture(64, 64), tmp_path / "images" / "p01.png")
    save(mask(height=64, width=64), tmp_path / "masks" / "p01.png")
    path.write_bytes(path.read_bytes()[:3000])
    dataset = FolderDataset(tmp_path, "all")
    assert inspect(dataset).images == 3
    with pytest.raises(DataError, match=r"p01\.png: is damaged"):
        inspect(dataset, decode=True)
    (tmp_path / "masks" / "p02.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(DataError, match=r"masks/p02\.png"):
        inspect(dataset)


def test_a_set_without_any_label_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="every pixel of split 'train' is ignored"):
        inspect(Given([[255, 255]]))
    with pytest.raises(DataError, match="is empty"):
        inspect(Given())


def test_binary_masks_under_a_class_table_get_the_offer(tmp_path: Path) -> None:
    simple(tmp_path, 4, [0, 255])
    (tmp_path / "data.toml").write_text('classes = ["ground", "cell"]\n')
    with pytest.raises(DataError, match=r"values = \{0 = 0, 255 = 1\}"):
        inspect(FolderDataset(tmp_path, "all"))
    (tmp_path / "data.toml").write_text('classes = ["ground", "cell"]\nignore = 255\n')
    assert inspect(FolderDataset(tmp_path, "all")).pixels[1] == 0  # said so: 255 is no label


def test_shapes_have_every_class() -> None:
    found = inspect(Shapes("val"))
    assert found.images == 200
    assert found.absent == ()
    assert found.ignored == 0


def test_camvid_matches_published_shares(shared_data: Path) -> None:
    found = inspect(FolderDataset(shared_data / "camvid", "train"))
    total = 367 * 360 * 480
    shares = [round(100 * count / total, 1) for count in (*found.pixels, found.ignored)]
    assert shares == [16.8, 23.3, 1.0, 31.7, 4.5, 9.7, 1.2, 1.1, 5.9, 0.6, 0.3, 3.9]
