import threading

import numpy as np
import pytest
import torch
from color_world import NAMES, Scenes, color_model, scene

from zoo.errors import DataError, IncompatibleError, ZooError
from zoo.evaluation.confusion import ConfusionMatrix
from zoo.evaluation.evaluate import ClassNameWarning, evaluate
from zoo.inference.probabilities import probabilities
from zoo.inference.test_time import TestTime

SIZES = [(9, 12), (9, 12), (9, 12), (5, 7), (9, 12), (1, 1)]


@pytest.fixture
def scenes():
    return Scenes([scene(size, seed) for seed, size in enumerate(SIZES)])


def test_a_perfect_model_is_perfect(scenes):
    metrics = evaluate(color_model(), scenes)
    assert metrics.miou == metrics.pixel_acc == metrics.mean_acc == metrics.fw_iou == 1.0
    assert tuple(metrics.iou) == NAMES
    assert metrics.confusion.total == sum(height * width for height, width in SIZES)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 100])
def test_one_matrix_over_the_whole_set(scenes, batch_size):
    """Against counting every picture by itself; labels are spoilt so that there is something to count."""
    random = np.random.default_rng(0)
    expected = ConfusionMatrix(len(NAMES))
    for index, (picture, labels) in enumerate(scenes.pairs):
        truth = torch.from_numpy(labels.copy())
        spoilt = np.where(random.random(labels.shape) < 0.3, (labels + 1) % 5, labels)
        spoilt[random.random(labels.shape) < 0.2] = 255
        scenes.pairs[index] = (picture, spoilt)
        expected.update(truth, torch.from_numpy(spoilt))
    metrics = evaluate(color_model(), scenes, batch_size=batch_size)
    assert torch.equal(metrics.confusion.counts, expected.counts)


def test_only_equal_sizes_share_a_batch(scenes):
    model, seen = color_model(), []
    model.register_forward_hook(lambda module, args, out: seen.append(tuple(args[0].shape)))
    evaluate(model, scenes, batch_size=2)
    assert seen == [(2, 3, 9, 12), (1, 3, 9, 12), (1, 3, 5, 7), (1, 3, 9, 12), (1, 3, 1, 1)]


def test_every_module_keeps_its_mode_and_the_model_can_go_on_training(scenes):
    model = color_model().train()
    model.head.norm.eval()
    evaluate(model, scenes)
    assert model.training
    assert model.head.score.training
    assert not model.head.norm.training
    before = model.head.norm.running_mean.clone()
    model(torch.rand(2, 3, 4, 4, requires_grad=True))["out"].sum().backward()
    assert torch.equal(model.head.norm.running_mean, before)


def test_the_mode_comes_back_after_an_error(scenes):
    model = color_model().train()
    scenes.pairs[3] = (scenes.pairs[3][0], np.full((5, 7), 9))
    with pytest.raises(DataError):
        evaluate(model, scenes)
    assert model.training
    assert torch.is_grad_enabled()


def test_what_the_model_caches_can_be_trained_with(scenes):
    """Tensors made under inference_mode could not: evaluating in the middle of a training run must do no harm."""
    model, cache = color_model(), {}

    def scaled(module, args, out):
        cache.setdefault("scale", torch.full((1,), 2.0))
        return {"out": out["out"] * cache["scale"]}

    model.register_forward_hook(scaled)
    evaluate(model, scenes)
    model(torch.rand(1, 3, 4, 4))["out"].sum().backward()


def test_classes_in_another_order_are_matched_by_name(scenes):
    order = [3, 0, 4, 1, 2]  # label i of the data is class order[i] of the model
    place = np.argsort(order)
    shuffled = Scenes(
        [(picture, place[labels]) for picture, labels in scenes.pairs], tuple(NAMES[label] for label in order)
    )
    metrics = evaluate(color_model(), shuffled)
    assert metrics.miou == 1.0
    assert torch.equal(metrics.confusion.counts, evaluate(color_model(), scenes).confusion.counts)


def test_some_of_the_models_classes(scenes):
    few = Scenes([scene((6, 6), 1, classes=2)], ("nothing", "berry"))
    with pytest.warns(ClassNameWarning, match="lacks 3 of the model's classes"):
        metrics = evaluate(color_model(), few)
    assert metrics.miou == 1.0
    assert metrics.iou["sea"] is None


def test_other_names_warn(scenes):
    scenes.classes = ("nothing", "fruit", "grass", "sea", "snow")
    with pytest.warns(ClassNameWarning, match="'fruit' as 'berry'"):
        metrics = evaluate(color_model(), scenes)
    assert metrics.miou == 1.0


def test_a_model_without_names_takes_those_of_the_data(scenes):
    assert tuple(evaluate(color_model(classes=()), scenes).iou) == NAMES


def test_more_classes_than_the_model_has(scenes):
    scenes.classes = (*NAMES, "cloud")
    with pytest.raises(IncompatibleError, match=r"scenes/val has 6 classes .* the model only 5"):
        evaluate(color_model(), scenes)


def test_a_label_that_is_no_class_is_named(scenes):
    scenes.pairs[4][1][6, 2] = 77
    with pytest.raises(DataError, match=r"4\.png: label value 77 at row 6, column 2, .* classes of 'scenes' are 0…4"):
        evaluate(color_model(), scenes)


def test_a_mask_of_another_size_is_named(scenes):
    scenes.pairs[1] = (scenes.pairs[1][0], np.zeros((9, 11), dtype=np.int64))
    with pytest.raises(DataError, match=r"1\.png: the picture is 12×9, its mask 11×9"):
        evaluate(color_model(), scenes)


def test_other_channels_are_refused():
    grey = Scenes([(np.zeros((4, 4, 1), np.uint8), np.zeros((4, 4), np.int64))])
    with pytest.raises(IncompatibleError, match="pictures of 1 channels, the model takes 3"):
        evaluate(color_model(), grey)


def test_an_empty_set():
    with pytest.raises(DataError, match="no pictures in its split 'val'"):
        evaluate(color_model(), Scenes([]))


def test_an_ignored_set_has_no_value(scenes):
    for _, labels in scenes.pairs:
        labels[:] = 255
    metrics = evaluate(color_model(), scenes)
    assert metrics.miou != metrics.miou
    assert metrics.confusion.total == 0


def test_a_diverged_model_is_no_result(scenes):
    model = color_model()
    with torch.no_grad():
        model.head.score.bias[2] = float("nan")
    with pytest.raises(ZooError, match="answers with NaN"):
        evaluate(model, scenes)


def test_progress_and_device(scenes):
    steps = []
    evaluate(color_model(), scenes, batch_size=2, device="cpu", progress=lambda *step: steps.append(step))
    assert steps == [(2, 6), (3, 6), (4, 6), (5, 6), (6, 6)]
    with pytest.raises(ZooError, match="device 'tpu9' cannot be used"):
        evaluate(color_model(), scenes, device="tpu9")


def test_bfloat16_agrees_where_classes_are_far_apart(scenes):
    assert evaluate(color_model(), scenes, amp=True).miou == 1.0


def test_reading_stops_with_an_error_and_leaves_no_thread(scenes):
    many = Scenes([scene((4, 4), seed) for seed in range(50)])
    many.pairs[0][1][0, 0] = 9
    with pytest.raises(DataError):
        evaluate(color_model(), many)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("zoo-reading")]


def test_observers_see_every_batch_in_the_numbers_of_the_model(scenes):
    order = [3, 0, 4, 1, 2]
    place = np.argsort(order)
    pairs = [(picture, np.where(labels == 255, 255, place[labels])) for picture, labels in scenes.pairs]
    pairs[0][1][0] = 255
    shuffled = Scenes(pairs, tuple(NAMES[label] for label in order))
    seen = []
    evaluate(color_model(), shuffled, batch_size=2, observers=[lambda *batch: seen.append(batch)])
    assert [len(target) for _, _, target in seen] == [2, 1, 1, 1, 1]
    for logits, prediction, target in seen:
        assert logits.shape[0:1] + logits.shape[2:] == prediction.shape == target.shape
        assert torch.equal(logits.argmax(1), prediction)
        known = target != 255
        assert torch.equal(prediction[known], target[known])
    assert (seen[0][2][0, 0] == 255).all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_nothing_waits_for_the_gpu_between_the_batches(scenes):
    """After a first round: the first use of a kernel may wait for anything."""
    model = color_model().cuda()
    expected = evaluate(model, scenes, batch_size=2)
    modes = []

    def watch(done, total):
        modes.append(torch.cuda.get_sync_debug_mode())
        torch.cuda.set_sync_debug_mode("error" if done < total else "default")

    try:
        assert evaluate(model, scenes, batch_size=2, progress=watch) == expected
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert modes[1:] == [2] * (len(modes) - 1)


def test_several_ways_of_asking(scenes):
    """Against a loop over the pictures; observers see the logarithms of the probabilities."""
    torch.manual_seed(0)
    model = color_model()
    asked = TestTime((0.4,), mirror=True)  # most single pixels are lost
    seen = []
    metrics = evaluate(model, scenes, test_time=asked, observers=[lambda *batch: seen.append(batch)])
    expected = ConfusionMatrix(len(NAMES))
    for (picture, labels), (logits, found, _) in zip(scenes.pairs, seen, strict=True):
        chances = probabilities(model, torch.from_numpy(picture).permute(2, 0, 1)[None], asked)
        assert torch.allclose(logits, chances.log(), atol=1e-5)
        assert torch.equal(found, chances.argmax(1))
        expected.update(chances.argmax(1)[0], torch.from_numpy(labels))
    assert torch.equal(metrics.confusion.counts, expected.counts)
    assert metrics.miou < 1
