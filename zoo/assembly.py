"""From a name to a model: resolve, check, build."""

import inspect
import os
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from zoo.compatibility import missing
from zoo.config import ModelConfig
from zoo.errors import IncompatibleError, OptionError, UnknownNameError, did_you_mean
from zoo.interfaces import Encoder, FeatureSpec
from zoo.manifest import Spec
from zoo.model import SegmentationModel
from zoo.registry import registry

DEFAULT_CLASSES = 21
_SUPPLIED = {"self", "name", "taps", "in_channels", "num_classes", "encoder"}
"""Parameters that the assembly fills in itself; they are not options."""


def create_model(
    name: str,
    *,
    encoder: str | None = None,
    num_classes: int | None = None,
    in_channels: int = 3,
    weights: str | os.PathLike[str] | None = None,
    **options: Any,
) -> SegmentationModel:
    """Build a model by name.

    Args:
        name: A named model (``"fcn8s_vgg16"``), an architecture (``"fcn8s"``), or a pair (``"fcn8s@resnet50"``).
        encoder: Another encoder than the name's own: a VGG (``"vgg16_bn"``) or any timm backbone.
        num_classes: K; by default what `weights` have, else what the model was published with.
        in_channels: C of the input.
        weights: A weight file to start from, also one of a coarser stage or another number of classes: what fits is
            taken, and a line says what is not.
        options: Options of the architecture or of the encoder; `zoo info NAME` lists them.

    Returns:
        The model, in training mode. Its logits are ``model(x)["out"]``, (N, K, H, W) for x (N, C, H, W).

    Raises:
        UnknownNameError: No such model, architecture or encoder; near names are suggested.
        OptionError: An option that neither architecture nor encoder has, or a bad value.
        IncompatibleError: The encoder lacks what the architecture needs.
        CheckpointError: `weights` cannot be used.
    """
    from zoo.hub.checkpoint import read_header, start_from
    from zoo.hub.locate import find_weights

    path = find_weights(name, weights) if weights is not None else None
    if num_classes is None and path is not None:
        num_classes = read_header(path).config.num_classes
    config = resolve(name, encoder=encoder, num_classes=num_classes, in_channels=in_channels, options=options)
    model = build(config, options.get("encoder_weights"))
    if path is not None:
        start_from(model, path)
    return model


def resolve(
    name: str,
    *,
    encoder: str | None = None,
    num_classes: int | None = None,
    in_channels: int = 3,
    options: Mapping[str, Any] | None = None,
) -> ModelConfig:
    """Turn a request into a complete config, checking names, options and the pair, building nothing.

    Raises:
        As `create_model`.
    """
    base, _, paired = name.partition("@")
    if paired and encoder not in (None, paired):
        raise OptionError(f"{name!r} names encoder {paired!r}, but encoder={encoder!r} was given: give one of them")
    spec = _model_or_architecture(base)
    preset: dict[str, Any] = {}
    architecture = spec
    if spec.kind == "model" and "architecture" in spec.meta:
        architecture = registry().get("architecture", spec.meta["architecture"])
        preset = dict(spec.meta.get("options", {}))
    classes = num_classes or spec.meta.get("num_classes") or architecture.meta.get("num_classes") or DEFAULT_CLASSES
    _positive("num_classes", classes)
    _positive("in_channels", in_channels)
    given = {**preset, **(options or {})}

    parameters = accepted_options(architecture)
    chosen: str | None = None
    if "encoder" in inspect.signature(architecture.load()).parameters:
        wanted = encoder or paired or spec.meta.get("encoder") or architecture.meta.get("encoder")
        if wanted is None:
            raise OptionError(f"{base!r} has no default encoder: write '{base}@ENCODER'")
        encoder_spec = find_encoder(wanted)
        chosen = encoder_spec.name
        parameters = {**accepted_options(encoder_spec), **parameters}
        lacking = missing(architecture.needs, encoder_spec.offers)
        if lacking:
            raise IncompatibleError(
                f"{architecture.name} cannot use encoder {wanted!r}: it lacks {', '.join(lacking)}. "
                f"`zoo list --kind encoder --for {architecture.name}` lists those that fit."
            )
        if wanted.partition(".")[0] != wanted and encoder_spec.name != wanted:
            chosen = wanted  # a timm weight tag
    elif encoder or paired:
        raise OptionError(f"{base!r} has its own encoder; leave out encoder={encoder or paired!r}")
    for option in given:
        if option not in parameters:
            raise OptionError(
                f"{name!r} has no option {option!r}.{did_you_mean(option, parameters)} "
                f"It accepts: {', '.join(sorted(parameters)) or 'none'}."
            )
    own = {key: value for key, value in given.items() if key != "encoder_weights" and value != parameters[key].default}
    canonical = spec.name if not (paired or encoder) else f"{spec.name}@{encoder or paired}"
    return ModelConfig(canonical, architecture.name, chosen, classes, in_channels, own)


def build(config: ModelConfig, encoder_weights: str | None = None) -> SegmentationModel:
    """Build the model that a config describes, randomly initialised.

    Args:
        config: As `resolve` makes it, or as a weight file stores it.
        encoder_weights: Pretrained weights for the encoder, not stored in the config.

    Raises:
        UnknownNameError: A component is not installed.
        OptionError: The config has an option that this version of a component does not know.
    """
    spec = registry().lookup("architecture", config.architecture) or registry().get("model", config.architecture)
    target = spec.load()
    options = dict(config.options)
    if encoder_weights is not None:
        options["encoder_weights"] = encoder_weights
    own = {key: options.pop(key) for key in list(options) if key in accepted_options(spec)}
    given = inspect.signature(target).parameters
    supplied: dict[str, Any] = {"num_classes": config.num_classes, "in_channels": config.in_channels}
    if config.encoder is not None:
        supplied["encoder"] = Plan(find_encoder(config.encoder), config.encoder, config.in_channels, options)
        options = {}
    if options:
        raise OptionError(f"{spec.name!r} has no option {', '.join(map(repr, options))}; is it of another version?")
    model = target(**{key: value for key, value in supplied.items() if key in given}, **own)
    if not isinstance(model, SegmentationModel):
        raise OptionError(
            f"{spec.kind} {spec.name!r} built a {type(model).__name__}; expected a zoo.model.SegmentationModel"
        )
    if (
        "config" in model.__dict__
    ):  # a registered function that called create_model: the inner config can be loaded anywhere
        return model
    convention = getattr(model.encoder, "input", config.input).with_channels(config.in_channels)
    model.config = config if config.classes else replace(config, input=convention)
    return model


def find_encoder(name: str) -> Spec:
    """The spec of an encoder, also of one that only its family knows (a timm model newer than our table).

    Raises:
        UnknownNameError: Nothing knows the name.
    """
    known = registry()
    spec = known.lookup("encoder", name) or known.lookup("encoder", name.partition(".")[0])
    if spec is not None:
        return spec
    from zoo.encoders import timm as timm_encoder

    if timm_encoder.knows(name):
        family = known.families("encoder")[0]
        taps = timm_encoder.TimmEncoder.offers(name)
        offers = {"strides": [tap.stride for tap in taps], "output_strides": [max(tap.stride for tap in taps)]}
        return Spec("encoder", name, family.summary, family.plugin, family.target, offers=offers)
    return known.get("encoder", name)


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
    return {name: parameter for name, parameter in parameters.items() if name not in _SUPPLIED}


class Plan:
    """An encoder that is chosen but not built (`zoo.interfaces.EncoderPlan`)."""

    def __init__(self, spec: Spec, name: str, in_channels: int, options: Mapping[str, Any]) -> None:
        self.name = name
        self.in_channels = in_channels
        self.target = spec.load()
        self._options = dict(options)
        self._accepted = accepted_options(spec)
        for option in self._options:
            if option not in self._accepted:
                raise OptionError(f"encoder {name!r} has no option {option!r}")
        self._family = (name,) if "name" in inspect.signature(self.target).parameters else ()

    def supported(self, **wishes: Any) -> Mapping[str, Any]:
        return {key: value for key, value in wishes.items() if key in self._accepted}

    def offers(self, **options: Any) -> tuple[FeatureSpec, ...]:
        merged = {**options, **self._options}
        relevant = inspect.signature(self.target.offers).parameters
        takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in relevant.values())
        merged.pop("encoder_weights", None)
        found = self.target.offers(
            *self._family, **{key: value for key, value in merged.items() if takes_all or key in relevant}
        )
        return tuple(found)

    def build(self, taps: Collection[str] | None = None, **options: Any) -> Encoder:
        merged = {**options, **self._options}
        encoder = self.target(*self._family, taps=taps, in_channels=self.in_channels, **merged)
        assert isinstance(encoder, Encoder)
        return encoder


def _model_or_architecture(name: str) -> Spec:
    found = registry().lookup("model", name) or registry().lookup("architecture", name)
    if found is None:
        known = [spec.name for kind in ("model", "architecture") for spec in registry().find(kind)]
        raise UnknownNameError(
            f"there is no model or architecture named {name!r}.{did_you_mean(name, known)} `zoo list` shows all models."
        )
    return found


def _positive(what: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise OptionError(f"{what}={value!r}: expected a whole number of at least 1")
