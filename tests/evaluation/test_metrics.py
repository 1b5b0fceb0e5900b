import json
import math

import pytest
import torch
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassF1Score,
    MulticlassJaccardIndex,
    MulticlassPrecision,
    MulticlassRecall,
)

from zoo.evaluation.confusion import ConfusionMatrix
from zoo.evaluation.metrics import Metrics


def measured(prediction, target, classes, names=()):
    matrix = ConfusionMatrix(classes)
    matrix.update(prediction, target)
    return Metrics.from_confusion(matrix, names)


@pytest.fixture(params=["all present", "one absent", "one never predicted", "one only predicted"])
def maps(request):
    generator = torch.Generator().manual_seed(3)
    target = torch.randint(0, 6, (3, 20, 30), generator=generator)
    guess = torch.randint(0, 6, target.shape, generator=generator)
    prediction = torch.where(torch.rand(target.shape, generator=generator) < 0.6, target, guess)
    if request.param in ("one absent", "one only predicted"):
        target[target == 2] = 4
    if request.param in ("one absent", "one never predicted"):
        prediction[prediction == 2] = 1
    target[:, :2] = 255
    return prediction, target


def test_agrees_with_torchmetrics(maps):
    prediction, target = maps
    metrics = measured(prediction, target, 6)
    settings = {"num_classes": 6, "ignore_index": 255}
    assert metrics.miou == pytest.approx(MulticlassJaccardIndex(**settings, average="macro")(prediction, target).item())
    assert metrics.fw_iou == pytest.approx(
        MulticlassJaccardIndex(**settings, average="weighted")(prediction, target).item()
    )
    accuracy = MulticlassAccuracy(**settings, average="micro")(prediction, target).item()
    assert metrics.pixel_acc == pytest.approx(accuracy)
    each = MulticlassJaccardIndex(**settings, average="none")(prediction, target).tolist()
    assert [0 if value is None else value for value in metrics.iou.values()] == pytest.approx(each)


@pytest.mark.parametrize(
    ("measure", "of"),
    [
        (MulticlassJaccardIndex, "iou"),
        (MulticlassF1Score, "dice"),
        (MulticlassPrecision, "precision"),
        (MulticlassRecall, "acc"),
    ],
)
def test_every_class_agrees_with_torchmetrics(maps, measure, of):
    """To half a unit in the last place of its float32; it says 0 where there is no value."""
    prediction, target = maps
    values = getattr(measured(prediction, target, 6), of)
    theirs = measure(num_classes=6, ignore_index=255, average="none")(prediction, target).tolist()
    assert [value or 0.0 for value in values.values()] == pytest.approx(theirs, rel=0, abs=1e-7)


def test_agrees_with_a_loop_over_pixels(maps):
    prediction, target = maps
    metrics = measured(prediction, target, 6)
    hit, there, said = [0] * 6, [0] * 6, [0] * 6
    for guess, truth in zip(prediction.flatten().tolist(), target.flatten().tolist(), strict=True):
        if truth != 255:
            hit[truth] += guess == truth
            there[truth] += 1
            said[guess] += 1
    for label in range(6):
        name = f"class {label}"
        both = there[label] + said[label]
        assert metrics.dice[name] == (2 * hit[label] / both if both else None)
        assert metrics.precision[name] == (hit[label] / said[label] if said[label] else None)
        assert metrics.acc[name] == (hit[label] / there[label] if there[label] else None)
        assert (name in metrics.absent) == (both == 0)
    known = [value for value in metrics.dice.values() if value is not None]
    assert metrics.mean_dice == pytest.approx(sum(known) / len(known), abs=1e-12)
    assert metrics.every_class()["recall"] == metrics.acc


def test_agrees_with_sets_of_pixels(maps):
    """The definitions, spelled out with boolean maps."""
    prediction, target = maps
    metrics = measured(prediction, target, 6)
    valid = target != 255
    iou, acc, weighted = [], [], 0.0
    for label in range(6):
        there, said = valid & (target == label), valid & (prediction == label)
        union = (there | said).sum().item()
        iou.append((there & said).sum().item() / union if union else None)
        acc.append((there & said).sum().item() / there.sum().item() if there.any() else None)
        weighted += there.sum().item() * (iou[-1] or 0) / valid.sum().item()
    assert list(metrics.iou.values()) == iou
    assert list(metrics.acc.values()) == acc
    present = [value for value in acc if value is not None]
    assert metrics.mean_acc == pytest.approx(sum(present) / len(present))
    assert metrics.fw_iou == pytest.approx(weighted)


def test_a_case_by_hand():
    prediction = torch.tensor([0, 0, 0, 1, 1, 0])
    target = torch.tensor([0, 0, 1, 1, 1, 255])
    metrics = measured(prediction, target, 3, ("road", "sky", "tree"))
    assert metrics.iou == {"road": 2 / 3, "sky": 2 / 3, "tree": None}
    assert metrics.acc == {"road": 1.0, "sky": 2 / 3, "tree": None}
    assert metrics.miou == pytest.approx(2 / 3)
    assert metrics.pixel_acc == pytest.approx(4 / 5)
    assert metrics.mean_acc == pytest.approx(5 / 6)
    assert metrics.fw_iou == pytest.approx(2 / 5 * 2 / 3 + 3 / 5 * 2 / 3)


def test_a_class_that_is_only_predicted_counts_as_zero():
    metrics = measured(torch.tensor([0, 1]), torch.tensor([0, 0]), 2)
    assert metrics.iou == {"class 0": 0.5, "class 1": 0.0}
    assert metrics.miou == 0.25
    assert metrics.mean_acc == 0.5


def test_counts_beyond_float32_stay_exact():
    matrix = ConfusionMatrix.from_counts(torch.tensor([[2**40 + 1, 0], [0, 1]]))
    assert Metrics.from_confusion(matrix).pixel_acc == 1.0
    assert matrix.total == 2**40 + 2


def test_nothing_labelled_has_no_value():
    metrics = measured(torch.zeros(4, dtype=torch.int64), torch.full((4,), 255), 2)
    assert all(math.isnan(value) for value in (metrics.miou, metrics.pixel_acc, metrics.mean_acc, metrics.fw_iou))
    assert metrics.to_json() == {
        "miou": None,
        "pixel_acc": None,
        "mean_acc": None,
        "fw_iou": None,
        "iou": {"class 0": None, "class 1": None},
    }
    json.dumps(metrics.to_json(), allow_nan=False)


def test_a_name_that_is_there_twice_keeps_both_values():
    metrics = measured(torch.tensor([0, 1]), torch.tensor([0, 0]), 2, ("screen", "screen"))
    assert metrics.iou == {"screen": 0.5, "screen (1)": 0.0}
