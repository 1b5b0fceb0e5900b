import torch

from zoo.evaluation.confusion import ConfusionMatrix
from zoo.evaluation.metrics import Metrics
from zoo.evaluation.protocol import protocol


def test_void_and_absent_classes_are_named():
    matrix = ConfusionMatrix(4)
    matrix.update(torch.tensor([0, 0, 1, 2]), torch.tensor([0, 1, 255, 0]))
    told = protocol(Metrics.from_confusion(matrix, ("road", "sky", "tree", "sea")))
    assert "1 of 4 pixels" in told["void"]
    assert "here: sea)" in told["absent"]
    assert "tree" not in told["absent"]
    assert "boundary" not in told


def test_nothing_absent():
    matrix = ConfusionMatrix(2)
    matrix.update(torch.tensor([0, 1]), torch.tensor([0, 1]))
    told = protocol(Metrics.from_confusion(matrix), tolerance=0.0075)
    assert "here there is none" in told["absent"]
    assert "0.75%" in told["boundary"]
