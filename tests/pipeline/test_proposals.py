"""Proposals against loops over pixels."""

import math

import numpy as np
import pytest
import torch
from pipeline_world import picture, small_model

from zoo.data.objects import Box
from zoo.inference.forward import answering
from zoo.ops import normalize
from zoo.pipeline.options import Proposals
from zoo.pipeline.proposals import proposal_scores

BOXES = [Box(-6, 3, 20, 31), Box(5, -4, 41, 44), Box(12, 20, 26, 34), Box(0, 0, 9, 50)]


def triangle_weights(length, wanted):
    """Bilinear resizing with averaging where it shrinks, as published for MATLAB and Pillow: (wanted, length)."""
    scale = length / wanted
    reach = max(scale, 1.0)
    found = np.zeros((wanted, length))
    for i in range(wanted):
        centre = (i + 0.5) * scale
        for j in range(length):
            found[i, j] = max(0.0, 1 - abs(j + 0.5 - centre) / reach)
        found[i] /= found[i].sum()
    return found


def resized(x, size):
    return np.einsum("ih,khw,jw->kij", triangle_weights(x.shape[1], size[0]), x, triangle_weights(x.shape[2], size[1]))


def by_hand(model, image, boxes, how):
    """Pixel after pixel, on a canvas much larger than the picture."""
    margin = 60
    _, height, width = image.shape
    canvas = np.zeros((3, height + 2 * margin, width + 2 * margin))
    canvas[:, margin : margin + height, margin : margin + width] = image.numpy() / 255
    answers = {}
    for box in boxes:
        crop = canvas[:, margin + box.top : margin + box.bottom, margin + box.left : margin + box.right]
        square = torch.from_numpy(resized(crop, (how.side, how.side))).float()[None]
        with torch.no_grad():
            scores = model(normalize(square, model.config.input))["out"][0].double().numpy()
        scores = resized(scores, crop.shape[1:])
        for y in range(crop.shape[1]):
            for x in range(crop.shape[2]):
                answers.setdefault((box.top + y, box.left + x), []).append(scores[:, y, x])
    out = np.zeros((3, height, width))
    for y in range(height):
        for x in range(width):
            found = answers.get((y - how.shifted, x - how.shifted), [])
            if found:
                kept = np.maximum(found, 0) if how.clipped else np.array(found)
                out[:, y, x] = kept.max(0) if how.aggregate == "max" else kept.mean(0)
    return out


@pytest.mark.parametrize(
    ("aggregate", "clipped", "shifted"),
    [("max", False, False), ("max", True, True), ("mean", False, True), ("mean", True, False)],
)
def test_against_pixel_by_pixel(aggregate, clipped, shifted):
    model, image = small_model(), picture((36, 48))
    how = Proposals(side=16, aggregate=aggregate, clipped=clipped, shifted=shifted)
    boxes = BOXES[:3] if aggregate == "max" else BOXES
    expected = by_hand(model, image, boxes, how)
    with answering(model):
        found = proposal_scores(model, image, boxes, how, batch=3)
    assert found.shape == (3, 36, 48)
    assert np.abs(found.numpy() - expected).max() < 1e-4
    assert expected.std() > 0.05
    if not clipped:
        assert expected.min() < 0
    if aggregate == "max":
        assert (expected == 0).all(0).any()  # something lies in no box


def test_the_size_of_the_batch_does_not_matter():
    model, image = small_model(), picture((36, 48))
    with answering(model):
        one, all_ = (proposal_scores(model, image, BOXES, Proposals(side=16), batch=batch) for batch in (1, 8))
    assert torch.allclose(one, all_, atol=1e-5)


def test_no_box_no_score():
    with answering(model := small_model()):
        assert not proposal_scores(model, picture(), [], Proposals()).any()


def test_the_whole_picture_as_the_only_box_is_the_plain_answer():
    model, image = small_model(), picture((32, 32))
    with answering(model):
        found = proposal_scores(model, image, [Box(0, 0, 32, 32)], Proposals(side=32, enlarge=1))
        expected = model(normalize(image, model.config.input)[None])["out"][0]
    assert torch.allclose(found, expected, atol=1e-5)
    assert math.isfinite(found.sum())
