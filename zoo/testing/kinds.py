"""Which checks there are for which kind of component."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from zoo.testing import datasets, decoders, encoders, properties, whole
from zoo.testing.subject import Subject

_THROUGH_A_MODEL = (
    "in_channels", "batch_of_one", "backward", "state_dict", "save_and_load", "seed", "global_state",
    "bf16", "channels_last", "compile", "export",
)  # fmt: skip

ENCODER: Mapping[str, Callable[[encoders.EncoderSubject], None]] = {
    "contract": encoders.contract,
    "offers": encoders.offers,
    "taps": encoders.taps,
    "some_taps": encoders.some_taps,
    "output_strides": encoders.output_strides,
    "pools": encoders.pools,
    "parameters": encoders.parameters,
    "pairs": encoders.pairs,
    **{name: partial(encoders.through_a_model, name) for name in _THROUGH_A_MODEL},
}

MODEL: Mapping[str, Callable[[Subject], None]] = {
    name: partial(properties.hold, name) for name in properties.PROPERTIES
}

CHECKS: Mapping[str, Mapping[str, Callable[[Any], None]]] = {
    "plugin": whole.CHECKS,
    "architecture": MODEL,
    "model": MODEL,
    "encoder": ENCODER,
    "decoder": decoders.CHECKS,
    "dataset": datasets.CHECKS,
}
"""Kind → name of a check → the function; its docstring says what it demands."""


def demand(kind: str, check: str) -> str:
    """What a check demands: the first paragraph of its docstring."""
    function = CHECKS[kind][check]
    if isinstance(function, partial):
        function = properties.CHECKS[check]
    return " ".join((function.__doc__ or "").strip().partition("\n\n")[0].split())
