"""From the library's model to Zoo's: the same parts, behind encoder, decoder and head."""

from typing import Any, NamedTuple

from torch import nn
from zoo.plugins.smp.decoder import LibraryDecoder, LibraryHead, TokenDecoder, head_input
from zoo.plugins.smp.encoder import Pyramid, SMPEncoder, Tokens
from zoo.plugins.smp.facts import DEPTH, NAMESPACE, Padding, convention, model_padding, pretrained, table_entry
from zoo.plugins.smp.frozen import freeze_unused
from zoo.plugins.smp.library import fetching, library

from zoo.config import InputSpec
from zoo.errors import IncompatibleError, OptionError
from zoo.interfaces import EncoderPlan
from zoo.model import SegmentationModel


class Order(NamedTuple):
    """What to build.

    Attributes:
        architecture: The library's name of it, in small letters.
        encoder: The library's name of the encoder.
        in_channels: C of the input.
        output_stride: Stride of the encoder's deepest map where it is dilated; None where the architecture never is.
    """

    architecture: str
    encoder: str
    in_channels: int
    output_stride: int | None = None


def natural(architecture: str, encoder: EncoderPlan) -> Order:
    """An order for an architecture that takes encoders as they are."""
    order = Order(architecture, _name(architecture, encoder), encoder.in_channels)
    if encoder.offers() != SMPEncoder.offers(order.encoder):
        raise OptionError(f"{NAMESPACE}/{architecture} takes its encoder as it is; leave out output_stride")
    return order


def dilated(architecture: str, encoder: EncoderPlan, default: int, allowed: tuple[int, ...]) -> Order:
    """An order for an architecture that dilates its encoder; the user's `output_stride` wins over `default`."""
    name = _name(architecture, encoder)
    output_stride = max(tap.stride for tap in encoder.offers(output_stride=default))
    if output_stride not in allowed:
        choice = " or ".join(map(str, allowed))
        raise OptionError(f"output_stride={output_stride}: {NAMESPACE}/{architecture} takes {choice}")
    return Order(architecture, name, encoder.in_channels, output_stride)


def pyramid_model(
    order: Order,
    num_classes: int,
    encoder_weights: str | None,
    *,
    encoder_depth: int,
    cells: int = 1,
    any_size: bool = False,
    **options: Any,
) -> SegmentationModel:
    """Build a model of the library on a pyramid of maps.

    Args:
        order: What to build.
        num_classes: K.
        encoder_weights: The library's name of pretrained weights, or None.
        encoder_depth: How many stages of the encoder are read.
        cells: The fewest cells that the deepest map must have.
        any_size: Whether the decoder takes maps of any size.
        options: The library's own.
    """
    if order.output_stride is not None:
        options["encoder_output_stride"] = order.output_stride
    net = _build(order, num_classes, encoder_weights, encoder_depth=encoder_depth, **options)
    padding = model_padding(order.encoder, net.encoder.output_stride, cells=cells, any_size=any_size)
    if encoder_depth < DEPTH:
        freeze_unused(net.encoder, order.in_channels, _size(padding))
    offered = SMPEncoder.offers(order.encoder, output_stride=order.output_stride or 32)
    taps = tuple(f"stage{index}" for index in range(encoder_depth + 1))
    features = [tap for tap in offered if tap.name in taps]
    encoder = Pyramid(net.encoder, features, padding, _convention(order, encoder_weights), whole=True)
    decoder = LibraryDecoder(net.decoder, taps, head_input(net.segmentation_head))
    return SegmentationModel(encoder, decoder, LibraryHead(net.segmentation_head))


def token_model(order: Order, num_classes: int, encoder_weights: str | None, **options: Any) -> SegmentationModel:
    """Build DPT; arguments as for `pyramid_model`."""
    facts = table_entry(order.encoder)["dpt"]
    net = _build(order, num_classes, encoder_weights, **facts["options"], **options)
    padding = Padding(facts["multiple"], facts["multiple"])
    freeze_unused(net.encoder, order.in_channels, _size(padding))
    encoder = Tokens(net.encoder, padding, _convention(order, encoder_weights))
    taps = tuple(tap.name for tap in encoder.features)
    decoder = TokenDecoder(net.decoder, taps, head_input(net.segmentation_head))
    return SegmentationModel(encoder, decoder, LibraryHead(net.segmentation_head))


def _build(order: Order, num_classes: int, encoder_weights: str | None, **options: Any) -> Any:
    from zoo.encoders._norms import allow_lone_values

    weights = pretrained(order.encoder, encoder_weights)
    try:
        with fetching(f"{NAMESPACE}/{order.encoder}"):
            net: nn.Module = library().MODEL_ARCHITECTURES_MAPPING[order.architecture](
                encoder_name=order.encoder,
                encoder_weights=weights,
                in_channels=order.in_channels,
                classes=num_classes,
                **options,
            )
    except (ValueError, TypeError, LookupError) as error:
        raise OptionError(
            f"{NAMESPACE}/{order.architecture}@{order.encoder} cannot be built with these options: {error}"
        ) from error
    allow_lone_values(net)
    return net


def _convention(order: Order, encoder_weights: str | None) -> InputSpec:
    with fetching(f"{NAMESPACE}/{order.encoder}"):
        return convention(order.encoder, encoder_weights)


def _name(architecture: str, encoder: EncoderPlan) -> str:
    if not encoder.name.startswith(f"{NAMESPACE}/"):
        raise IncompatibleError(
            f"{NAMESPACE}/{architecture} takes encoders of {NAMESPACE} only, not {encoder.name!r}; "
            f"`zoo list --kind encoder --for {NAMESPACE}/{architecture}` lists them"
        )
    return encoder.name.removeprefix(f"{NAMESPACE}/")


def _size(padding: Padding) -> int:
    """A height and width that a net of that padding takes, large enough for every layer."""
    return -(-64 // padding.multiple) * padding.multiple if padding.minimum <= 64 else padding.minimum
