import numpy as np
import pytest
import torch

from zoo.evaluation.confusion import ConfusionMatrix


def count_by_hand(prediction, target, classes, ignore=255):
    counts = np.zeros((classes, classes), dtype=np.int64)
    for guess, truth in zip(prediction.flatten().tolist(), target.flatten().tolist(), strict=True):
        if 0 <= truth < classes and truth != ignore:
            counts[truth, guess] += 1
    return counts


@pytest.mark.parametrize("classes", [1, 2, 7, 21, 300])
@pytest.mark.parametrize("dtype", [torch.int64, torch.int32])
def test_counts_equal_a_loop(classes, dtype):
    generator = torch.Generator().manual_seed(classes)
    prediction = torch.randint(0, classes, (2, 13, 17), generator=generator).to(dtype)
    target = torch.randint(-2, classes + 3, (2, 13, 17), generator=generator).to(dtype)
    target[0, :3] = 255
    matrix = ConfusionMatrix(classes)
    matrix.update(prediction, target)
    assert np.array_equal(matrix.counts.numpy(), count_by_hand(prediction, target, classes))


def test_small_integers_do_not_overflow():
    prediction = torch.full((40, 40), 200, dtype=torch.uint8)
    target = torch.full((40, 40), 199, dtype=torch.uint8)
    target[0] = 255
    matrix = ConfusionMatrix(201)
    matrix.update(prediction, target)
    assert matrix.counts[199, 200] == 39 * 40
    assert matrix.total == 39 * 40


def test_the_arguments_are_left_alone():
    prediction, target = torch.tensor([0, 1, 1]), torch.tensor([1, 1, 255])
    ConfusionMatrix(2).update(prediction, target)
    assert prediction.tolist() == [0, 1, 1]
    assert target.tolist() == [1, 1, 255]


def test_parts_add_up_to_the_whole():
    generator = torch.Generator().manual_seed(0)
    prediction = torch.randint(0, 4, (6, 8, 8), generator=generator)
    target = torch.randint(0, 5, (6, 8, 8), generator=generator)
    whole, first, second = ConfusionMatrix(4), ConfusionMatrix(4), ConfusionMatrix(4)
    whole.update(prediction, target)
    for i in range(6):
        (first if i % 2 else second).update(prediction[i], target[i])
    assert torch.equal((first + second).counts, whole.counts)
    assert first.total + second.total == whole.total


def test_sums():
    matrix = ConfusionMatrix(3)
    matrix.update(torch.tensor([0, 0, 1, 2]), torch.tensor([0, 1, 1, 1]))
    assert matrix.correct.tolist() == [1, 1, 0]
    assert matrix.true.tolist() == [1, 3, 0]
    assert matrix.predicted.tolist() == [2, 1, 1]


def test_renumbered_rows():
    matrix = ConfusionMatrix(4)
    matrix.update(torch.tensor([2, 2, 0]), torch.tensor([0, 1, 1]))
    other = ConfusionMatrix(4)
    other.update(torch.tensor([2, 2, 0]), torch.tensor([3, 0, 0]))
    assert torch.equal(matrix.with_rows([3, 0]).counts, other.counts)
    with pytest.raises(ValueError, match="beyond the 1 renumbered"):
        matrix.with_rows([3])


def test_nothing_to_count():
    matrix = ConfusionMatrix(2)
    matrix.update(torch.zeros(0, 5, dtype=torch.int64), torch.zeros(0, 5, dtype=torch.int64))
    matrix.update(torch.zeros(3, 5, dtype=torch.int64), torch.full((3, 5), 255))
    assert matrix.total == 0


@pytest.mark.parametrize(
    ("prediction", "target", "message"),
    [
        (torch.zeros(2, 3, dtype=torch.int64), torch.zeros(3, 2, dtype=torch.int64), "prediction is"),
        (torch.tensor([4]), torch.tensor([0]), r"4…4, expected 0…1"),
        (torch.tensor([-1]), torch.tensor([0]), r"-1…-1, expected 0…1"),
    ],
)
def test_nonsense_is_refused(prediction, target, message):
    with pytest.raises(ValueError, match=message):
        ConfusionMatrix(2).update(prediction, target)


def test_matrices_of_different_sizes_do_not_add():
    with pytest.raises(ValueError, match="2 and 3 classes"):
        ConfusionMatrix(2) + ConfusionMatrix(3)
    with pytest.raises(ValueError, match="at least one"):
        ConfusionMatrix(0)


def test_from_counts():
    counts = torch.tensor([[3, 1], [0, 2]])
    assert torch.equal(ConfusionMatrix.from_counts(counts).counts, counts)
    for bad in (counts.double(), counts[:1], -counts, counts.flatten()):
        with pytest.raises(ValueError, match="no counts"):
            ConfusionMatrix.from_counts(bad)


def test_what_is_not_counted_is_known():
    matrix = ConfusionMatrix(2)
    matrix.update(torch.tensor([0, 1, 1, 0]), torch.tensor([0, 255, -1, 1]))
    assert (matrix.total, matrix.ignored) == (2, 2)
    assert (matrix + matrix).ignored == 4
    assert matrix.with_rows([1, 0]).ignored == 2


def test_no_value_is_asked_of_a_gpu():
    """On tensors without values, where asking for one is an error."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        matrix = ConfusionMatrix(5)
        maps = [torch.zeros(2, 8, 9, dtype=torch.int64, device="cuda") for _ in range(2)]
        matrix.update(*maps)
        matrix.update(*maps)
        with pytest.raises(Exception, match="_local_scalar_dense"):
            matrix.counts  # noqa: B018


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("classes", [1, 2, 21, 150, 300])
def test_a_gpu_counts_the_same_and_nothing_waits_for_it(classes):
    generator = torch.Generator().manual_seed(classes)
    prediction = torch.randint(0, classes, (4, 300, 400), generator=generator)
    target = torch.randint(-2, classes + 3, prediction.shape, generator=generator)
    here, there = ConfusionMatrix(classes), ConfusionMatrix(classes)
    pair = prediction.cuda(), target.cuda()
    there.update(*pair)
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        there.update(*pair)
    finally:
        torch.cuda.set_sync_debug_mode(before)
    here.update(prediction, target)
    here.update(prediction, target)
    assert torch.equal(here.counts, there.counts)
    assert here.ignored == there.ignored
    there.update(pair[0] + 1, pair[1])
    with pytest.raises(ValueError, match="predictions lie outside"):
        there.counts  # noqa: B018
