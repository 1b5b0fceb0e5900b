"""From a name to a model: resolve, check, build."""

import inspect
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from zoo.compatibility import missing
from zoo.config import ModelConfig
from zoo.errors import IncompatibleError, OptionError, UnknownNameError, ZooError, did_you_mean
from zoo.manifest import Spec
from zoo.model import SegmentationModel
from zoo.plan import Plan, accepted_options, check_value
from zoo.registry import registry

DEFAULT_CLASSES = 21


def create_model(
    name: str,
    *,
    encoder: str | None = None,
    num_classes: int | None = None,
    in_channels: int | None = None,
    weights: str | os.PathLike[str] | None = None,
    strict: bool = False,
    **options: Any,
) -> SegmentationModel:
    """Build a model by name.

    Args:
        name: A named model (``"fcn8s_vgg16"``), an architecture (``"fcn8s"``), or a pair (``"fcn8s@resnet50"``).
        encoder: Another encoder than the name's own: a VGG (``"vgg16_bn"``) or any timm backbone.
        num_classes: K; by default what `weights` have, else what the model was published with.
        in_channels: C of the input; by default 3, or what the model was published with (4 for colour and depth).
        weights: Weights to start from: the path of a file, the tag of published ones (`zoo hub list`), or
            ``"default"``. Where `name` says no encoder, theirs is taken. They may be of a coarser stage or another
            number of classes: what fits is taken, a first layer for other channels is adapted, and a line says what is
            not.
        strict: Whether weights that do not fit in everything are an error.
        options: Options of the architecture or of the encoder; `zoo info NAME` lists them.

    Returns:
        The model, in training mode. Its logits are ``model(x)["out"]``, (N, K, H, W) for x (N, C, H, W).

    Raises:
        UnknownNameError: No such model, architecture or encoder; near names are suggested.
        OptionError: An option that neither architecture nor encoder has, or a bad value.
        IncompatibleError: The encoder lacks what the architecture needs.
        CheckpointError: `weights` cannot be used.
    """
    from zoo.hub.checkpoint import load
    from zoo.hub.defaults import settled
    from zoo.hub.header import read_header
    from zoo.hub.locate import find_weights
    from zoo.hub.start import start_from

    wanted = resolve(name, encoder=encoder, num_classes=num_classes, in_channels=in_channels, options=options)
    if weights is None:
        return _new(wanted, options.get("encoder_weights"))
    path = find_weights(wanted.name if encoder else name, weights)
    published = settled(read_header(path))
    if published.is_of(wanted.name) and published.name != wanted.name:
        encoder = published.encoder  # the model's weights are of it on this encoder, and none was asked for
        wanted = resolve(name, encoder=encoder, num_classes=num_classes, in_channels=in_channels, options=options)
    if num_classes is None:
        num_classes = published.num_classes
    if (published.architecture, published.encoder) == (wanted.architecture, wanted.encoder):
        # Options that shape the net are the file's, unless others were asked for. An auxiliary head is not one of them.
        options = {**{key: value for key, value in published.options.items() if key != "aux"}, **options}
    config = resolve(name, encoder=encoder, num_classes=num_classes, in_channels=in_channels, options=options)
    if replace(published, name=config.name, input=config.input, classes=(), palette=()) == config:
        model = load(path).train()  # quicker than to make random numbers and replace them
        model.config = replace(published, name=config.name)
        return model
    model = _new(config, options.get("encoder_weights"))
    start_from(model, path, strict=strict)
    return model


def _new(config: ModelConfig, encoder_weights: str | None) -> SegmentationModel:
    """Build a model, with the input that its encoder expects."""
    model = build(config, encoder_weights)
    if model.config is config:
        convention = getattr(model.encoder, "input", config.input)
        model.config = replace(config, input=convention.with_channels(config.in_channels))
    return model


def resolve(
    name: str,
    *,
    encoder: str | None = None,
    num_classes: int | None = None,
    in_channels: int | None = None,
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
        architecture = registry().get("architecture", spec.meta["architecture"], spec.plugin)
        preset = dict(spec.meta.get("options", {}))
    published = spec.meta.get("num_classes", architecture.meta.get("num_classes", DEFAULT_CLASSES))
    classes = published if num_classes is None else num_classes
    _positive("num_classes", classes)
    channels = spec.meta.get("in_channels", architecture.meta.get("in_channels", 3))
    channels = channels if in_channels is None else in_channels
    _positive("in_channels", channels)
    fewest = architecture.meta.get("min_in_channels", 1)
    if channels < fewest:
        raise IncompatibleError(f"in_channels={channels}: {architecture.name} needs an input of at least {fewest}")

    architecture_options = accepted_options(architecture)
    parameters = architecture_options
    chosen: str | None = None
    slot = inspect.signature(architecture.load()).parameters.get("encoder")
    wanted = encoder or paired or spec.meta.get("encoder") or architecture.meta.get("encoder")
    if slot is None:
        if encoder or paired:
            raise OptionError(f"{base!r} has its own encoder; leave out encoder={encoder or paired!r}")
    elif wanted is not None:
        encoder_spec = find_encoder(wanted, architecture.plugin)
        chosen = encoder_spec.name
        parameters = {**accepted_options(encoder_spec), **architecture_options}
        lacking = missing(architecture.needs, encoder_spec.offers, encoder_spec.name)
        if lacking:
            raise IncompatibleError(
                f"{architecture.name} cannot use encoder {wanted!r}: it lacks {', '.join(lacking)}. "
                f"`zoo list --kind encoder --for {architecture.name}` lists those that fit."
            )
        if encoder_spec.name != wanted and registry().lookup("encoder", wanted, architecture.plugin) is None:
            chosen = encoder_spec.name + wanted.removeprefix(wanted.partition(".")[0])  # with its timm weight tag
    elif slot.default is slot.empty:  # else the architecture brings its own when it gets none
        raise OptionError(f"{base!r} has no default encoder: write '{base}@ENCODER'")
    if encoder or paired:  # the preset may have options for the encoder that is replaced
        preset = {option: value for option, value in preset.items() if option in parameters}
    given = {**preset, **(options or {})}
    for option in given:
        if option not in parameters:
            raise OptionError(
                f"{name!r} has no option {option!r}.{did_you_mean(option, parameters)} "
                f"It accepts: {', '.join(sorted(parameters)) or 'none'}."
            )
        check_value(option, given[option], parameters[option].default)
    for option, parameter in parameters.items():
        if parameter.default is parameter.empty and option not in given:
            raise OptionError(f"{name!r} needs the option {option!r}")
    # An encoder's option is kept even where it is that encoder's default: the architecture may wish for another.
    own = {
        key: value
        for key, value in given.items()
        if key != "encoder_weights" and not (key in architecture_options and value == parameters[key].default)
    }
    canonical = f"{spec.name}@{chosen}" if paired or encoder else spec.name
    return ModelConfig(canonical, architecture.name, chosen, classes, channels, own)


def build(config: ModelConfig, encoder_weights: str | None = None) -> SegmentationModel:
    """Build the model that a config describes, randomly initialised.

    Args:
        config: As `resolve` makes it, or as a weight file stores it.
        encoder_weights: Pretrained weights for the encoder, not stored in the config: ``"imagenet"``, the tag of
            published ones (`zoo hub list`), or a path.

    Raises:
        UnknownNameError: A component is not installed.
        OptionError: The config has an option that this version of a component does not know.
    """
    spec = registry().lookup("architecture", config.architecture) or registry().get("model", config.architecture)
    target = spec.load()
    options = {key: value for key, value in config.options.items() if key != "encoder_weights"}
    if encoder_weights is not None:
        if config.encoder is not None and encoder_weights != "imagenet":
            from zoo.hub import locate

            encoder_weights = locate.encoder_weights(config.encoder, encoder_weights)
        options["encoder_weights"] = encoder_weights
    accepted = accepted_options(spec)
    own = {key: options.pop(key) for key in list(options) if key in accepted}
    for option, value in own.items():
        check_value(option, value, accepted[option].default)
    given = inspect.signature(target).parameters
    if config.encoder is None and "encoder" in given and given["encoder"].default is inspect.Parameter.empty:
        raise OptionError(f"{spec.name!r} needs an encoder")
    supplied: dict[str, Any] = {"num_classes": config.num_classes, "in_channels": config.in_channels}
    if config.encoder is not None:
        supplied["encoder"] = Plan(find_encoder(config.encoder), config.encoder, config.in_channels, options)
        options = {}
    if options:
        raise OptionError(f"{spec.name!r} has no option {', '.join(map(repr, options))}; is it of another version?")
    try:
        model = target(**{key: value for key, value in supplied.items() if key in given}, **own)
    except ZooError:
        raise
    except ValueError as error:  # what torch raises for a probability of 2 and the like
        raise OptionError(f"{config.name} cannot be built: {error}") from error
    if not isinstance(model, SegmentationModel):
        raise OptionError(
            f"{spec.kind} {spec.name!r} built a {type(model).__name__}; expected a zoo.model.SegmentationModel"
        )
    if (
        "config" in model.__dict__
    ):  # a registered function that called create_model: the inner config can be loaded anywhere
        return model
    model.config = config
    return model


def find_encoder(name: str, near: str | None = None) -> Spec:
    """The spec of an encoder, also of one that only its family knows (a timm model newer than our table).

    Args:
        name: Its name, with a weight tag of timm's or without.
        near: The architecture's namespace, to look in first.

    Raises:
        UnknownNameError: Nothing knows the name.
    """
    known = registry()
    base, dot, tag = name.partition(".")
    spec = known.lookup("encoder", name, near) or known.lookup("encoder", base, near)
    if spec is not None:
        of_family = spec.target in {family.target for family in known.families("encoder")}
        if dot and spec.name.endswith(base) and not of_family:
            raise UnknownNameError(
                f"encoder {base!r} has no variants: leave out {dot + tag!r}; its weights are the option encoder_weights"
            )
        return spec
    from zoo.encoders import timm as timm_encoder

    if timm_encoder.knows(name):
        family = known.families("encoder")[0]
        taps = timm_encoder.TimmEncoder.offers(name)
        offers = {"strides": [tap.stride for tap in taps], "output_strides": [max(tap.stride for tap in taps)]}
        return Spec("encoder", name, family.summary, family.plugin, family.target, offers=offers)
    return known.get("encoder", name, near)


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
