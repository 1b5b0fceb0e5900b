import pytest
import torch
import torch.nn.functional as F

from zoo.config import IGNORE
from zoo.training.loss import Criterion, balancing_weights, cross_entropy


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
    total = Criterion(aux_weight=0.4)(
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
