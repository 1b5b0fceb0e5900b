"""Both sides of a comparison answer alike, before anything is optimized."""

import pytest
import torch
from random_networks import relative_difference

from zoo.speed.peers import against


@pytest.mark.parametrize(
    ("name", "library"), [("lraspp_mobilenet_v3_large", "torchvision"), ("smp/unet@smp/resnet18", "smp")]
)
def test_the_same_net_twice(name: str, library: str) -> None:
    pytest.importorskip({"smp": "segmentation_models_pytorch"}.get(library, library))
    pair = against(name, library, num_classes=3)
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        ours, theirs = pair.ours(x)["out"], pair.theirs(x)
    assert relative_difference(ours, theirs["out"] if isinstance(theirs, dict) else theirs) < 1e-5
