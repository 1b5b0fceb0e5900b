"""The FCN decoder: class scores at several depths, summed from coarse to fine."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from zoo.heads import upsampling
from zoo.interfaces import Decoder, Features, FeatureSpec
from zoo.ops import BilinearUpsample, ScoreConv, crop


class Skip(NamedTuple):
    """One fusion of a finer tap.

    Attributes:
        tap: The map that is scored.
        score: Name of its score layer: ``"score_pool4"``.
        upscore: Name of the layer that brings the coarser scores to its stride: ``"upscore2"``.
        scale: Factor on the features before scoring (the at-once net's 0.01 and 0.0001).
    """

    tap: FeatureSpec
    score: str
    upscore: str
    scale: float = 1.0


class FCNDecoder(Decoder):
    """Scores the coarsest tap, then upsamples and adds the scores of each finer one.

    Maps are aligned by cropping whichever begins earlier; the amounts follow from the taps' strides and offsets.

    Args:
        coarse: The tap that `score_fr` reads.
        skips: What to fuse, coarse to fine.
        num_classes: K.
        learn_upsampling: Whether the bilinear kernels learn.
        suffix: Ends the names of all layers, where one trunk has several such decoders: ``"_sem"``, ``"_geo"``.
    """

    def __init__(
        self,
        coarse: FeatureSpec,
        skips: Sequence[Skip],
        num_classes: int,
        *,
        learn_upsampling: bool = False,
        suffix: str = "",
    ) -> None:
        super().__init__()
        self.coarse = coarse.name
        self.skips = tuple(skip._replace(score=skip.score + suffix, upscore=skip.upscore + suffix) for skip in skips)
        self.taps = (coarse.name, *(skip.tap.name for skip in skips))
        self.first = "score_fr" + suffix
        self.add_module(self.first, score_layer(coarse.channels, num_classes))
        self.shifts: list[int] = []
        here = coarse._replace(channels=num_classes)
        for skip in self.skips:
            tap = skip.tap
            kernel_size, shift = upsampling(here, tap.stride, tap.offset)
            factor = here.stride // tap.stride
            upscore = BilinearUpsample(num_classes, kernel_size, factor, learnable=learn_upsampling)
            self.add_module(skip.upscore, upscore)
            self.add_module(skip.score, score_layer(tap.channels, num_classes))
            self.shifts.append(shift)
            # Where the upsampled map begins inside the tap's, the sum begins with the upsampled map.
            offset = tap.offset - min(shift, 0) * tap.stride
            here = FeatureSpec(skip.upscore, num_classes, tap.stride, offset)
        self.out = here

    def forward(self, features: Features) -> Tensor:
        """Map the taps to summed scores (N, K, h, w) at the finest tap's stride."""
        x: Tensor = getattr(self, self.first)(features.maps[self.coarse])
        for skip, shift in zip(self.skips, self.shifts, strict=True):
            x = getattr(self, skip.upscore)(x)
            tap = features.maps[skip.tap.name]
            if skip.scale != 1.0:
                tap = tap * skip.scale
            score = getattr(self, skip.score)(tap)
            if shift >= 0:
                x = crop(x, score.shape[-2:], shift, shift) + score
            else:
                x = x + crop(score, x.shape[-2:], -shift, -shift)
        return x


def score_layer(in_channels: int, num_classes: int) -> ScoreConv:
    """A 1×1 score layer, zero at first: a new skip starts by changing nothing."""
    layer = ScoreConv(in_channels, num_classes)
    with torch.no_grad():
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer
