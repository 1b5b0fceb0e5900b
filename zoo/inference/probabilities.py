"""How likely every class is at every pixel, asked as `TestTime` says."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.inference.forward import answering, ask, model_input
from zoo.inference.naming import mirrored
from zoo.inference.output_stride import at_output_stride
from zoo.inference.test_time import TestTime
from zoo.ops import resize

if TYPE_CHECKING:
    from zoo.model import SegmentationModel

_PLAIN = TestTime()


def probabilities(
    model: "SegmentationModel", images: Tensor, test_time: TestTime = _PLAIN, *, amp: bool = False
) -> Tensor:
    """The softmax of a model's logits, averaged over all ways of asking.

    Args:
        model: Run in evaluation mode and without gradients; left in the mode it is in, on its device.
        images: (N, C, H, W), uint8 or floating point in 0…1, not normalised.
        test_time: How to ask. With an output stride other than the model's the model is rebuilt on every call: for
            many pictures call `zoo.inference.output_stride.at_output_stride` once and hand in what it returns.
        amp: Compute in bfloat16; softmax and averages stay in float32.

    Returns:
        (N, K, H, W) float32 on the model's device, at the size of the images; sums over K are 1. NaN where the model
        answers with NaN: see `zoo.inference.forward.answers`.

    Raises:
        IncompatibleError: The model cannot have that output stride.
    """
    if test_time.output_stride is not None:
        model = at_output_stride(model, test_time.output_stride)
    with answering(model):
        x = model_input(model, images)
        height, width = x.shape[-2:]
        total: Tensor | None = None
        for scale in test_time.scales:
            size = (max(round(height * scale), 1), max(round(width * scale), 1))
            scaled = x if scale == 1 else resize(x, size)
            found = _at_one_scale(model, scaled, test_time, amp)
            found = found if size == (height, width) else resize(found, (height, width))
            total = found if total is None else total.add_(found)
        assert total is not None
        return total if len(test_time.scales) == 1 else total.div_(len(test_time.scales))


def _at_one_scale(model: "SegmentationModel", x: Tensor, test_time: TestTime, amp: bool) -> Tensor:
    if test_time.window is None:
        return _both_ways(model, x, test_time.mirror, amp)
    height, width = x.shape[-2:]
    rows, columns = test_time.window
    # Where a window is larger than the picture the model's mean colour, 0 once normalised, frames it on both sides.
    top, left = max(rows - height, 0) // 2, max(columns - width, 0) // 2
    framed = F.pad(x, (left, max(columns - width, 0) - left, top, max(rows - height, 0) - top))
    total = count = None
    for down, across in windows((framed.shape[-2], framed.shape[-1]), test_time):
        found = _both_ways(model, framed[..., down, across], test_time.mirror, amp)
        if total is None or count is None:
            total = found.new_zeros((*found.shape[:2], *framed.shape[-2:]))
            count = found.new_zeros(framed.shape[-2:])
        total[..., down, across] += found
        count[down, across] += 1
    assert total is not None
    assert count is not None
    return total.div_(count)[..., top : top + height, left : left + width]


def windows(size: tuple[int, int], test_time: TestTime) -> Iterator[tuple[slice, slice]]:
    """Yield rows and columns of the windows over a picture of `size`, which is at least as large as one of them.

    Each begins one step after the one before; the last begins so that it ends with the picture.
    """
    assert test_time.window is not None
    (height, width), (rows, columns) = size, test_time.window
    for top in _starts(height, rows, test_time.steps(rows)):
        for left in _starts(width, columns, test_time.steps(columns)):
            yield slice(top, top + rows), slice(left, left + columns)


def _starts(length: int, window: int, step: int) -> list[int]:
    return [*range(0, length - window, step), length - window]


def _both_ways(model: "SegmentationModel", x: Tensor, mirror: bool, amp: bool) -> Tensor:
    found = ask(model, x, amp=amp).float().softmax(1)
    if not mirror:
        return found
    with mirrored():
        turned = ask(model, x.flip(-1), amp=amp).float().softmax(1).flip(-1)
    return torch.lerp(found, turned, 0.5)
