"""Fitting a first convolution, learned on RGB, to another number of input channels."""

from torch import Tensor


def adapt_first_conv(state: dict[str, Tensor], key: str, in_channels: int) -> None:
    """Change ``state[key]`` (O, I, k, k) in place to (O, in_channels, k, k), as timm does.

    One channel gets the sum of the old kernels; more get the old ones repeated, scaled so that a
    picture of the same brightness in all channels gives the same response.
    """
    weight = state[key]
    old = weight.shape[1]
    if old == in_channels:
        return
    if in_channels == 1:
        state[key] = weight.sum(dim=1, keepdim=True)
        return
    repeats = -(-in_channels // old)
    state[key] = weight.repeat(1, repeats, 1, 1)[:, :in_channels] * (old / in_channels)
