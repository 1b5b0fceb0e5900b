"""Both sides of a comparison answer alike, before anything is optimized."""

import pytest
import torch
from random_networks import relative_difference

import zoo
from zoo.speed.enlarged import EnlargingConv
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


@pytest.mark.parametrize(("name", "enlarging"), [("unet", 5), ("unetplusplus", 11), ("manet", 1)])
def test_the_library_s_decoders_do_not_enlarge(name: str, enlarging: int) -> None:
    """Against the library's own answers; its blocks call `interpolate` and `cat` by themselves."""
    pytest.importorskip("segmentation_models_pytorch")
    pair = against(f"smp/{name}@smp/resnet18", "smp", num_classes=3)
    fast = zoo.optimize(pair.ours)
    assert sum(isinstance(module, EnlargingConv) for module in fast.modules()) == enlarging
    x = torch.randn(2, 3, 96, 64)
    with torch.no_grad():
        assert relative_difference(fast(x)["out"], pair.theirs(x)) < 1e-5
