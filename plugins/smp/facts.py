"""What the table says of the library's encoders, and what the library wants of its input."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from zoo.plugins.smp.library import library

from zoo.config import InputSpec
from zoo.errors import OptionError
from zoo.registry import registry

NAMESPACE = "smp"
DEPTH = 5
"""Stages of an encoder, each halving the map, unless asked for fewer."""


class Padding(NamedTuple):
    """Sizes that a net can take: multiples of `multiple`, from `minimum` on."""

    multiple: int = 1
    minimum: int = 1


def table_entry(name: str) -> Mapping[str, Any]:
    """What encoders.json says of an encoder, weight tag or not.

    Raises:
        UnknownNameError: Nothing.
    """
    known = registry()
    spec = known.lookup("encoder", f"{NAMESPACE}/{name}") or known.get(
        "encoder", f"{NAMESPACE}/{name.partition('.')[0]}", NAMESPACE
    )
    return {**spec.meta, "offers": spec.offers}


def encoder_padding(name: str) -> Padding:
    """What an encoder needs for every map to have ceil(size / stride) cells."""
    entry = table_entry(name)
    return Padding(entry.get("multiple", 1), entry.get("minimum", 1))


def model_padding(name: str, output_stride: int, *, cells: int = 1, any_size: bool = False) -> Padding:
    """What a model of the library needs around an encoder.

    Args:
        name: The encoder.
        output_stride: Stride of its deepest map: the library wants multiples of it.
        cells: The fewest cells that the deepest map must have.
        any_size: Whether the decoder takes any size, so that only the encoder limits it.
    """
    entry = table_entry(name)
    if any_size and "any" in entry:
        return Padding(1, entry["any"])
    multiple = math.lcm(entry.get("multiple", 1), output_stride)
    least = max(entry.get("minimum", 1), cells * output_stride)
    return Padding(multiple, -(-least // multiple) * multiple)


def pretrained(name: str, weights: str | None) -> str | bool | None:
    """The library's argument for pretrained weights; raises `OptionError` where it has none of that name."""
    if weights is None:
        return None
    of_timm = name.startswith("tu-")
    known = ["imagenet"] if of_timm else list(library().encoders.encoders[name]["pretrained_settings"])
    if weights not in known:
        raise OptionError(
            f"encoder_weights={weights!r}: encoder '{NAMESPACE}/{name}' takes None or {', '.join(map(repr, known))}"
        )
    return True if of_timm else weights


def convention(name: str, weights: str | None) -> InputSpec:
    """How pictures are prepared for an encoder: as for its pretrained weights, else as for most."""
    if name.startswith("tu-"):
        import timm

        config = timm.get_pretrained_cfg(name.removeprefix("tu-"), allow_unregistered=True)
        return InputSpec() if config is None else InputSpec("RGB", 1.0, tuple(config.mean), tuple(config.std))
    if weights is None:
        return InputSpec()
    record = library().encoders.get_preprocessing_params(name, weights)
    return InputSpec(
        record["input_space"], float(record["input_range"][1]), tuple(record["mean"]), tuple(record["std"])
    )
