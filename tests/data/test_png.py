import numpy as np
import pytest
from PIL import Image

from zoo.data.images import read_mask, voc_palette, write_labels
from zoo.data.png import label_writer, read_text

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("classes", [1, 5, 256, 300])
def test_rows_written_bit_by_bit_are_read_back(tmp_path, classes):
    labels = RANDOM.integers(0, classes, (57, 41)).astype(np.uint8 if classes <= 256 else np.uint16)
    with label_writer(tmp_path / "a.png", labels.shape, [(1, 2, 3)], classes=classes) as writer:
        for top in range(0, 57, 10):
            writer.write(labels[top : top + 10])
        writer.text["key"] = "words"
    assert np.array_equal(read_mask(tmp_path / "a.png"), labels)
    assert read_text(tmp_path / "a.png") == {"key": "words"}
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == ("P" if classes <= 256 else image.mode)
        if classes <= 256:
            assert tuple(image.getpalette()[:9]) == (1, 2, 3, *voc_palette(3)[1], *voc_palette(3)[2])
        assert image.text == {"key": "words"}


def test_many_parts(tmp_path, monkeypatch):
    monkeypatch.setattr("zoo.data.png._CHUNK", 64)
    labels = RANDOM.integers(0, 256, (300, 50)).astype(np.uint8)
    with label_writer(tmp_path / "a.png", labels.shape, [], classes=256) as writer:
        for row in labels:
            writer.write(row[None])
    assert np.array_equal(read_mask(tmp_path / "a.png"), labels)


def test_an_unfinished_file_never_appears(tmp_path):
    with (
        pytest.raises(ValueError, match="3 of 4 rows"),
        label_writer(tmp_path / "a.png", (4, 4), [], classes=2) as writer,
    ):
        writer.write(np.zeros((3, 4), np.uint8))
    assert list(tmp_path.iterdir()) == []


def test_words(tmp_path):
    labels = np.zeros((2, 2), np.uint8)
    write_labels(tmp_path / "a.png", labels, text={"zoo": '{"a": 1}'})
    assert read_text(tmp_path / "a.png") == {"zoo": '{"a": 1}'}
    assert np.array_equal(read_mask(tmp_path / "a.png"), labels)
    whole = (tmp_path / "a.png").read_bytes()
    for content in (b"", b"no picture", whole[:-20], whole[:30]):
        (tmp_path / "a.png").write_bytes(content)
        assert read_text(tmp_path / "a.png") == {}
    assert read_text(tmp_path / "gone.png") == {}
