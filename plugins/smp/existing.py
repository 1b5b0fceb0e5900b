"""What was made with segmentation-models-pytorch, taken over: models and state dicts."""

import inspect
import logging
from collections.abc import Mapping
from typing import Any

from torch import Tensor
from zoo.plugins.smp.facts import NAMESPACE, convention, table_entry
from zoo.plugins.smp.library import library

from zoo.assembly import create_model
from zoo.errors import CheckpointError, OptionError
from zoo.hub.converter import Converter, Foreign, Implied, size_of
from zoo.model import SegmentationModel
from zoo.plan import accepted_options
from zoo.registry import registry

_PREFIXES = {"encoder.": "encoder.model.", "decoder.": "decoder.model.", "segmentation_head.": "head.model."}
_NAMED_OTHERWISE = {"encoder_name", "encoder_weights", "encoder_output_stride", "in_channels", "classes"}
_LEFT_OUT = {"activation", "aux_params"}

logger = logging.getLogger("zoo")


def translate(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of a model of the library, with the names that it has in Zoo.

    >>> model = zoo.create_model("smp/unet", encoder="resnet34", num_classes=5)
    >>> model.load_state_dict(translate(torch.load("theirs.pth", weights_only=True)))

    A classification head is left out.

    Raises:
        CheckpointError: A name that no model of the library has.
    """
    translated = {}
    for name, tensor in state.items():
        prefix = next((prefix for prefix in _PREFIXES if name.startswith(prefix)), None)
        if prefix is not None:
            translated[_PREFIXES[prefix] + name.removeprefix(prefix)] = tensor
        elif not name.startswith("classification_head."):
            raise CheckpointError(
                f"{name!r} is no tensor of a model of segmentation-models-pytorch: "
                f"their names begin with {', '.join(_PREFIXES)}"
            )
    return translated


def adopt(net: Any) -> SegmentationModel:
    """Make a Zoo model with the weights of a model of the library.

    >>> model = adopt(segmentation_models_pytorch.from_pretrained("folder"))

    Its activation and its classification head are left out: the result answers with logits. Where the library knows how
    pictures are prepared for the encoder's weights, so does the result; else correct ``model.config``.

    Args:
        net: Any of the library's models; left as it is.

    Raises:
        OptionError: It is no such model, or was built with arguments that have no counterpart here.
    """
    known = library().MODEL_ARCHITECTURES_MAPPING
    architecture = type(net).__name__.lower()
    if not isinstance(net, known.get(architecture, ())):
        raise OptionError(f"a {type(net).__name__} is no model of segmentation-models-pytorch")
    given = _understood(architecture, net.config)
    model = create_model(
        f"{NAMESPACE}/{architecture}",
        encoder=given.encoder,
        num_classes=given.num_classes,
        in_channels=given.in_channels,
        **given.options,
    )
    model.load_state_dict(translate(net.state_dict()))
    if given.input is not None:
        model.config = model.config.describing(input=given.input)
    return model


def _understood(architecture: str, config: Mapping[str, Any]) -> Implied:
    """What the arguments of one of the library's models mean here.

    Raises:
        OptionError: Some have no counterpart.
    """
    net = library().MODEL_ARCHITECTURES_MAPPING[architecture]
    given = {name: value for name, value in config.items() if not name.startswith("_")}
    target = registry().get("architecture", f"{NAMESPACE}/{architecture}")
    defaults = {name: value.default for name, value in inspect.signature(net.__init__).parameters.items()}
    encoder = given.get("encoder_name", defaults["encoder_name"])
    if architecture == "pspnet":
        defaults["upsampling"] = 2 ** given.get("encoder_depth", defaults["encoder_depth"])
    if architecture == "dpt":
        defaults |= table_entry(encoder)["dpt"]["options"]
    options = {name: given[name] for name in accepted_options(target) if name in given and name != "encoder_weights"}
    if "encoder_output_stride" in given:
        options["output_stride"] = given["encoder_output_stride"]
    strange = [
        name
        for name, value in given.items()
        if name not in {*options, *_NAMED_OTHERWISE, *_LEFT_OUT} and value != defaults.get(name)
    ]
    if strange:
        raise OptionError(
            f"this {net.__name__} was built with {', '.join(strange)}, for which there are no options here"
        )
    in_channels = given.get("in_channels", defaults["in_channels"])
    weights = given.get("encoder_weights", defaults["encoder_weights"])
    input = None
    if weights is not None and not encoder.startswith("tu-"):
        try:
            input = convention(encoder, weights).with_channels(in_channels)
        except (OSError, ValueError) as error:
            logger.warning("%s: how pictures are prepared is not known, taken as usual: %s", encoder, error)
    num_classes = given.get("classes", defaults["classes"])
    return Implied(target.name, encoder, num_classes, in_channels, options, input)


def _implies(foreign: Foreign) -> Implied:
    """What a folder of the library's ``save_pretrained`` says; of a bare state dict, the number of classes."""
    name = foreign.description.get("_model_class")
    if name is None:
        layers = [key for key in foreign.state if key.startswith("segmentation_head.") and key.endswith(".weight")]
        return Implied(num_classes=size_of(foreign.state, *layers[-1:]))
    if str(name).lower() not in library().MODEL_ARCHITECTURES_MAPPING:
        raise CheckpointError(f"its config.json names {name!r}, which is no model of segmentation-models-pytorch")
    return _understood(str(name).lower(), foreign.description)


CONVERTER = Converter(lambda state, model: translate(state), _implies)
"""For state dicts of the library's models, and folders that its ``save_pretrained`` wrote."""
