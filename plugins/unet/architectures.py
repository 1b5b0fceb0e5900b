"""U-Net (2015) with its own contracting path or on any encoder; U-Net L4 and L5, with and without ASPP."""

from collections.abc import Mapping, Sequence
from typing import Any

from zoo.plugins.unet.contracting import ContractingPath
from zoo.plugins.unet.decoder import UNetDecoder
from zoo.plugins.unet.layers import initialise
from zoo.plugins.unet.levels import LevelDecoder, LevelEncoder

from zoo.errors import IncompatibleError, OptionError, did_you_mean
from zoo.heads import PixelScoreHead, ScoreHead
from zoo.interfaces import Encoder, EncoderPlan, FeatureSpec
from zoo.model import SegmentationModel
from zoo.ops import ASPP

_OWN = {"padding": "valid", "dropout": 0.5}
"""Options of the contracting path, as published; another encoder has its own instead."""


def unet(
    num_classes: int,
    in_channels: int = 3,
    encoder: EncoderPlan | None = None,
    *,
    widths: Sequence[int] = (64, 128, 256, 512, 1024),
    norm: bool | None = None,
    upsampling: str | None = None,
    padding: str | None = None,
    dropout: float | None = None,
) -> SegmentationModel:
    """U-Net: without an encoder the published net, else its expanding path on that encoder.

    Args:
        num_classes: K.
        in_channels: C of the input.
        encoder: Any encoder with taps at several strides; None for the net's own contracting path.
        widths: Channels at each resolution, fine to coarse. An encoder is read at the last tap of each of its finest
            strides, as many of them as there are widths; at the coarsest it has its own channels.
        norm: BatchNorm after every 3×3 convolution (of the decoder, where there is an encoder). By default as published
            off, and on with an encoder.
        upsampling: ``"transposed"``, learned, the default as published; or ``"bilinear"``, the default with an encoder.
        padding: Of the own net: ``"valid"`` as published, the input continued by mirroring so that every pixel gets an
            answer; or ``"same"``: zeros around every map.
        dropout: Probability at the end of the own contracting path; 0.5.
    """
    _counts(1, "widths", widths)
    if len(widths) < 2:
        raise OptionError(f"widths={list(widths)}: expected at least two, one per resolution")
    _one_of("upsampling", upsampling, (None, "transposed", "bilinear"))
    _one_of("padding", padding, (None, "valid", "same"))
    own = {"padding": padding, "dropout": dropout}
    if encoder is None:
        settled: dict[str, Any] = {key: _OWN[key] if value is None else value for key, value in own.items()}
        zeros = int(settled["padding"] == "same")
        trunk: Encoder = ContractingPath(
            widths, in_channels=in_channels, padding=zeros, norm=bool(norm), dropout=settled["dropout"]
        )
        decoder = UNetDecoder(
            trunk.features[::-1],
            widths[-2::-1],
            padding=zeros,
            norm=bool(norm),
            transposed=upsampling in (None, "transposed"),
        )
    else:
        for option, value in own.items():
            if value is not None:
                raise OptionError(
                    f"{option}={value!r} is for U-Net's own contracting path, which encoder {encoder.name!r} replaces"
                )
        wishes = encoder.supported(ceil_mode=True)
        taps = _finest(encoder.name, encoder.offers(**wishes), len(widths))
        decoder = UNetDecoder(
            taps[::-1],
            widths[: len(taps) - 1][::-1],
            padding=1,
            norm=norm is not False,
            transposed=upsampling == "transposed",
        )
        trunk = encoder.build(decoder.taps, **wishes)
    head = PixelScoreHead(decoder.out, num_classes, "conv_u0d_score")
    initialise(head)
    return SegmentationModel(trunk, decoder, head)


def unet_levels(
    num_classes: int,
    in_channels: int = 3,
    encoder: EncoderPlan | None = None,
    *,
    channels: Sequence[int] = (64, 128, 256, 512),
    aspp: bool = False,
    wiring: str = "A",
    dropout: float = 0.5,
    center_convs: int = 2,
    last_padding: int = 0,
    decoder_norm: bool = False,
    rates: Sequence[int] = (1, 2, 4),
    aspp_width: int = 256,
    image_pooling: bool = True,
) -> SegmentationModel:
    """U-Net L4, L5 and so on, by the number of `channels`.

    Args:
        num_classes: K.
        in_channels: C of the input.
        encoder: None for the net's own; or any encoder with a tap per level: the last tap of each of its finest strides
            is read.
        channels: Of the blocks at each level, fine to coarse. On another encoder they are the decoder's only, and there
            are no more levels than it has strides.
        aspp: Atrous spatial pyramid pooling before the centre.
        wiring: Where the skips enter, ``"A"`` or ``"B"``; see `LevelDecoder`.
        dropout: Probability in the deepest encoder block, or after another encoder's deepest map.
        center_convs: Convolutions in the centre.
        last_padding: 0: the last block loses four cells, and its scores are stretched to the input, as traced. 1: it
            does not.
        decoder_norm: BatchNorm in the decoder too.
        rates: Of the ASPP's 3×3 convolutions. At 128×128 pixels L4 has a map of 8×8 there, on which a rate of 8 or more
            would only ever touch padding.
        aspp_width: Channels of the ASPP's branches, before it returns to those of the encoder.
        image_pooling: Whether one of its branches averages the whole map.
    """
    _counts(1, "channels", channels)
    _counts(1, "rates", rates)
    _counts(1, "aspp_width", [aspp_width])
    _counts(0, "center_convs", [center_convs])
    _one_of("wiring", wiring, ("A", "B"))
    _one_of("last_padding", last_padding, (0, 1))
    if not channels:
        raise OptionError("channels=[]: expected the channels of at least one encoder block")
    wishes: Mapping[str, Any] = {}
    if encoder is None:
        own = LevelEncoder(channels, in_channels=in_channels, dropout=dropout)
        taps: Sequence[FeatureSpec] = own.features
    else:
        wishes = encoder.supported(ceil_mode=True)
        taps = _finest(encoder.name, encoder.offers(**wishes), len(channels))
    deepest = taps[-1].channels
    decoder = LevelDecoder(
        taps,
        widths=None if encoder is None else channels[: len(taps)],
        wiring=wiring,
        center_convs=center_convs,
        last_padding=last_padding,
        norm=decoder_norm,
        aspp=ASPP(deepest, deepest, rates=rates, width=aspp_width, image_pooling=image_pooling) if aspp else None,
        dropout=0.0 if encoder is None else dropout,
    )
    trunk = own if encoder is None else encoder.build(decoder.taps, **wishes)
    return SegmentationModel(trunk, decoder, ScoreHead(decoder.out.channels, num_classes))


def _finest(encoder: str, offered: Sequence[FeatureSpec], count: int) -> list[FeatureSpec]:
    """The last tap of each of the finest strides, fine to coarse."""
    last = {tap.stride: tap for tap in offered}
    if len(last) < 2:
        raise IncompatibleError(
            f"encoder {encoder!r} with these options has taps at stride {', '.join(map(str, last))} only; "
            "U-Net needs at least two strides"
        )
    return [last[stride] for stride in sorted(last)[:count]]


def _one_of(option: str, value: object, allowed: Sequence[object]) -> None:
    if value not in allowed:
        words = [word for word in allowed if isinstance(word, str)]
        hint = did_you_mean(value, words) if isinstance(value, str) else ""
        raise OptionError(f"{option}={value!r}: expected one of {', '.join(map(repr, allowed))}.{hint}")


def _counts(least: int, option: str, values: Sequence[object]) -> None:
    if not all(isinstance(value, int) and not isinstance(value, bool) and value >= least for value in values):
        raise OptionError(f"{option}={list(values)}: expected whole numbers of at least {least}")
