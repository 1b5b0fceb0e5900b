import numpy as np
import pytest
import torch
from PIL import Image

from zoo.config import ModelConfig
from zoo.data.images import read_mask, voc_palette
from zoo.errors import OptionError, ZooError
from zoo.inference.prediction import Prediction

LABELS = torch.tensor([[0, 0, 1], [2, 1, 1]])
PICTURE = torch.randint(0, 256, (3, 2, 3), dtype=torch.uint8)


def config(count=4, classes=("sky", "road", "car", "tree"), palette=((1, 2, 3), (4, 5, 6), (7, 8, 9), (10, 11, 12))):
    return ModelConfig("m", "m", None, count, classes=classes, palette=palette)


@pytest.fixture
def prediction():
    return Prediction.of(LABELS, PICTURE, config())


def test_area_is_the_share_of_every_class(prediction):
    assert prediction.area == {"sky": 2 / 6, "road": 3 / 6, "car": 1 / 6, "tree": 0}
    assert prediction.biggest(2) == [("road", 3 / 6), ("sky", 2 / 6)]
    assert len(prediction.biggest(9)) == 3
    assert repr(prediction) == "Prediction(3×2, 4 classes: road 50.0%, sky 33.3%, car 16.7%)"


def test_unknown_classes_have_numbers_and_voc_colours():
    prediction = Prediction.of(LABELS, PICTURE, config(classes=(), palette=()))
    assert prediction.classes == ("class 0", "class 1", "class 2", "class 3")
    assert prediction.palette == voc_palette(4)


def test_saved_labels_are_the_labels_and_the_palette_shows_them(prediction, tmp_path):
    (path,) = prediction.save(tmp_path / "deep" / "er" / "a.png")
    assert np.array_equal(read_mask(path), LABELS.numpy())
    with Image.open(path) as image:
        assert image.mode == "P"
        assert image.getpalette()[:12] == list(range(1, 13))
        assert np.array_equal(np.array(image.convert("RGB")), np.array(prediction.to_image().convert("RGB")))
    assert np.array_equal(np.array(prediction.to_image()), LABELS.numpy())


def test_the_overlay_is_saved_beside(prediction, tmp_path):
    paths = prediction.save(tmp_path / "a.png", overlay=True, alpha=0.25)
    assert paths == (tmp_path / "a.png", tmp_path / "a_overlay.png")
    with Image.open(paths[1]) as image:
        assert np.array_equal(np.array(image), np.array(prediction.overlay(0.25)))
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["a.png", "a_overlay.png"]


def test_many_classes(tmp_path):
    labels = torch.tensor([[0, 299], [256, 7]])
    prediction = Prediction.of(labels, PICTURE[:, :, :2], config(300, (), ()))
    assert prediction.labels.dtype == np.uint16
    assert prediction.area["class 299"] == 0.25
    assert len(set(prediction.palette)) == 300
    (path,) = prediction.save(tmp_path / "a.png")
    assert np.array_equal(read_mask(path), labels.numpy())
    assert np.array(prediction.to_image())[0, 1].tolist() == list(prediction.palette[299])
    assert prediction.overlay().size == (2, 2)


def test_what_cannot_be_saved(prediction, tmp_path):
    with pytest.raises(OptionError, match=r"a\.jpg' does not end in \.png"):
        prediction.save(tmp_path / "a.jpg")
    (tmp_path / "file").write_text("taken")
    with pytest.raises(ZooError, match="cannot write"):
        prediction.save(tmp_path / "file" / "a.png")
    (tmp_path / "b_overlay.png").mkdir()
    with pytest.raises(ZooError, match="b_overlay"):
        prediction.save(tmp_path / "b.png", overlay=True)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    for alpha in (-0.1, 1.5, float("nan")):
        with pytest.raises(OptionError, match="between 0"):
            prediction.overlay(alpha)


def test_notebooks_show_the_overlay(prediction):
    assert prediction._repr_png_().startswith(b"\x89PNG")
