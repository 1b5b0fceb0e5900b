from dataclasses import replace

import numpy as np
import pytest
import torch
from pipeline_world import NAMES, small_model

from zoo.errors import IncompatibleError
from zoo.pipeline.combine import mean, orders, product


def configs(*classes):
    return [small_model(classes=names).config for names in classes]


def test_same_classes():
    assert orders(configs(NAMES, NAMES), ["a", "b"]) == [None, None]
    assert orders(configs((), NAMES), ["a", "b"]) == [None, None]  # unnamed: nothing speaks against it


def test_another_order():
    shuffled = ("tree", "sky", "road")
    first, second = orders(configs(NAMES, shuffled), ["a", "b"])
    assert first is None
    assert tuple(shuffled[index] for index in second) == NAMES


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (("sky", "road", "sea"), "b and a do not have the same classes: only a has 'tree'; only b has 'sea'"),
        (("sky", "road"), "b has 2 classes, a 3"),
        (("sky", "road", "road"), "only a has 'tree'"),
    ],
)
def test_other_classes(other, said):
    with pytest.raises(IncompatibleError, match=said):
        orders(configs(NAMES, other), ["a", "b"])


def test_other_channels():
    one, other = configs(NAMES, NAMES)
    with pytest.raises(IncompatibleError, match="b takes pictures of 1 channels, a of 3"):
        orders([one, replace(other, in_channels=1)], ["a", "b"])


def test_mean_and_product():
    random = np.random.default_rng(0)
    scores = [random.normal(0, 3, (2, 3, 4, 5)) for _ in range(3)]
    shares = [np.exp(x) / np.exp(x).sum(1, keepdims=True) for x in scores]
    found = mean([torch.from_numpy(share) for share in shares]).softmax(1)
    assert np.allclose(found.numpy(), sum(shares) / 3)
    expected = np.maximum(scores[0], 0) * np.maximum(scores[1], 0) * np.maximum(scores[2], 0)
    before = [x.copy() for x in scores]
    assert np.allclose(product([torch.from_numpy(x) for x in scores]).numpy(), expected)
    assert all(np.array_equal(x, y) for x, y in zip(scores, before, strict=True))
