from math import hypot

import numpy as np
import pytest
import torch

from zoo.evaluation.boundary import BoundaryScore

K = 5


def outline(labels, label):
    """Pixel by pixel."""
    height, width = labels.shape
    found = np.zeros(labels.shape, bool)
    for y in range(height):
        for x in range(width):
            for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                inside = 0 <= v < height and 0 <= u < width
                if inside and labels[y, x] == label and labels[v, u] not in (label, -1):
                    found[y, x] = True
    return found


def share_near(these, those, reach):
    """Share of the true pixels of the one map that have one of the other within reach: every pair is measured."""
    gaps = np.argwhere(these)[:, None] - np.argwhere(those)[None]
    return (np.hypot(*gaps.transpose(2, 0, 1)).min(1) <= reach).mean()


def by_hand(pairs, tolerance):
    values = {label: [] for label in range(K)}
    for prediction, target in pairs:
        known = (target >= 0) & (target < K)
        guess, truth = np.where(known, prediction, -1), np.where(known, target, -1)
        reach = tolerance * hypot(*target.shape)
        for label in range(K):
            ours, theirs = outline(guess, label), outline(truth, label)
            if not (ours.any() or theirs.any()):
                continue
            if not (ours.any() and theirs.any()):
                values[label].append(0.0)
                continue
            precision, recall = share_near(ours, theirs, reach), share_near(theirs, ours, reach)
            values[label].append(2 * precision * recall / (precision + recall) if precision + recall else 0.0)
    return [sum(found) / len(found) if found else None for found in values.values()]


def blobs(seed, size):
    """Regions of some size, the class 3 never among them, and void stripes in the truth."""
    random = np.random.default_rng(seed)
    coarse = random.choice([0, 1, 2, 4], size=(-(-size[0] // 6), -(-size[1] // 6)))
    truth = np.kron(coarse, np.ones((6, 6), int))[: size[0], : size[1]]
    guess = np.roll(truth, random.integers(0, 4, 2), (0, 1))
    guess = np.where(random.random(size) < 0.02, 2, guess)
    truth[random.random(size) < 0.05] = 255
    truth[:, 10:12] = 255
    return guess, truth


@pytest.mark.parametrize("tolerance", [0.0, 0.0075, 0.03, 0.1])
def test_agrees_with_all_distances_measured(tolerance):
    pairs = [blobs(seed, size) for seed, size in enumerate([(40, 50), (40, 50), (33, 21), (1, 1), (7, 60)])]
    score = BoundaryScore(K, tolerance)
    stacked = [torch.from_numpy(np.stack(part)) for part in zip(*pairs[:2], strict=True)]
    score(torch.empty(0), *stacked)
    for pair in pairs[2:]:
        score(torch.empty(0), *(torch.from_numpy(part)[None] for part in pair))
    expected = by_hand(pairs, tolerance)
    assert expected[3] is None
    assert score.scores() == pytest.approx(expected, abs=1e-12)
    assert all(0 < value < 1 for value in expected if value is not None)


def test_the_same_outline_is_perfect_and_a_far_one_is_worth_nothing():
    truth = torch.zeros(1, 100, 100, dtype=torch.int64)
    truth[:, :, 50:] = 1
    near, far = truth.roll(1, 2), truth.roll(20, 2)
    near[:, :, 0], far[:, :, :20] = 0, 0
    for guess, expected in ((truth, 1.0), (near, 1.0), (far, 0.0)):  # the tolerance is a pixel and a bit
        score = BoundaryScore(2)
        score(torch.empty(0), guess, truth)
        assert score.scores() == [expected, expected]


def test_void_borders_nothing():
    truth = torch.zeros(1, 20, 20, dtype=torch.int64)
    truth[:, :, 8:12] = 255
    truth[:, :, 12:] = 0
    score = BoundaryScore(2)
    score(torch.empty(0), torch.zeros_like(truth), truth)
    assert score.scores() == [None, None]
    assert BoundaryScore(2).scores() == [None, None]


def test_no_value_is_asked_of_a_gpu():
    """On tensors without values, where asking for one is an error."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        score = BoundaryScore(3)
        score(torch.empty(0), *(torch.zeros(2, 8, 9, dtype=torch.int64, device="cuda") for _ in range(2)))
        assert score._counts[1].shape == (3, 4)
