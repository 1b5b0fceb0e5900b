"""What describes a model: the small JSON-able object that makes it, travels with it and is printed.

Nothing here imports torch, so `zoo info file.safetensors` can read a description on its own.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from zoo.errors import CheckpointError

IGNORE = 255
"""The one label that no loss and no metric counts."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

Color = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class InputSpec:
    """How a picture becomes the tensor that a model expects.

    ``x = (picture in [0, scale], channels in `order`) - mean) / std``; `mean` and `std` have one
    value per channel, in the channel order of the tensor.

    Attributes:
        order: ``"RGB"``, ``"BGR"`` (the Caffe nets), or ``"ANY"``: channels as they come.
        scale: The value of a fully bright channel: 1.0 or 255.0.
    """

    order: str = "RGB"
    scale: float = 1.0
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD

    @property
    def channels(self) -> int:
        return len(self.mean)

    def with_channels(self, channels: int) -> "InputSpec":
        """The same convention for another number of channels; mean and std are averaged over the old ones."""
        if channels == self.channels:
            return self
        average = [round(sum(values) / len(values), 6) for values in (self.mean, self.std)]
        return InputSpec("ANY", self.scale, (average[0],) * channels, (average[1],) * channels)

    def to_json(self) -> dict[str, Any]:
        return {"order": self.order, "scale": self.scale, "mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> "InputSpec":
        """Read what `to_json` wrote; raises `KeyError`, `TypeError` or `ValueError` where something is wrong."""
        mean, std = tuple(map(float, record["mean"])), tuple(map(float, record["std"]))
        if record["order"] not in ("RGB", "BGR", "ANY") or not 0 < len(mean) == len(std) or 0.0 in std:
            raise ValueError(f"impossible input convention {record}")
        return cls(record["order"], float(record["scale"]), mean, std)


def is_of(name: str, model: str) -> bool:
    """Whether `name` is that of `model`, or of it on another encoder (``model@encoder``)."""
    return name == model or name.startswith(f"{model}@")


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Everything needed to build a model again, and to read its answers.

    Attributes:
        name: The name it was asked for by: a model, or ``architecture@encoder``.
        architecture: Canonical name of the architecture (or of a model that is one function).
        encoder: Canonical name of the encoder; None where the architecture has its own.
        options: Options of architecture and encoder that differ from their defaults.
        num_classes: K, the channels of the logits.
        in_channels: C, the channels of the input.
        input: How pictures are turned into tensors.
        classes: Names of the K classes; empty when they are not known.
        palette: One RGB colour per class; empty when not known.
    """

    name: str
    architecture: str
    encoder: str | None
    num_classes: int
    in_channels: int = 3
    options: dict[str, Any] = field(default_factory=dict)
    input: InputSpec = field(default_factory=InputSpec)
    classes: tuple[str, ...] = ()
    palette: tuple[Color, ...] = ()

    def is_of(self, model: str) -> bool:
        """Whether it is that model, or that one on another encoder (``model@encoder``)."""
        return is_of(self.name, model)

    def describing(
        self,
        *,
        classes: tuple[str, ...] | None = None,
        palette: tuple[Color, ...] | None = None,
        input: InputSpec | None = None,
    ) -> "ModelConfig":
        """A copy with other class names, palette or input convention; None keeps what there is."""
        return replace(
            self,
            classes=self.classes if classes is None else classes,
            palette=self.palette if palette is None else palette,
            input=self.input if input is None else input,
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "architecture": self.architecture,
            "encoder": self.encoder,
            "num_classes": self.num_classes,
            "in_channels": self.in_channels,
            "options": self.options,
            "input": self.input.to_json(),
            "classes": list(self.classes),
            "palette": [list(color) for color in self.palette],
        }

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> "ModelConfig":
        """Read what `to_json` wrote; raises `CheckpointError` naming a missing or malformed field."""
        try:
            config = cls(
                name=str(record["name"]),
                architecture=str(record["architecture"]),
                encoder=None if record["encoder"] is None else str(record["encoder"]),
                num_classes=int(record["num_classes"]),
                in_channels=int(record["in_channels"]),
                options=dict(record["options"]),
                input=InputSpec.from_json(record["input"]),
                classes=tuple(str(name) for name in record["classes"]),
                palette=tuple((int(r), int(g), int(b)) for r, g, b in record["palette"]),
            )
            if config.num_classes < 1 or config.in_channels < 1:
                raise ValueError(f"{config.num_classes} classes and {config.in_channels} channels")
            return config
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise CheckpointError(f"the model description is damaged: {type(error).__name__}: {error}") from None
