import math
import sys

import pytest
import torch
import torch.nn.functional as F

from zoo.config import IGNORE
from zoo.errors import RunError
from zoo.training.loss import Criterion, balancing_weights, class_weights, cross_entropy
from zoo.training.loss_table import LossTable, TermTable

LOSSES = ("cross_entropy", "ohem", "dice", "focal", "lovasz", "tversky")


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, 5, 6, generator=generator, requires_grad=True)
    target = torch.randint(0, 4, (2, 5, 6), generator=generator)
    target[torch.rand(2, 5, 6, generator=generator) < 0.3] = IGNORE
    return logits, target


def by_hand(logits, target, weights=None, smoothing=0.0):
    """Pixel by pixel, as the definition says."""
    total = share = 0.0
    classes = logits.shape[1]
    for n, y, x in torch.cartesian_prod(*(torch.arange(size) for size in target.shape)).tolist():
        label = int(target[n, y, x])
        if label == IGNORE:
            continue
        scores = logits[n, :, y, x].double()
        negative = -(scores - scores.exp().sum().log())
        weight = [1.0] * classes if weights is None else weights.tolist()
        total += (1 - smoothing) * weight[label] * negative[label].item()
        total += smoothing / classes * sum(weight[k] * negative[k].item() for k in range(classes))
        share += weight[label]
    return total / share


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weights", [None, torch.tensor([0.5, 1.0, 2.0, 4.0])])
def test_only_labelled_pixels_count(batch, weights, smoothing):
    logits, target = batch
    loss = cross_entropy(logits, target, weights, smoothing)
    assert loss.item() == pytest.approx(by_hand(logits, target, weights, smoothing), rel=1e-5)
    own = F.cross_entropy(logits, target, weights, ignore_index=IGNORE, label_smoothing=smoothing)
    assert loss.item() == pytest.approx(own.item(), rel=1e-6)
    (gradient,) = torch.autograd.grad(loss, logits)
    (expected,) = torch.autograd.grad(own, logits)
    torch.testing.assert_close(gradient, expected)
    assert gradient.movedim(1, -1)[target == IGNORE].abs().max() == 0


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", [None, torch.ones(4)])
def test_nothing_labelled_costs_nothing(batch, weights, smoothing):
    logits, target = batch
    loss = cross_entropy(logits, torch.full_like(target, IGNORE), weights, smoothing)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert loss.item() == 0
    assert torch.equal(gradient, torch.zeros_like(gradient))


def test_half_precision_logits_are_summed_in_full(batch):
    logits, target = batch
    assert cross_entropy(logits.bfloat16(), target).dtype == torch.float32


def test_auxiliary_outputs_count_by_their_weight(batch):
    logits, target = batch
    main, aux = cross_entropy(logits, target), cross_entropy(logits * 2, target)
    total = Criterion(LossTable(aux_weight=0.4))(
        {"out": logits, "aux": logits * 2, "aux_deep": logits * 2, "other": logits}, target
    )
    assert total.item() == pytest.approx((main + 0.8 * aux).item(), rel=1e-6)


def test_balancing_weights():
    pixels, present = [60, 30, 10, 0], [100, 50, 20, 0]
    assert balancing_weights("none", pixels, present) is None
    inverse = balancing_weights("inverse", pixels, present)
    torch.testing.assert_close(inverse, torch.tensor([100 / 180, 100 / 90, 100 / 30, 1.0]))
    # frequencies 0.6, 0.6, 0.5: their median is 0.6
    torch.testing.assert_close(balancing_weights("median", pixels, present), torch.tensor([1.0, 1.0, 1.2, 1.0]))


def test_inverse_weights_make_classes_equal():
    pixels = [70, 20, 10]
    weights = balancing_weights("inverse", pixels, pixels)
    products = [count * weight for count, weight in zip(pixels, weights.tolist(), strict=True)]
    assert products == pytest.approx([100 / 3] * 3)


# every loss, against its definition, pixel by pixel


def counted_pixels(logits, target):
    """Scores (P, K) in double precision and labels (P) of the pixels that count."""
    valid = target != IGNORE
    return logits.detach().double().movedim(1, -1)[valid], target[valid]


def dice_by_hand(scores, labels, alpha=0.5, beta=0.5):
    probabilities, total = scores.softmax(1), 0.0
    for label in range(scores.shape[1]):
        truth = (labels == label).double()
        hit = sum(p * t for p, t in zip(probabilities[:, label].tolist(), truth.tolist(), strict=True))
        false, missed = probabilities[:, label].sum().item() - hit, truth.sum().item() - hit
        total += (1 - hit / (hit + alpha * false + beta * missed)) if truth.any() else 0.0
    return total / scores.shape[1]


def focal_by_hand(scores, labels, gamma):
    total = 0.0
    for label in range(scores.shape[1]):
        own = [p if t == label else 1 - p for p, t in
               zip(scores[:, label].sigmoid().tolist(), labels.tolist(), strict=True)]  # fmt: skip
        total += sum((1 - p) ** gamma * -math.log(p) for p in own) / len(own)
    return total / scores.shape[1]


def lovasz_by_hand(scores, labels):
    """The Lovász extension of the Jaccard loss: errors in falling order, each times how much it adds to the loss."""
    losses = []
    for label in labels.unique().tolist():
        errors = [(abs((t == label) - p), t == label) for p, t in
                  zip(scores.softmax(1)[:, label].tolist(), labels.tolist(), strict=True)]  # fmt: skip
        errors.sort(key=lambda pair: -pair[0])
        truth, before, loss = sum(own for _, own in errors), 0.0, 0.0
        for place in range(1, len(errors) + 1):
            wrong = errors[:place]
            missed, extra = sum(own for _, own in wrong), sum(not own for _, own in wrong)
            jaccard = 1 - (truth - missed) / (truth + extra)
            loss += errors[place - 1][0] * (jaccard - before)
            before = jaccard
        losses.append(loss)
    return sum(losses) / len(losses)


def ohem_by_hand(scores, labels, threshold, keep):
    losses = sorted(
        (-row.log_softmax(0)[label].item() for row, label in zip(scores, labels, strict=True)), reverse=True
    )
    hard = [loss for loss in losses if loss >= -math.log(threshold)]
    chosen = losses[: max(len(hard), math.ceil(keep * len(losses)))]
    return sum(chosen) / max(len(chosen), 1)


@pytest.mark.parametrize(("name", "settings", "hand"), [
    ("dice", {}, dice_by_hand),
    ("tversky", {"tversky_alpha": 0.3, "tversky_beta": 0.7}, lambda s, t: dice_by_hand(s, t, 0.3, 0.7)),
    ("tversky", {"tversky_gamma": 0.75}, lambda s, t: dice_by_hand(s, t) ** 0.75),
    ("focal", {"focal_gamma": 1.5}, lambda s, t: focal_by_hand(s, t, 1.5)),
    ("lovasz", {}, lovasz_by_hand),
    ("ohem", {"ohem_threshold": 0.2, "ohem_keep": 0.1}, lambda s, t: ohem_by_hand(s, t, 0.2, 0.1)),
    ("ohem", {"ohem_threshold": 0.001, "ohem_keep": 0.4}, lambda s, t: ohem_by_hand(s, t, 0.001, 0.4)),
    ("ohem", {"ohem_threshold": 0.5, "ohem_keep": 0}, lambda s, t: ohem_by_hand(s, t, 0.5, 0)),
])  # fmt: skip
def test_each_loss_is_its_definition_over_the_labelled_pixels(batch, name, settings, hand):
    logits, target = batch
    loss = Criterion(LossTable(name=name, **settings))({"out": logits}, target)
    assert loss.item() == pytest.approx(hand(*counted_pixels(logits, target)), rel=1e-4)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert gradient.movedim(1, -1)[target == IGNORE].abs().max() == 0
    assert gradient.abs().max() > 0


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(
    "settings", [{}, {"tversky_gamma": 0.5, "focal_gamma": 0, "ohem_keep": 0}, {"reduction": "sum"}]
)
@pytest.mark.parametrize("half", [False, True])
def test_nothing_labelled_costs_nothing_by_any_loss(batch, name, settings, half):
    logits, target = batch
    outputs = {"out": logits.bfloat16() if half else logits, "aux": logits}
    loss = Criterion(LossTable(name=name, **settings))(outputs, torch.full_like(target, IGNORE))
    (gradient,) = torch.autograd.grad(loss, logits)
    assert loss.item() == 0
    assert loss.dtype == torch.float32
    assert torch.equal(gradient, torch.zeros_like(gradient))


def test_ohem_weighs_classes_and_smooths_labels(batch):
    logits, target = batch
    weights = torch.tensor([0.5, 1.0, 2.0, 4.0])
    everything = LossTable(name="ohem", ohem_keep=1, label_smoothing=0.2)
    loss = Criterion(everything, weights)({"out": logits}, target)
    assert loss.item() == pytest.approx(by_hand(logits, target, weights, 0.2), rel=1e-5)


def test_the_sum_is_caffes_divided_by_the_pictures(batch):
    logits, target = batch
    loss = Criterion(LossTable(reduction="sum"))({"out": logits}, target)
    labelled = int((target != IGNORE).sum())
    assert loss.item() == pytest.approx(by_hand(logits, target) * labelled / len(target), rel=1e-5)


def test_losses_add_up(batch):
    logits, target = batch
    terms = (TermTable(name="cross_entropy"), TermTable(name="dice", weight=0.5))
    single = [Criterion(LossTable(name=name))({"out": logits}, target).item() for name in ("cross_entropy", "dice")]
    total = Criterion(LossTable(terms=terms))({"out": logits}, target)
    assert total.item() == pytest.approx(single[0] + 0.5 * single[1], rel=1e-6)


@pytest.mark.parametrize("settings", [{}, {"reduction": "sum"}, {"label_smoothing": 0.1}])
@pytest.mark.parametrize("weights", [None, torch.tensor([0.5, 1.0, 2.0, 4.0])])
def test_parts_add_up_to_the_whole_batch(settings, weights):
    """The parts have different numbers of labelled pixels, one has none."""
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(6, 4, 3, 3, generator=generator, requires_grad=True)
    target = torch.randint(0, 4, (6, 3, 3), generator=generator)
    target[0], target[2:4] = IGNORE, IGNORE
    criterion = Criterion(LossTable(**settings), weights)
    big = criterion({"out": logits, "aux": logits}, target)
    (expected,) = torch.autograd.grad(big, logits)
    masks = target.split(2)
    whole = criterion.whole(masks)
    losses = [criterion({"out": part, "aux": part}, mask, whole)
              for part, mask in zip(logits.split(2), masks, strict=True)]  # fmt: skip
    assert sum(losses).item() == pytest.approx(big.item(), rel=1e-6)
    torch.testing.assert_close(torch.autograd.grad(sum(losses), logits)[0], expected)


def test_given_class_weights_are_one_per_class():
    assert class_weights([1, 2, 0.5], [3, 4, 5], [3, 4, 5]).tolist() == [1, 2, 0.5]
    with pytest.raises(RunError, match=r"class_weights has 2 numbers, and the data 3 classes: a, b, c"):
        class_weights([1, 2], [3, 4, 5], [3, 4, 5], ("a", "b", "c"))


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "segmentation_models_pytorch.losses", None)
    with pytest.raises(RunError, match=r"'dice' comes from segmentation_models_pytorch.*zoo-segmentation\[smp\]"):
        Criterion(LossTable(name="dice"))
    Criterion(LossTable(name="ohem"))
