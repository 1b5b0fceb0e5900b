"""Write hubconf.py from the registry: one function for every named model.

python tools/make_hubconf.py
"""

import textwrap
from pathlib import Path

from zoo.hub.hubs import of_plugins
from zoo.manifest import Spec
from zoo.plan import accepted_options
from zoo.registry import registry

HUBCONF = Path(__file__).parents[1] / "hubconf.py"

_HEADER = '''"""Entry points for torch.hub: one function per named model, and `load`. Written by tools/make_hubconf.py.

>>> import torch
>>> torch.hub.list("OWNER/zoo")
>>> model = torch.hub.load("OWNER/zoo", "fcn8s_vgg16", num_classes=21)
>>> model(torch.rand(1, 3, 100, 150))["out"].shape
torch.Size([1, 21, 100, 150])
"""

import os as _os
import sys as _sys

dependencies = ["torch", "torchvision", "timm", "safetensors", "numpy", "PIL"]

_HERE = _os.path.dirname(_os.path.abspath(__file__))


def _zoo():
    """The package `zoo`, from this checkout unless a Zoo is loaded already."""
    loaded = _sys.modules.get("zoo")
    if loaded is not None and not hasattr(loaded, "create_model"):
        raise ImportError(
            f"another package called 'zoo' is already imported, from {getattr(loaded, '__file__', 'nowhere')}; "
            "load the model in a process that does not import it"
        )
    import zoo

    home = _os.path.dirname(_os.path.dirname(_os.path.abspath(zoo.__file__)))
    if home != _HERE:
        if not hasattr(zoo, "create_model"):
            raise ImportError(f"another package called 'zoo' comes first on sys.path: {zoo.__file__}")
        import warnings

        warnings.warn(
            f"Zoo {zoo.__version__} from {home} is loaded already and is used instead of the checkout {_HERE}",
            stacklevel=3,
        )
    elif _HERE not in _sys.path[1:]:
        # torch.hub takes its own entry away after the call. Lazy imports would do without, but a spawned worker that
        # unpickles a model looks for `zoo` along the parent's sys.path. At the end, it shadows nothing of the user's.
        _sys.path.append(_HERE)
    return zoo


def _create(name, pretrained, num_classes, in_channels, options):
    weights = {True: "default", False: None}.get(pretrained, pretrained)
    return _zoo().create_model(
        name, num_classes=num_classes, in_channels=in_channels, weights=weights, **options
    )


def load(weights):
    """Any model from its own description: a weight file, or the name of published weights.

    Models of plugins that are installed are among them.

    Args:
        weights: The path of a ``.safetensors`` file that Zoo wrote, or a name as ``"unet_l4.camvid"``.

    Returns:
        The model, in evaluation mode: (N, in_channels, H, W) → {"out": (N, K, H, W)} for any H, W.

    Example:
        >>> model = torch.hub.load("OWNER/zoo", "load", "best.safetensors")
        >>> model.predict("photo.jpg").save("labels.png")
    """
    return _zoo().load(weights)
'''

_FUNCTION = '''

def {name}(pretrained=False, *, num_classes=None, in_channels={channels}, **options):
    """{summary}.

    Args:
        pretrained: False for random weights, True or a tag for published ones, or the path of a weight file.
            {published}
        num_classes: Number of classes K; {classes} by default.
        in_channels: Channels of the input.
        options: {options}.

    Returns:
        The model, in training mode: (N, in_channels, H, W) → {{"out": (N, K, H, W)}} for any H, W.

    Example:
        >>> model = torch.hub.load("OWNER/zoo", "{name}", num_classes=21)
        >>> {use}
    """
    return _create("{name}", pretrained, num_classes, in_channels, options)
'''


_PREDICT = 'model.eval().predict("photo.jpg").save("labels.png")'
_CALL = 'model.eval()(torch.rand(1, {channels}, 100, 150))["out"]'  # there are no pictures of so many channels


def function(spec: Spec) -> str:
    architecture = registry().get("architecture", spec.meta["architecture"])
    channels = spec.meta.get("in_channels", architecture.meta.get("in_channels", 3))
    own = accepted_options(architecture)
    preset = spec.meta.get("options", {})
    options = ", ".join(f"{name} = {preset.get(name, option.default)!r}" for name, option in own.items())
    if "encoder" in spec.meta:
        parameters = accepted_options(registry().get("encoder", spec.meta["encoder"]))
        others = ", ".join(name for name in parameters if name not in own)
        options += f"; of the encoder {spec.meta['encoder']}: {others}"
    return _FUNCTION.format(
        name=spec.name,
        published=published(spec.name),
        summary=spec.summary,
        classes=spec.meta.get("num_classes", 21),
        channels=channels,
        use=_PREDICT if channels == 3 else _CALL.format(channels=channels),
        options="\n            ".join(textwrap.wrap(options, 99)),
    )


def published(model: str) -> str:
    """What is known of published weights at the time of writing; a hub may have more."""
    records = [record for record in of_plugins() if record.model == model]
    tags = [f"{record.tag!r} (the default)" if record.default else repr(record.tag) for record in records]
    return f"Published: {', '.join(tags)}." if tags else "Published ones come from the hubs in ZOO_HUB."


def render() -> str:
    """The text of hubconf.py."""
    return _HEADER + "".join(function(spec) for spec in registry().find("model") if "architecture" in spec.meta)


if __name__ == "__main__":
    HUBCONF.write_text(render(), encoding="utf-8")
