import pytest
import torch
import torch.nn.functional as F
from timm.models import adapt_input_conv

from zoo.encoders._first_conv import adapt_first_conv


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 6, 7])
def test_agrees_with_timm(channels):
    weight = torch.randn(5, 3, 3, 3)
    state = {"conv.weight": weight.clone(), "other": weight}
    adapt_first_conv(state, "conv.weight", channels)
    torch.testing.assert_close(state["conv.weight"], adapt_input_conv(channels, weight))
    assert state["other"] is weight


@pytest.mark.parametrize("channels", [1, 3, 4, 6])
def test_a_grey_picture_gives_the_same_response(channels):
    weight = torch.randn(5, 3, 3, 3)
    state = {"conv.weight": weight}
    adapt_first_conv(state, "conv.weight", channels)
    grey = torch.rand(1, 1, 8, 8)
    # Four channels repeat the first kernel, so only multiples of three answer exactly alike.
    if channels % 3 and channels != 1:
        equal = weight[:, :1].expand(-1, 3, -1, -1)
        state = {"conv.weight": equal}
        adapt_first_conv(state, "conv.weight", channels)
        weight = equal
    wanted = F.conv2d(grey.expand(-1, 3, -1, -1), weight)
    got = F.conv2d(grey.expand(-1, channels, -1, -1), state["conv.weight"])
    torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-5)
