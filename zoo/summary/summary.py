"""A model summed up: parameters, operations, strides, receptive fields, taps, answers."""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from zoo.assembly import build
from zoo.config import ModelConfig
from zoo.errors import OptionError
from zoo.hub.skeleton import hollow
from zoo.interfaces import Features
from zoo.model import Branch, SegmentationModel
from zoo.summary.cost import NOT_COUNTED, Counting
from zoo.summary.receptive import UNDEFINED, Sight, receptive_fields

SIZE = (512, 512)


@dataclass(frozen=True)
class TapSummary:
    """One tap of the encoder as it was built.

    Attributes:
        name: Its name.
        channels: C of its map.
        stride: Pixels between two cells.
        offset: Image coordinate of cell 0.
        shape: (N, C, h, w) at the size.
        receptive_field: What a cell sees.
        read_by: Which parts read it: ``"decoder"``, names of further answers, of auxiliary heads.
    """

    name: str
    channels: int
    stride: int
    offset: float
    shape: tuple[int, ...]
    receptive_field: Sight
    read_by: tuple[str, ...]


@dataclass(frozen=True)
class Summary:
    """What `summarize` found.

    Attributes:
        size: (H, W) of the picture that shapes and operations are given for; one picture in the batch.
        in_channels: C of the input.
        num_classes: K.
        parameters: ``total``, ``trainable``, and those of every part: ``encoder``, ``decoder``, ``head``,
            ``auxiliary``, ``further``.
        macs: Multiply-accumulates in evaluation mode, ``total`` and by part; ``auxiliary``, which is at work only in
            training, is not in the total.
        flops: Twice `macs`.
        not_counted: What neither counts.
        encoder_stride: Of the encoder's deepest map.
        decoder_stride: Of the decoder's map; None where it does not say.
        receptive_field: What a pixel of ``"out"`` sees.
        taps: The taps of the encoder, built no deeper than the model needs.
        outputs: Key → (N, K, H, W).
        auxiliary_outputs: The same, of answers in training only.
    """

    size: tuple[int, int]
    in_channels: int
    num_classes: int
    parameters: dict[str, int]
    macs: dict[str, int]
    flops: dict[str, int]
    not_counted: str
    encoder_stride: int
    decoder_stride: int | None
    receptive_field: Sight
    taps: tuple[TapSummary, ...]
    outputs: dict[str, tuple[int, ...]]
    auxiliary_outputs: dict[str, tuple[int, ...]]

    def to_json(self) -> dict[str, Any]:
        """The summary as JSON-able data."""
        return asdict(self)


def summarize(model: SegmentationModel | ModelConfig, size: tuple[int, int] = SIZE) -> Summary:
    """Sum up a model. It is built and run as shapes alone: no weights, no download, little memory.

    Args:
        model: A config, as `zoo.assembly.resolve` makes it or a weight file has it; or a model, of which only the
            config is looked at.
        size: (H, W) of the picture for shapes and operations.

    Raises:
        OptionError: The model does not take pictures of that size, or cannot be built.
    """
    config = model if isinstance(model, ModelConfig) else model.config
    height, width = size
    if height < 1 or width < 1:
        raise OptionError(f"a picture of {height}×{width}: expected at least 1×1")
    try:
        built = _built(config)
    except (RuntimeError, TypeError) as error:  # torch refuses absurd sizes and values with the latter
        if isinstance(error, OptionError):
            raise
        raise OptionError(f"{config.name} cannot be built: {error}") from error
    try:
        try:
            return _summary(built, config, size)
        except RuntimeError as error:
            if "meta" not in str(error):
                raise
            return _summary(_real(config), config, size)  # it needs numbers to be run
    except (RuntimeError, AssertionError, ValueError, TypeError, IndexError) as error:
        if isinstance(error, OptionError):
            raise
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise OptionError(
            f"{config.name} does not take a picture of {height}×{width}: {reason}. Give another size."
        ) from error


def _built(config: ModelConfig) -> SegmentationModel:
    return hollow(lambda: build(config)).eval().to("meta")


def _real(config: ModelConfig) -> SegmentationModel:
    with torch.random.fork_rng(devices=[]):
        return build(config).eval()


def _summary(model: SegmentationModel, config: ModelConfig, size: tuple[int, int]) -> Summary:
    device = next((parameter.device for parameter in model.parameters()), torch.device("meta"))
    x = torch.zeros(1, config.in_channels, *size, device=device)
    parts = {"encoder": model.encoder, "decoder": model.decoder, "head": model.head, "further": model.further}
    names = [tap.name for tap in model.encoder.features]
    with torch.inference_mode():
        features: Features = model.encoder(x, names, model.with_pools)
        with Counting() as counting:
            hooks = [hook for name, part in parts.items() for hook in _marked(counting, name, part)]
            answers: dict[str, Tensor] = model(x)
            for hook in hooks:
                hook.remove()
            counting.part = "auxiliary"
            extra = {key: head(features.maps[model.auxiliary_taps[key]], size) for key, head in model.auxiliary.items()}
    macs = {name or "other": count for name, count in counting.macs.items()}
    macs = {"total": sum(count for name, count in macs.items() if name != "auxiliary"), **macs}
    sights: dict[str, Sight] = {}
    if device.type == "meta":
        sights = receptive_fields(model, size)
    unknown = sights.get("out", f"{UNDEFINED}: the model cannot be run on shapes alone")
    return Summary(
        size=size,
        in_channels=config.in_channels,
        num_classes=config.num_classes,
        parameters=_parameters(model),
        macs=macs,
        flops={name: 2 * count for name, count in macs.items()},
        not_counted=NOT_COUNTED,
        encoder_stride=max(tap.stride for tap in model.encoder.features),
        decoder_stride=model.decoder.out.stride if hasattr(model.decoder, "out") else None,
        receptive_field=unknown,
        taps=_taps(model, features, sights, unknown),
        outputs={key: tuple(value.shape) for key, value in answers.items()},
        auxiliary_outputs={key: tuple(value.shape) for key, value in extra.items()},
    )


def _marked(counting: Counting, name: str, part: nn.Module) -> list[Any]:
    """Hooks that tell the counter when a part is at work."""
    owners = list(part.values()) if isinstance(part, nn.ModuleDict) else [part]

    def begin(module: nn.Module, args: Any) -> None:
        counting.part = name

    def end(module: nn.Module, args: Any, result: Any) -> None:
        counting.part = ""

    return [
        hook for owner in owners for hook in (owner.register_forward_pre_hook(begin), owner.register_forward_hook(end))
    ]


def _parameters(model: SegmentationModel) -> dict[str, int]:
    parameters = list(model.parameters())
    counts = {
        "total": sum(parameter.numel() for parameter in parameters),
        "trainable": sum(parameter.numel() for parameter in parameters if parameter.requires_grad),
    }
    for name, part in model.named_children():
        count = sum(parameter.numel() for parameter in part.parameters())
        if count or name in ("encoder", "decoder", "head"):
            counts[name] = count
    return counts


def _taps(
    model: SegmentationModel, features: Features, sights: dict[str, Sight], unknown: Sight
) -> tuple[TapSummary, ...]:
    readers: dict[str, tuple[str, ...]] = {"decoder": model.decoder.taps}
    readers |= {key: branch.decoder.taps for key, branch in model.further.items() if isinstance(branch, Branch)}
    readers |= {key: (tap,) for key, tap in model.auxiliary_taps.items()}
    return tuple(
        TapSummary(
            *tap,
            shape=tuple(features.maps[tap.name].shape),
            receptive_field=sights.get(f"encoder.{tap.name}", unknown),
            read_by=tuple(reader for reader, taps in readers.items() if tap.name in taps),
        )
        for tap in model.encoder.features
    )
