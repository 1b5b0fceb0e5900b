"""Whether an encoder offers what a decoder needs, from their specs alone."""

from collections.abc import Mapping
from typing import Any

from zoo.manifest import Spec


def missing(needs: Mapping[str, Any], offers: Mapping[str, Any], encoder: str = "") -> list[str]:
    """Say in words what is needed and not offered; empty when the pair fits.

    Args:
        needs: ``strides`` (a tap at each of them), ``taps`` (these names), ``pools`` (switches of these poolings),
            ``output_stride`` (any one of these), ``unlike`` (names of encoders that do not fit although they offer it).
        offers: ``strides``, ``taps``, ``pools``, ``output_strides``.
        encoder: Canonical name of the encoder.
    """
    lacking: list[str] = []
    for key, what in (("strides", "a tap at stride"), ("taps", "the tap"), ("pools", "the switches of")):
        lacking += [f"{what} {wanted}" for wanted in needs.get(key, []) if wanted not in offers.get(key, [])]
    wanted = needs.get("output_stride", [])
    if wanted and not set(wanted) & set(offers.get("output_strides", [])):
        lacking.append(f"an output stride of {' or '.join(map(str, wanted))}")
    if encoder in needs.get("unlike", []):
        lacking.append("taps of a geometry that fits")
    return lacking


def fits(architecture: Spec, encoder: Spec) -> bool:
    """Whether the pair can be built."""
    return not missing(architecture.needs, encoder.offers, encoder.name)
