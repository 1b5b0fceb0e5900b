"""VOC with SBD: the lists are made as papers made them, masks come from PNG and MATLAB files."""

from pathlib import Path

import numpy as np
import pytest
from data_folders import mask, picture, save

from zoo.data.catalog import open_dataset
from zoo.data.checking import check, require
from zoo.data.inspection import inspect
from zoo.data.matlab import read_mat
from zoo.errors import DataError

scipy_io = pytest.importorskip("scipy.io")


def mat(path: Path, labels: np.ndarray) -> None:
    """As in SBD: a structure GTcls with the fields Boundaries, Segmentation, CategoriesPresent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fields = {"Boundaries": np.zeros((20, 1)), "Segmentation": labels, "CategoriesPresent": np.unique(labels)}
    scipy_io.savemat(path, {"GTcls": fields}, do_compression=True)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    voc, sbd = tmp_path / "VOCdevkit" / "VOC2012", tmp_path / "benchmark_RELEASE" / "dataset"
    for seed, name in enumerate("abcdefg"):
        save(picture(seed=seed), voc / "JPEGImages" / f"{name}.jpg")
    for name in "abc":
        save(mask((0, 15, 255)), voc / "SegmentationClass" / f"{name}.png")
    for name in "bcdefg":
        mat(sbd / "cls" / f"{name}.mat", mask((0, 3)))
    lists = {
        voc / "ImageSets" / "Segmentation" / "train.txt": "a\nb\n",
        voc / "ImageSets" / "Segmentation" / "val.txt": "c\n",
        tmp_path / "VOCdevkit" / "VOC2011" / "ImageSets" / "Segmentation" / "val.txt": "a\nb\nc\n",
        sbd / "train.txt": "b\nd\ng\n",
        sbd / "val.txt": "c\ne\nf\n",
    }
    for path, text in lists.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def names(dataset) -> list[str]:
    return [Path(dataset.label(index)).stem for index in range(len(dataset))]


def test_train_aug(root: Path) -> None:
    dataset = open_dataset("voc2012_aug", "train", root=root)
    assert names(dataset) == ["a", "b", "d", "e", "f", "g"]
    assert dataset[1].mask.unique().tolist() == [0, 15, 255], "VOC's own mask where there is one"
    assert dataset[2].mask.unique().tolist() == [0, 3]
    assert (dataset.labels(2) == mask((0, 3))).all()
    assert names(open_dataset("voc2012_aug", "train_aug", root=root)) == names(dataset)
    assert inspect(dataset).classes[15] == "person"


def test_the_other_lists(root: Path) -> None:
    assert names(open_dataset("voc2012_aug", "val", root=root)) == ["c"]
    assert names(open_dataset("voc2012_aug", "seg11valid", root=root)) == ["a", "c"]
    sbd = root / "benchmark_RELEASE" / "dataset"
    with pytest.raises(DataError, match=r"train_noval\.txt: is not there; .*get it from http"):
        open_dataset("voc2012_aug", "train_noval", root=root)
    (sbd / "train_noval.txt").write_text("b\nd\n")
    dataset = open_dataset("voc2012_aug", "train_noval", root=root)
    assert dataset[0].mask.unique().tolist() == [0, 3], "SBD's mask throughout"
    with pytest.raises(DataError, match="has no split 'test'"):
        open_dataset("voc2012_aug", "test", root=root)


def test_masks_converted_by_others(root: Path) -> None:
    save(mask((0, 4)), root / "VOCdevkit" / "VOC2012" / "SegmentationClassAug" / "d.png")
    assert open_dataset("voc2012_aug", "train", root=root)[2].mask.unique().tolist() == [0, 4]


def test_seg11valid_needs_the_list_of_2011(root: Path) -> None:
    (root / "VOCdevkit" / "VOC2011" / "ImageSets" / "Segmentation" / "val.txt").unlink()
    with pytest.raises(DataError, match="VOCtrainval_25-May-2011"):
        open_dataset("voc2012_aug", "seg11valid", root=root)
    (root / "VOCdevkit" / "VOC2012" / "ImageSets" / "Segmentation" / "seg11valid.txt").write_text("b\n")
    assert names(open_dataset("voc2012_aug", "seg11valid", root=root)) == ["b"]


def test_it_is_checked(root: Path) -> None:
    assert check("voc2012_aug", root=root).ok
    (root / "benchmark_RELEASE" / "dataset" / "cls" / "e.mat").write_bytes(b"MATLAB 5.0, not")
    report = check("voc2012_aug", root=root)
    assert [problem.kind for problem in report.problems] == ["unreadable"]
    assert "no MATLAB file" in report.problems[0].items[0]
    require("voc2012_aug", ["val"], root=root)
    with pytest.raises(DataError, match="1 sample that cannot be read"):
        require("voc2012_aug", ["train", "val"], root=root)


def test_absent(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"looked for VOCdevkit/VOC2012/ and benchmark_RELEASE/dataset/.*benchmark\.tgz"
    ):
        open_dataset("voc2012_aug", "train", root=tmp_path)


def test_matlab_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scipy_io.savemat(tmp_path / "m.mat", {"S": mask((0, 9)), "half": np.full((2, 2), 0.5), "text": "no map"})
    assert (read_mat(tmp_path / "m.mat", ["S"]) == mask((0, 9))).all()
    for field, message in (("T", "holds no T"), ("half", "no map of whole"), ("text", "no map of whole")):
        with pytest.raises(DataError, match=message):
            read_mat(tmp_path / "m.mat", [field])
    with pytest.raises(DataError, match="no such file"):
        read_mat(tmp_path / "none.mat", ["S"])
    monkeypatch.setitem(__import__("sys").modules, "scipy.io", None)
    with pytest.raises(DataError, match="pip install scipy"):
        read_mat(tmp_path / "m.mat", ["S"])
