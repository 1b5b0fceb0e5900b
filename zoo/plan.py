"""The options of a component, and the encoder that an architecture gets to plan with."""

import inspect
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from zoo.config import ModelConfig
from zoo.errors import OptionError, did_you_mean
from zoo.manifest import Spec
from zoo.registry import registry

if TYPE_CHECKING:  # what looks at options alone does without torch
    from zoo.interfaces import Encoder, FeatureSpec

SUPPLIED = {"self", "cls", "name", "taps", "in_channels", "num_classes", "encoder"}
"""Parameters that the assembly fills in itself; they are not options."""


def architecture_of(config: ModelConfig) -> Spec | None:
    """The architecture of a config, or the model that is one function; None where it is not installed."""
    known = registry()
    return known.lookup("architecture", config.architecture) or known.lookup("model", config.architecture)


def accepted_options(spec: Spec) -> dict[str, inspect.Parameter]:
    """The options of a component: the explicit parameters of its target that the assembly does not fill in.

    Raises:
        OptionError: The target swallows any keyword, so that a typo would go unnoticed.
    """
    if not spec.target and spec.object is None:
        return {}
    parameters = inspect.signature(spec.load()).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        raise OptionError(f"{spec.kind} {spec.name!r} takes **kwargs; a component must name its options")
    return {name: parameter for name, parameter in parameters.items() if name not in SUPPLIED}


def check_value(option: str, value: object, default: object) -> None:
    """Refuse a value that is not of the kind of the option's default."""
    kinds: dict[type, tuple[type, ...]] = {bool: (bool,), int: (int,), float: (int, float), str: (str,)}
    kind = kinds.get(type(default))
    if kind is not None and (not isinstance(value, kind) or isinstance(value, bool) > isinstance(default, bool)):
        raise OptionError(f"{option}={value!r}: expected a {type(default).__name__}, as in {option}={default!r}")


def check_options(spec: Spec, options: Mapping[str, Any]) -> None:
    """Hold options against what a component takes.

    Raises:
        OptionError: It has no such option, does not take the value, or needs one that is not given.
    """
    accepted = accepted_options(spec)
    for option, value in options.items():
        if option not in accepted:
            raise OptionError(
                f"{spec.kind} {spec.name!r} has no option {option!r}.{did_you_mean(option, accepted)} "
                f"It accepts: {', '.join(accepted) or 'none'}."
            )
        check_value(option, value, accepted[option].default)
    for option, parameter in accepted.items():
        if parameter.default is parameter.empty and option not in options:
            raise OptionError(f"{spec.kind} {spec.name!r} needs the option {option!r}")


def make(spec: Spec, options: Mapping[str, Any], **supplied: Any) -> Any:
    """What a component makes of its options: a loss; for an architecture, a head or decoder that its user chose.

    Args:
        spec: The component, as ``registry().get("head", name)`` gives it.
        options: Of its user; they are checked.
        supplied: What the architecture fills in itself, as ``in_channels`` and ``num_classes`` of a head.

    Raises:
        OptionError: As `check_options`; or it refuses a value.
        PluginError: It cannot be imported.
    """
    check_options(spec, options)
    try:
        return spec.load()(**supplied, **options)
    except (TypeError, ValueError) as error:  # OptionError is a TypeError
        if isinstance(error, OptionError):
            raise
        raise OptionError(f"{spec.kind} {spec.name!r}: {error}") from error


class Plan:
    """An encoder that is chosen but not built (`zoo.interfaces.EncoderPlan`)."""

    def __init__(self, spec: Spec, name: str, in_channels: int, options: Mapping[str, Any]) -> None:
        self.name = name
        self.in_channels = in_channels
        self.output_strides = tuple(spec.offers.get("output_strides", ()))
        self.target = spec.load()
        self._options = dict(options)
        self._accepted = accepted_options(spec)
        for option, value in self._options.items():
            if option not in self._accepted:
                raise OptionError(f"encoder {name!r} has no option {option!r}")
            check_value(option, value, self._accepted[option].default)
        own_name = name.removeprefix(f"{spec.plugin}/")
        self._family = (own_name,) if "name" in inspect.signature(self.target).parameters else ()

    def supported(self, **wishes: Any) -> Mapping[str, Any]:
        return {key: value for key, value in wishes.items() if key in self._accepted}

    def offers(self, **options: Any) -> "tuple[FeatureSpec, ...]":
        merged = {**options, **self._options}
        relevant = inspect.signature(self.target.offers).parameters
        takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in relevant.values())
        merged.pop("encoder_weights", None)
        found = self.target.offers(
            *self._family, **{key: value for key, value in merged.items() if takes_all or key in relevant}
        )
        return tuple(found)

    def build(
        self, taps: Collection[str] | None = None, *, in_channels: int | None = None, **options: Any
    ) -> "Encoder":
        from zoo.interfaces import Encoder

        merged = {**options, **self._options}
        encoder = self.target(*self._family, taps=taps, in_channels=in_channels or self.in_channels, **merged)
        assert isinstance(encoder, Encoder)
        return encoder
