"""NYUDv2 and SIFT Flow in the trees of the FCN release."""

from pathlib import Path

import pytest
from data_folders import mask, picture, save

from zoo.data.catalog import open_dataset
from zoo.data.checking import check
from zoo.errors import DataError

scipy_io = pytest.importorskip("scipy.io")

OUTDOOR = "spatial_envelope_256x256_static_8outdoorcategories"


def mat(path: Path, field: str, labels) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy_io.savemat(path, {field: labels}, do_compression=True)


def nyud(root: Path) -> Path:
    for number in range(1, 5):
        save(picture(4, 41, number), root / "data" / "images" / f"img_000{number}.png")
        mat(root / "segmentation" / f"img_000{number}.mat", "segmentation", mask(range(41), 4, 41))
    for split, lines in {"train": "0001\n0002\n", "val": "0003\n", "test": "0004\n"}.items():
        (root / f"{split}.txt").write_text(lines)
    return root


def siftflow(root: Path) -> Path:
    for number, name in enumerate(["coast_1", "street_2"]):
        save(picture(4, 34, number), root / "Images" / OUTDOOR / f"{name}.jpg")
        mat(root / "SemanticLabels" / OUTDOOR / f"{name}.mat", "S", mask(range(34), 4, 34))
    (root / "trainval.txt").write_text("coast_1\n")
    (root / "test.txt").write_text("street_2\n")
    return root


def test_nyud(tmp_path: Path) -> None:
    dataset = open_dataset("nyudv2", "train", root=nyud(tmp_path))
    assert len(dataset) == 2
    assert dataset[0].mask[0].tolist() == [255, *range(40)]
    assert (dataset.classes[0], dataset.classes[39]) == ("wall", "otherprop")
    assert len(set(dataset.palette)) == 40
    report = check("nyudv2", root=tmp_path)
    assert report.ok
    assert [one.images for one in report.splits] == [2, 1, 1]


def test_siftflow(tmp_path: Path) -> None:
    dataset = open_dataset("siftflow", "train", root=siftflow(tmp_path))
    assert dataset.label(0).endswith("coast_1.jpg")
    assert dataset[0].mask[0].tolist() == [255, *range(33)]
    assert dataset.classes[32] == "window"
    merged = open_dataset("siftflow", "test", root=tmp_path, values={label: label // 17 for label in range(33)})
    assert merged[0].mask.unique().tolist() == [0, 1, 255]


def test_missing_lists_and_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no list val\.txt .* it has test, trainval"):
        open_dataset("siftflow", "val", root=siftflow(tmp_path / "s"))
    (nyud(tmp_path / "n") / "segmentation" / "img_0004.mat").unlink()
    with pytest.raises(DataError, match="have no mask: 0004"):
        open_dataset("nyudv2", "test", root=tmp_path / "n")


@pytest.mark.parametrize("name", ["nyudv2", "siftflow"])
def test_absent(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"'{name}' is not on this machine; looked for .* get it from http"):
        open_dataset(name, "train", root=tmp_path)
