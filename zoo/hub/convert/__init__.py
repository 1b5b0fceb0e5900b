"""Taking over weights that others published: once, on arrival, into our own format."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.assembly import find_encoder, resolve
from zoo.classes import named_classes
from zoo.config import ModelConfig
from zoo.errors import CheckpointError, UnknownNameError
from zoo.hub.checkpoint import save
from zoo.hub.convert.foreign import read_foreign
from zoo.hub.convert.provenance import Provenance, find_record
from zoo.hub.convert.translation import built, input_of, translated
from zoo.hub.converter import Converter, Foreign, Implied, find_converter
from zoo.manifest import Spec
from zoo.model import SegmentationModel
from zoo.registry import registry

logger = logging.getLogger("zoo")


def convert(
    path: str | Path, *, source: str, model: str, out: str | Path, record: Mapping[str, Any] | None = None
) -> Path:
    """Convert a file of another library into one of ours, tensor by tensor.

    The same file always gives the same bytes. For a model, the result is what `zoo.load` takes; for an encoder, what
    its option ``encoder_weights`` takes. How pictures are prepared travels with the weights, and so do the classes.

    Args:
        path: The file; a folder, where the format has folders.
        source: Its format: ``"torchvision"``, ``"caffe"`` …, what the model's manifest lists under ``from``; or
            ``"zoo"``, for a file of an older Zoo, or a bare state dict of a model of ours.
        model: Name of the model, pair (``architecture@encoder``) or encoder that the weights are for.
        out: The file to write.
        record: What is known of the file, as a ``[[weights]]`` table of a manifest; by default that of the plugin in
            which the file is found by its digests, or by its name where none are known.

    Returns:
        `out`.

    Raises:
        CheckpointError: The file is damaged, would execute code, or is of another net; or there is no converter.
        UnknownNameError: There is no such model or encoder.
    """
    path, out = Path(path), Path(out)
    if out.suffix != ".safetensors":
        raise CheckpointError(f"{out}: the name of a converted file ends in .safetensors")
    if source == "zoo":
        from zoo.hub.convert.own import upgrade

        return upgrade(path, model, out)
    target, architecture = _target(model)
    converter = find_converter(source, target, *architecture)
    foreign = read_foreign(path, source)
    try:
        implied = converter.implies(foreign)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{path} does not fit {model}: {type(error).__name__}: {error}") from None
    if implied.architecture not in (None, target.name, *(spec.name for spec in architecture)):
        raise CheckpointError(f"{path} is of {implied.architecture}, not of {target.name}")
    origin = (
        Provenance(record, "", certain=True)
        if record is not None
        else (find_record(path, source, target, implied.num_classes))
    )
    if target.kind == "encoder":
        from zoo.hub.convert.encoder import convert_encoder

        return convert_encoder(path, target, model, converter, foreign, implied, origin, out)
    return _convert_model(path, model, converter, foreign, implied, origin, out)


def _convert_model(
    path: Path, name: str, converter: Converter, foreign: Foreign, implied: Implied, origin: Provenance, out: Path
) -> Path:
    config = resolve(
        name,
        encoder=implied.encoder,
        num_classes=implied.num_classes,
        in_channels=implied.in_channels,
        options=implied.options,
    )
    net = built(config, path)
    state = translated(path, name, converter, foreign, net)
    net.load_state_dict(state, assign=True)
    net.config = _described(net, config, implied, origin)
    kept = {key: origin.record.get(key) for key in ("data", "metrics", "licence")} if origin.certain else {}
    return save(net, out, **kept)


def _described(net: SegmentationModel, config: ModelConfig, implied: Implied, origin: Provenance) -> ModelConfig:
    default = getattr(net.encoder, "input", config.input)
    input = input_of(origin, implied, default, config.in_channels)
    classes = named_classes(origin.record.get("classes", []))
    if len(classes) != config.num_classes:
        if origin.record.get("classes"):
            logger.warning(
                "%s has %d classes, %s %d: they stay without names",
                config.name,
                config.num_classes,
                origin.name,
                len(classes),
            )
        return config.describing(input=input)
    if not origin.certain:
        logger.warning("not a file that was published: took its classes and input to be those of %s", origin.name)
    from zoo.labels import class_colors

    return config.describing(input=input, classes=classes, palette=class_colors((), len(classes)))


def _target(name: str) -> tuple[Spec, list[Spec]]:
    """The model, architecture or encoder of that name, and the architecture behind a model."""
    known = registry()
    base = name.partition("@")[0]
    spec = known.lookup("model", base) or known.lookup("architecture", base)
    if spec is None:
        try:
            return find_encoder(name), []
        except UnknownNameError:
            return known.get("model", base), []
    if spec.kind == "model" and "architecture" in spec.meta:
        return spec, [known.get("architecture", spec.meta["architecture"], spec.plugin)]
    return spec, []


__all__ = ["Converter", "Foreign", "Implied", "convert"]
