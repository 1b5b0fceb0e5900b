"""VOC 2012 comes from a tree, a local archive or, on request, from where torchvision fetches it."""

import hashlib
import tarfile
from pathlib import Path

import pytest
from data_folders import mask, pairs, picture, save
from torchvision.datasets.voc import DATASET_YEAR_DICT

from zoo.data.catalog import open_dataset
from zoo.data.voc import VOC2012
from zoo.errors import DataError
from zoo.hub.fetching.download import DownloadError

NAME = "VOCtrainval_11-May-2012.tar"


def tree(root: Path) -> Path:
    voc = root / "VOCdevkit" / "VOC2012"
    pairs(voc / "JPEGImages", voc / "SegmentationClass", ["2007_1", "2007_2"], [0, 15, 255])
    save(picture(), voc / "JPEGImages" / "2007_1.jpg")
    (voc / "JPEGImages" / "2007_1.png").unlink()
    save(picture(), voc / "JPEGImages" / "2007_2.jpg")
    (voc / "JPEGImages" / "2007_2.png").unlink()
    lists = voc / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    for split, lines in {"train": "2007_1\n", "val": "2007_2\n", "trainval": "2007_1\n2007_2\n"}.items():
        (lists / f"{split}.txt").write_text(lines)
    return root


def archive(folder: Path, monkeypatch: pytest.MonkeyPatch, url: str | None = None) -> Path:
    """An archive like the public one, known to torchvision by its hash."""
    source = tree(folder / "source")
    folder.joinpath("home").mkdir()
    path = folder / "home" / NAME
    with tarfile.open(path, "w") as content:
        content.add(source / "VOCdevkit", "VOCdevkit")
    record = {**DATASET_YEAR_DICT["2012"], "md5": hashlib.md5(path.read_bytes()).hexdigest()}
    monkeypatch.setitem(DATASET_YEAR_DICT, "2012", {**record, "url": url or path.as_uri()})
    return path


@pytest.mark.parametrize("below", [".", "VOCdevkit", "VOCdevkit/VOC2012"])
def test_a_tree(tmp_path: Path, below: str) -> None:
    dataset = VOC2012("trainval", root=tree(tmp_path) / below)
    assert len(dataset) == 2
    assert (dataset.name, dataset.num_classes, dataset.classes[15]) == ("voc2012", 21, "person")
    assert dataset[0].mask[0].unique().tolist() == [0, 15, 255]
    assert (dataset.labels(0) == mask([0, 15, 255])).all()


def test_absent(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'voc2012' is not on this machine; looked in .*download=True"):
        open_dataset("voc2012", "train", root=tmp_path)


def test_there_is_no_public_test_split(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no split 'test'; it has train, val, trainval"):
        VOC2012("test", root=tree(tmp_path))


@pytest.mark.parametrize("given", ["folder", "file"])
def test_a_local_archive_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, capfd) -> None:
    path = archive(tmp_path, monkeypatch, url="https://127.0.0.1:1/never.tar")
    root = path.parent if given == "folder" else path
    assert len(VOC2012("val", root=root)) == 1
    assert capfd.readouterr().out == ""
    assert sorted(item.name for item in path.parent.iterdir()) == ["VOCdevkit", NAME]


def test_a_damaged_archive_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archive(tmp_path, monkeypatch)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError, match=r"11-May-2012\.tar: is damaged"):
        VOC2012("val", root=path.parent, download=True)


def test_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive(tmp_path, monkeypatch)  # fetched from there, over file://
    assert len(VOC2012("train", root=tmp_path / "new", download=True)) == 1
    folder = tmp_path / "new" / "voc2012"
    assert [item.name for item in folder.iterdir()] == ["VOCdevkit"]
    assert len(VOC2012("train", root=tmp_path / "new")) == 1


def test_a_failed_download_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive(tmp_path, monkeypatch, url=(tmp_path / "gone.tar").as_uri())
    monkeypatch.setattr("zoo.data.voc.MIRRORS", ())
    monkeypatch.setattr("zoo.hub.fetching.download._PAUSE", 0)
    with pytest.raises(DownloadError, match=r"gone\.tar"):
        VOC2012("train", root=tmp_path / "new", download=True)
    assert list((tmp_path / "new" / "voc2012").iterdir()) == []


def test_the_real_sample(shared_data: Path) -> None:
    dataset = VOC2012("train", root=shared_data / "voc_sample")
    assert dataset.num_classes == 21
    assert {int(v) for i in range(len(dataset)) for v in dataset[i].mask.unique()} <= {*range(21), 255}
