import numpy as np
import pytest
import torch
from color_world import COLORS, NAMES, color_model, scene
from PIL import Image

from zoo.errors import DataError, ZooError
from zoo.inference.forward import answering, choose_device, logits, most_likely
from zoo.inference.predictor import predict
from zoo.ops import normalize


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (40, 31)])
def test_every_pixel_has_its_class_at_the_pictures_own_size(size, tmp_path):
    picture, labels = scene(size, 0)
    Image.fromarray(picture).save(tmp_path / "a.png")
    first = torch.from_numpy(picture).permute(2, 0, 1)
    for form in (picture, tmp_path / "a.png", Image.fromarray(picture), first, first / 255):
        prediction = predict(color_model(), form)
        assert prediction.labels.dtype == np.uint8
        assert np.array_equal(prediction.labels, labels)
        assert np.array_equal(prediction.photo, picture)
    assert prediction.classes == NAMES
    assert prediction.palette == COLORS


def test_the_method_of_the_model_is_the_same():
    picture, labels = scene((6, 8), 1)
    model = color_model().train()
    assert np.array_equal(model.predict(picture, device="cpu").labels, labels)
    assert model.training


def test_it_is_the_largest_of_the_models_own_logits():
    """Against the plain way of doing it."""
    torch.manual_seed(0)
    model = color_model()
    torch.nn.init.normal_(model.head.score.weight)
    picture = torch.rand(3, 11, 13)
    with torch.no_grad():
        plain = model(normalize(picture[None], model.config.input))["out"]
    with answering(model):
        ours = logits(model, picture[None])
    assert torch.allclose(ours, plain, atol=1e-6)
    assert np.array_equal(predict(model, picture).labels, plain.argmax(1)[0].numpy())


def test_one_class_is_class_0():
    prediction = predict(color_model(COLORS[:1], ("all",), COLORS[:1]), np.zeros((3, 4), np.uint8))
    assert prediction.area == {"all": 1.0}


def test_weights_in_half_precision():
    picture, labels = scene((6, 8), 2)
    assert np.array_equal(predict(color_model().bfloat16(), picture).labels, labels)
    assert np.array_equal(predict(color_model(), picture, amp=True).labels, labels)


def test_nan_is_no_answer():
    with pytest.raises(ZooError, match="NaN"):
        most_likely(torch.tensor([0.0, float("nan")]).view(1, 2, 1, 1))
    assert most_likely(torch.tensor([float("-inf"), float("inf")]).view(1, 2, 1, 1)).item() == 1


def test_too_large_for_the_device_is_said_with_its_size(tmp_path):
    def full(module, args):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 TiB")

    model = color_model()
    model.register_forward_pre_hook(full)
    with pytest.raises(DataError, match="8×6 pixels do not fit"):
        predict(model, np.zeros((6, 8), np.uint8))


def test_devices():
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device(torch.device("cpu")).type == "cpu"
    assert choose_device("auto").type in ("cpu", "cuda", "mps", "xpu")
    for name in ("gpu", "cuda:77", "meta", ""):
        with pytest.raises(ZooError, match="cannot be used"):
            choose_device(name)


def test_several_pictures_are_a_list():
    scenes = [scene(size, seed) for seed, size in enumerate([(6, 8), (3, 4)])]
    found = color_model().predict([picture for picture, _ in scenes], mirror=True)
    assert [np.array_equal(one.labels, labels) for one, (_, labels) in zip(found, scenes, strict=True)] == [True, True]
    assert color_model().predict(tuple(picture for picture, _ in scenes[:1]))[0].labels.shape == (6, 8)
    assert color_model().predict([]) == []


@pytest.mark.parametrize("options", [{}, {"mirror": True}, {"window": (4, 4)}])
def test_probabilities_are_kept_where_they_are_wanted(options):
    picture, labels = scene((6, 8), 0)
    assert color_model().predict(picture, **options).probabilities is None
    found = color_model().predict(picture, probabilities=True, **options)
    assert found.probabilities.shape == (5, 6, 8)
    assert found.probabilities.dtype == np.float32
    assert np.allclose(found.probabilities.sum(0), 1, atol=1e-5)
    assert np.array_equal(found.probabilities.argmax(0), labels)


def test_tiles():
    picture, labels = scene((40, 50), 0)
    found = color_model().predict(picture, tile=16, overlap=4)
    assert np.array_equal(found.labels, labels)
    assert np.array_equal(found.photo, picture)
    with pytest.raises(DataError, match="50×40 is tiled"):
        color_model().predict(picture, tile=16, probabilities=True)
