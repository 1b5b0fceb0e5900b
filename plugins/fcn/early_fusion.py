"""Colour and depth fused at the first layer: a VGG-16 whose conv1_1 reads them all (Long et al. on NYUDv2)."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from zoo.encoders._first_conv import adapt_first_conv
from zoo.encoders.vgg import VGG16

_FIRST = "conv1_1_bgrd"


class VGG16BGRD(VGG16):
    """VGG-16 for pictures with more than colour: channels 0 to 2 are the colour, the rest is depth or the like.

    It differs from VGG-16 in three ways. The first layer is called ``conv1_1_bgrd``, as published, whatever the order
    of the colours. Pretrained weights keep their three planes, and every further one starts as their mean. And of the
    input, colour is normalised as for VGG-16, while further channels get the mean of its constants.

    Args:
        taps: Build only as deep as these need; None builds everything.
        in_channels: Channels of the input; with fewer than four it is a plain VGG-16.
        width: As for `VGG16`, like all that follow.
        encoder_weights: Weights of a VGG-16 for colour: None, ``"imagenet"``, or the path of a file.
    """

    def __init__(
        self,
        *,
        taps: Collection[str] | None = None,
        in_channels: int = 4,
        width: float = 1.0,
        classifier: bool = False,
        classifier_channels: int | None = None,
        classifier_kernel: int = 7,
        fc6_padding: int | None = None,
        classifier_norm: bool = False,
        norm_eps: float = 1e-5,
        norm_shift: float = 0.0,
        first_padding: int = 1,
        ceil_mode: bool = True,
        dropout: float = 0.5,
        encoder_weights: str | None = None,
    ) -> None:
        options: dict[str, Any] = {
            "taps": taps,
            "width": width,
            "classifier": classifier,
            "classifier_channels": classifier_channels,
            "classifier_kernel": classifier_kernel,
            "fc6_padding": fc6_padding,
            "classifier_norm": classifier_norm,
            "norm_eps": norm_eps,
            "norm_shift": norm_shift,
            "first_padding": first_padding,
            "ceil_mode": ceil_mode,
            "dropout": dropout,
        }
        super().__init__(in_channels=in_channels, **options)
        if encoder_weights is not None:
            color = VGG16(**options, encoder_weights=encoder_weights)
            self.input = color.input
            state = color.state_dict()
            widen(state, "conv1_1.weight", in_channels)
            self.load_state_dict(state)
        self._modules = {_FIRST if name == "conv1_1" else name: module for name, module in self._modules.items()}
        self.layers = [(_FIRST if name == "conv1_1" else name, kind) for name, kind in self.layers]
        if in_channels > 3:
            whole = self.input.with_channels(in_channels)
            self.input = replace(whole, mean=self.input.mean + whole.mean[3:], std=self.input.std + whole.std[3:])


def widen(state: dict[str, Tensor], key: str, in_channels: int) -> None:
    """Give ``state[key]`` (O, 3, k, k) further input planes, each the mean of its three; fewer planes as elsewhere."""
    weight = state[key]
    if in_channels <= weight.shape[1]:
        adapt_first_conv(state, key, in_channels)
        return
    plane = weight.mean(dim=1, keepdim=True)
    state[key] = torch.cat([weight, plane.repeat(1, in_channels - weight.shape[1], 1, 1)], dim=1)
