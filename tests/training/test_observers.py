import pytest
import torch
import torch.nn.functional as F

from zoo.evaluation.confusion import ConfusionMatrix
from zoo.evaluation.metrics import Metrics
from zoo.training.environment import environment
from zoo.training.loss import Criterion
from zoo.training.loss_table import LossTable
from zoo.training.observers import TrainScore, ValidationLoss, every


def batch(seed, size, classes=4):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(size[0], classes, *size[1:], generator=generator)
    target = torch.randint(0, classes, size, generator=generator)
    target[torch.rand(size, generator=generator) < 0.3] = 255
    return logits, target


def test_the_validation_loss_is_the_mean_over_all_pixels():
    batches = [batch(0, (2, 5, 6)), batch(1, (1, 3, 3)), batch(2, (3, 8, 2))]
    batches[1][1][:] = 255  # nothing labelled: no part in it
    loss = ValidationLoss(Criterion())
    for logits, target in batches:
        loss(logits, logits.argmax(1), target)
    flat = torch.cat([logits.movedim(1, -1).reshape(-1, 4) for logits, _ in batches])
    labels = torch.cat([target.flatten() for _, target in batches])
    assert loss.value() == pytest.approx(F.cross_entropy(flat, labels, ignore_index=255).item(), rel=1e-6)


def test_of_large_pictures_it_is_an_estimate():
    loss = ValidationLoss(Criterion())
    logits, target = batch(0, (1, 300, 300))
    loss(logits, logits.argmax(1), target)
    assert loss.value() == pytest.approx(F.cross_entropy(logits, target, ignore_index=255).item(), rel=0.05)


def test_a_sum_is_that_of_a_picture_however_few_pixels_are_looked_at():
    """In the mean over the pictures of batches of different sizes, one of them without a label."""
    batches = [batch(0, (2, 260, 280)), batch(1, (1, 300, 300)), batch(2, (1, 9, 8)), batch(3, (1, 256, 256))]
    batches[3][1][:] = 255
    loss = ValidationLoss(Criterion(LossTable(reduction="sum")))
    for logits, target in batches:
        loss(logits, logits.argmax(1), target)
    sums = [F.cross_entropy(*part, ignore_index=255, reduction="sum").item() for part in batches]
    assert loss.value() == pytest.approx(sum(sums) / 5, rel=0.02)


def test_no_validation_loss():
    assert ValidationLoss(Criterion()).value() is None
    logits, target = batch(0, (1, 4, 4))
    for change in (lambda: logits.fill_(torch.nan), lambda: target.fill_(255)):
        change()
        loss = ValidationLoss(Criterion())
        loss(logits, logits.argmax(1), target)
        assert loss.value() is None


@pytest.mark.parametrize(("size", "step"), [((2, 17, 23), 1), ((1, 128, 128), 2), ((1, 256, 300), 4)])
def test_the_score_of_the_training_counts_what_came_since_it_was_asked(size, step):
    score = TrainScore(4)
    assert every(*size[1:]) == step
    for round_ in range(2):
        matrix = ConfusionMatrix(4)
        for seed in range(3):
            logits, target = batch(10 * round_ + seed, size)
            score.update(logits.requires_grad_(), target)
            matrix.update(logits.argmax(1)[:, ::step, ::step], target[:, ::step, ::step])
        assert score.take() == Metrics.from_confusion(matrix).miou
    assert score.take() is None


def test_neither_waits_for_a_gpu():
    """On tensors without values, where asking for one is an error."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        logits = torch.zeros(2, 4, 9, 9, device="cuda")
        target = torch.zeros(2, 9, 9, dtype=torch.int64, device="cuda")
        score = TrainScore(4)
        losses = [ValidationLoss(Criterion(LossTable(reduction=reduction))) for reduction in ("mean", "sum")]
        for _ in range(2):
            score.update(logits, target)
            for loss in losses:
                loss(logits, target, target)


def test_the_environment(tmp_path, monkeypatch):
    here = environment(torch.device("cpu"))
    assert here["torch"] == str(torch.__version__)
    assert here["environment"]["platform"]
    monkeypatch.chdir(tmp_path)
    assert "commit" not in environment(torch.device("cpu"))["environment"]
    monkeypatch.setenv("PATH", "")
    environment(torch.device("cpu"))
