"""The architectures of segmentation-models-pytorch, built by the library itself.

Options have the library's names and defaults; what Zoo has names for has Zoo's: `encoder`, `num_classes`,
`in_channels`, and `output_stride` for the library's ``encoder_output_stride``, which is an option of the encoder. The
library's ``activation``, ``aux_params`` and ``upsampling`` are left out: a model answers with logits at the picture's
size.
"""

from collections.abc import Sequence
from typing import Any

from zoo.plugins.smp.assembly import dilated, natural, pyramid_model, token_model

from zoo.interfaces import EncoderPlan
from zoo.model import SegmentationModel


def unet(
    encoder: EncoderPlan,
    num_classes: int,
    *,
    encoder_weights: str | None = None,
    encoder_depth: int = 5,
    decoder_use_norm: str | bool | dict[str, Any] = "batchnorm",
    decoder_channels: Sequence[int] = (256, 128, 64, 32, 16),
    decoder_attention_type: str | None = None,
    decoder_interpolation: str = "nearest",
) -> SegmentationModel:
    """U-Net; its decoder takes maps of any size, so that pictures are padded only where the encoder wants it.

    Args:
        encoder: Any encoder of the library with a pyramid of maps.
        num_classes: K.
        encoder_weights: None, or the library's name of pretrained weights of the encoder.
        encoder_depth: Stages of the encoder, each halving the map.
        decoder_use_norm: ``"batchnorm"``, ``"identity"``, ``"layernorm"``, ``"instancenorm"``, or a table with
            ``type`` and the layer's arguments.
        decoder_channels: Channels of the decoder's blocks, one for each stage, coarse to fine.
        decoder_attention_type: None or ``"scse"``.
        decoder_interpolation: How maps are enlarged: ``"nearest"``, ``"bilinear"`` …
    """
    return pyramid_model(
        natural("unet", encoder),
        num_classes,
        encoder_weights,
        any_size=True,
        encoder_depth=encoder_depth,
        decoder_use_norm=decoder_use_norm,
        decoder_channels=decoder_channels,
        decoder_attention_type=decoder_attention_type,
        decoder_interpolation=decoder_interpolation,
    )


def unetplusplus(
    encoder: EncoderPlan,
    num_classes: int,
    *,
    encoder_weights: str | None = None,
    encoder_depth: int = 5,
    decoder_use_norm: str | bool | dict[str, Any] = "batchnorm",
    decoder_channels: Sequence[int] = (256, 128, 64, 32, 16),
    decoder_attention_type: str | None = None,
    decoder_interpolation: str = "nearest",
) -> SegmentationModel:
    """U-Net++ (Zhou et al., 2018); arguments as for `unet`."""
    return pyramid_model(
        natural("unetplusplus", encoder),
        num_classes,
        encoder_weights,
        encoder_depth=encoder_depth,
        decoder_use_norm=decoder_use_norm,
        decoder_channels=decoder_channels,
        decoder_attention_type=decoder_attention_type,
        decoder_interpolation=decoder_interpolation,
    )


def manet(
    encoder: EncoderPlan,
    num_classes: int,
    *,
    encoder_weights: str | None = None,
    encoder_depth: int = 5,
    decoder_use_norm: str | bool | dict[str, Any] = "batchnorm",
    decoder_channels: Sequence[int] = (256, 128, 64, 32, 16),
    decoder_pab_channels: int = 64,
    decoder_interpolation: str = "nearest",
) -> SegmentationModel:
    """MA-Net (Fan et al., 2020); arguments as for `unet`, and the width of the position attention."""
    return pyramid_model(
        natural("manet", encoder),
        num_classes,
        encoder_weights,
        encoder_depth=encoder_depth,
        decoder_use_norm=decoder_use_norm,
        decoder_channels=decoder_channels,
        decoder_pab_channels=decoder_pab_channels,
        decoder_interpolation=decoder_interpolation,
    )


def linknet(
    encoder: EncoderPlan,
    num_classes: int,
    *,
    encoder_weights: str | None = None,
    encoder_depth: int = 5,
    decoder_use_norm: str | bool | dict[str, Any] = "batchnorm",
) -> SegmentationModel:
    """LinkNet (Chaurasia and Culurciello, 2017); arguments as for `unet`."""
    return pyramid_model(
        natural("linknet", encoder),
        num_classes,
        encoder_weights,
        encoder_depth=encoder_depth,
        decoder_use_norm=decoder_use_norm,
    )


def fpn(
    encoder: EncoderPlan,
    num_classes: int,
    *,
    encoder_weights: str | None = None,
    encoder_depth: int = 5,
    decoder_pyramid_channels: int = 256,
    decoder_segmentation_channels: int = 128,
    decoder_merge_policy: str = "add",
    decoder_dropout: float = 0.2,
    decoder_interpolation: str = "nearest",
) -> SegmentationModel:
    """Feature pyramid network (Kirillov et al., 2019).

    Args:
        encoder: As for `unet`.
        num_classes: K.
        encoder_weights: As for `unet`.
        encoder_depth: As for `unet`.
        decoder_pyramid_channels: Width of the pyramid.
        decoder_segmentation_channels: Width of the branches that are merged.
        decoder_merge_policy: ``"add"`` or ``"cat"``.
        decoder_dropout: Probability before the head; whole channels are dropped.
        decoder_interpolation: As for `unet`.
    """
    return pyramid_model(
        natural("fpn", encoder),
        num_classes,
        encoder_weights,
        encoder_depth=encoder_depth,
        decoder_pyramid_channels=decoder_pyramid_channels,
        decoder_segmentation_channels=decoder_segmentation_channels,
        decoder_merge_policy=decoder_merge_policy,
        decoder_dropout=decoder_dropout,
        decoder_interpolation=decoder_interpolation,
    )


def pspnet(
    encoder: EncoderPlan,
    num_classes: int,
    *,
    encoder_weights: str | None = None,
    encoder_depth: int = 3,
    psp_out_channels: int = 512,
    decoder_use_norm: str | bool | dict[str, Any] = "batchnorm",
    psp_dropout: float = 0.2,
) -> SegmentationModel:
    """PSPNet (Zhao et al., 2017) on the first stages of an encoder, not on a dilated one; arguments as for `unet`.

    The stages that are not read are in the state dict, as in the library's own, and frozen.
    """
    return pyramid_model(
        natural("pspnet", encoder),
        num_classes,
        encoder_weights,
        encoder_depth=encoder_depth,
        psp_out_channels=psp_out_channels,
        decoder_use_norm=decoder_use_norm,
        psp_dropout=psp_dropout,
        upsampling=2**encoder_depth,
    )


def pan(
    encoder: EncoderPlan,
    num_classes: int,
    *,
    encoder_weights: str | None = None,
    encoder_depth: int = 5,
    decoder_channels: int = 32,
    decoder_interpolation: str = "bilinear",
) -> SegmentationModel:
    """Pyramid attention network (Li et al., 2018), at output stride 16 or 32; arguments as for `unet`.

    Its attention halves the deepest map three times: pictures smaller than eight of its cells are padded.
    """
    return pyramid_model(
        dilated("pan", encoder, 16, (16, 32)),
        num_classes,
        encoder_weights,
        cells=8,
        encoder_depth=encoder_depth,
        decoder_channels=decoder_channels,
        decoder_interpolation=decoder_interpolation,
    )


def deeplabv3(
    encoder: EncoderPlan,
    num_classes: int,
    *,
    encoder_weights: str | None = None,
    encoder_depth: int = 5,
    decoder_channels: int = 256,
    decoder_atrous_rates: Sequence[int] = (12, 24, 36),
    decoder_aspp_separable: bool = False,
    decoder_aspp_dropout: float = 0.5,
) -> SegmentationModel:
    """DeepLabV3 (Chen et al., 2017), at output stride 8 or 16.

    Args:
        encoder: An encoder of the library that can be dilated.
        num_classes: K.
        encoder_weights: As for `unet`.
        encoder_depth: As for `unet`.
        decoder_channels: Width of the decoder.
        decoder_atrous_rates: Dilations of the pyramid's three branches.
        decoder_aspp_separable: Make its convolutions depthwise separable.
        decoder_aspp_dropout: Probability after the pyramid.
    """
    return pyramid_model(
        dilated("deeplabv3", encoder, 8, (8, 16)),
        num_classes,
        encoder_weights,
        encoder_depth=encoder_depth,
        decoder_channels=decoder_channels,
        decoder_atrous_rates=decoder_atrous_rates,
        decoder_aspp_separable=decoder_aspp_separable,
        decoder_aspp_dropout=decoder_aspp_dropout,
    )


def deeplabv3plus(
    encoder: EncoderPlan,
    num_classes: int,
    *,
    encoder_weights: str | None = None,
    encoder_depth: int = 5,
    decoder_channels: int = 256,
    decoder_atrous_rates: Sequence[int] = (12, 24, 36),
    decoder_aspp_separable: bool = True,
    decoder_aspp_dropout: float = 0.5,
) -> SegmentationModel:
    """DeepLabV3+ (Chen et al., 2018), at output stride 16 or 8; arguments as for `deeplabv3`."""
    return pyramid_model(
        dilated("deeplabv3plus", encoder, 16, (8, 16)),
        num_classes,
        encoder_weights,
        encoder_depth=encoder_depth,
        decoder_channels=decoder_channels,
        decoder_atrous_rates=decoder_atrous_rates,
        decoder_aspp_separable=decoder_aspp_separable,
        decoder_aspp_dropout=decoder_aspp_dropout,
    )


def upernet(
    encoder: EncoderPlan,
    num_classes: int,
    *,
    encoder_weights: str | None = None,
    encoder_depth: int = 5,
    decoder_channels: int = 256,
    decoder_use_norm: str | bool | dict[str, Any] = "batchnorm",
) -> SegmentationModel:
    """UPerNet (Xiao et al., 2018); arguments as for `unet`."""
    return pyramid_model(
        natural("upernet", encoder),
        num_classes,
        encoder_weights,
        encoder_depth=encoder_depth,
        decoder_channels=decoder_channels,
        decoder_use_norm=decoder_use_norm,
    )


def segformer(
    encoder: EncoderPlan,
    num_classes: int,
    *,
    encoder_weights: str | None = None,
    encoder_depth: int = 5,
    decoder_segmentation_channels: int = 256,
) -> SegmentationModel:
    """SegFormer (Xie et al., 2021): its decoder on any encoder; ``mit_b0`` … ``mit_b5`` are its own.

    Arguments as for `unet`.
    """
    return pyramid_model(
        natural("segformer", encoder),
        num_classes,
        encoder_weights,
        encoder_depth=encoder_depth,
        decoder_segmentation_channels=decoder_segmentation_channels,
    )


def dpt(
    encoder: EncoderPlan,
    num_classes: int,
    *,
    encoder_weights: str | None = None,
    encoder_output_indices: Sequence[int] | None = None,
    decoder_readout: str = "cat",
    decoder_intermediate_channels: Sequence[int] = (256, 512, 1024, 1024),
    decoder_fusion_channels: int = 256,
) -> SegmentationModel:
    """Dense prediction transformer (Ranftl et al., 2021) on a timm net, for pictures of any size.

    Args:
        encoder: A timm net, as ``tu-NAME``: a vision transformer, or another that shows its intermediate maps.
        num_classes: K.
        encoder_weights: None, or ``"imagenet"``.
        encoder_output_indices: The four blocks to read; by default evenly spaced.
        decoder_readout: What becomes of the prefix token: ``"cat"``, ``"add"`` or ``"ignore"``.
        decoder_intermediate_channels: Width of the four maps before they are fused.
        decoder_fusion_channels: Width of the fusion.
    """
    return token_model(
        natural("dpt", encoder),
        num_classes,
        encoder_weights,
        encoder_output_indices=None if encoder_output_indices is None else list(encoder_output_indices),
        decoder_readout=decoder_readout,
        decoder_intermediate_channels=decoder_intermediate_channels,
        decoder_fusion_channels=decoder_fusion_channels,
    )
