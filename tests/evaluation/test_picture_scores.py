import pytest
import torch

from zoo.evaluation.confusion import ConfusionMatrix
from zoo.evaluation.metrics import Metrics
from zoo.evaluation.pictures import PictureScores


def test_each_picture_by_itself():
    generator = torch.Generator().manual_seed(0)
    target = torch.randint(0, 5, (7, 11, 13), generator=generator)
    prediction = torch.where(torch.rand(target.shape, generator=generator) < 0.5, target, 2)
    target[torch.rand(target.shape, generator=generator) < 0.2] = 255
    target[3] = 255
    target[4] = 1
    scores = PictureScores(5)
    for part in (slice(0, 3), slice(3, 4), slice(4, 7)):
        scores(torch.empty(0), prediction[part], target[part])
    expected = []
    for guess, truth in zip(prediction, target, strict=True):
        matrix = ConfusionMatrix(5)
        matrix.update(guess, truth)
        expected.append(Metrics.from_confusion(matrix).miou if matrix.total else None)
    assert expected[3] is None
    found = scores.scores()
    assert [value is None for value in found] == [value is None for value in expected]
    known = [(ours, theirs) for ours, theirs in zip(found, expected, strict=True) if theirs is not None]
    for ours, theirs in known:
        assert ours == pytest.approx(theirs, abs=1e-6)
    assert PictureScores(5).scores() == []


def test_no_value_is_asked_of_a_gpu():
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        scores = PictureScores(3)
        scores(torch.empty(0), *(torch.zeros(2, 8, 9, dtype=torch.int64, device="cuda") for _ in range(2)))
