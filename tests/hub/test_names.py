import pytest
import torch

from zoo.errors import CheckpointError
from zoo.hub.names import rename


def test_the_longest_beginning_wins_and_tensors_are_shared():
    a, b, c = torch.zeros(1), torch.zeros(2), torch.zeros(3)
    renamed = rename({"net.a.w": a, "net.b.w": b, "net.bias": c}, {"net.": "x.", "net.b.": "y."}, "theirs")
    assert list(renamed) == ["x.a.w", "y.w", "x.bias"]
    assert renamed["x.a.w"] is a
    assert renamed["y.w"] is b


def test_a_foreign_key_is_named():
    with pytest.raises(CheckpointError, match=r"'fc\.weight' is in no state dict of torchvision's FCN"):
        rename({"fc.weight": torch.zeros(1)}, {"backbone.": ""}, "torchvision's FCN")
