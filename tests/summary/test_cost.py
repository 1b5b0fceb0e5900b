import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models import segmentation

from zoo.assembly import resolve
from zoo.summary import summarize
from zoo.summary.cost import Counting

# N = 2, 3 → 5 channels, 8×9 pixels
CASES = {
    "convolution": (nn.Conv2d(3, 5, (3, 1), padding=(1, 0)), 2 * 8 * 9 * 5 * 3 * 3),
    "strided": (nn.Conv2d(3, 5, 2, stride=2), 2 * 4 * 4 * 5 * 3 * 4),
    "grouped": (nn.Conv2d(3, 6, 3, groups=3, padding=1), 2 * 8 * 9 * 6 * 9),
    "transposed": (nn.ConvTranspose2d(3, 5, 4, stride=2), 2 * 8 * 9 * 3 * 5 * 16),
    "linear": (nn.Linear(9, 4), 2 * 3 * 8 * 9 * 4),
    "no products": (nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2), nn.Upsample(scale_factor=2)), 0),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_by_hand(name, device):
    net, expected = CASES[name]
    with torch.inference_mode(), Counting() as counting:
        net.to_empty(device=device).eval()(torch.zeros(2, 3, 8, 9, device=device))
    assert sum(counting.macs.values()) == expected


def test_attention_by_hand():
    query, key, value = (torch.empty(2, 4, length, width, device="meta") for length, width in [(5, 8), (7, 8), (7, 6)])
    with torch.inference_mode(), Counting() as counting:
        F.scaled_dot_product_attention(query, key, value)
        (query @ key.transpose(-2, -1)).softmax(-1) @ value
    assert counting.macs[""] == 2 * 2 * 4 * (5 * 7 * 8 + 5 * 7 * 6)


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("fcn_resnet50", segmentation.FCN_ResNet50_Weights),
        ("fcn_resnet101", segmentation.FCN_ResNet101_Weights),
        ("deeplabv3_resnet50", segmentation.DeepLabV3_ResNet50_Weights),
        ("deeplabv3_resnet101", segmentation.DeepLabV3_ResNet101_Weights),
        ("deeplabv3_mobilenet_v3_large", segmentation.DeepLabV3_MobileNet_V3_Large_Weights),
        ("lraspp_mobilenet_v3_large", segmentation.LRASPP_MobileNet_V3_Large_Weights),
    ],
)
def test_torchvisions_published_numbers(name, weights):
    """torchvision counts multiply-accumulates at 520×520, auxiliary head included, and calls them GFLOPS."""
    published = weights.DEFAULT.meta
    has_auxiliary = name != "lraspp_mobilenet_v3_large"
    summary = summarize(resolve(name, options={"aux": True} if has_auxiliary else {}), (520, 520))
    macs = summary.macs["total"] + summary.macs.get("auxiliary", 0)
    assert round(macs / 1e9, 3) == published["_ops"]
    assert summary.parameters["total"] == published["num_params"]
    assert summary.flops["total"] == 2 * summary.macs["total"]
    assert summary.auxiliary_outputs == ({"aux": (1, 21, 520, 520)} if has_auxiliary else {})
