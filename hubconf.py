"""Entry points for torch.hub: one function for every named model. Written by tools/make_hubconf.py.

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


def fcn16s_vgg16(
    pretrained=False, *, num_classes=None, in_channels=3, learn_upsampling=False, **encoder_options
):
    """FCN-16s on VGG-16, as published.

    Args:
        pretrained: False for random weights, True or a tag for published ones, or the path of a weight file.
        num_classes: Number of classes K; 21 by default.
        in_channels: Channels of the input.
        learn_upsampling: Option of the architecture; see zoo.plugins.fcn.architectures:fcn16s.
        encoder_options: Options of the encoder vgg16: `zoo info fcn16s_vgg16` lists them.

    Returns:
        The model, in training mode: (N, in_channels, H, W) → {"out": (N, K, H, W)} for any H, W.

    Example:
        >>> model = torch.hub.load("OWNER/zoo", "fcn16s_vgg16", num_classes=21)
        >>> model.eval().predict("photo.jpg").save("labels.png")
    """
    options = {"learn_upsampling": learn_upsampling, **encoder_options}
    return _create("fcn16s_vgg16", pretrained, num_classes, in_channels, options)


def fcn32s_vgg16(
    pretrained=False, *, num_classes=None, in_channels=3, learn_upsampling=False, **encoder_options
):
    """FCN-32s on VGG-16, as published.

    Args:
        pretrained: False for random weights, True or a tag for published ones, or the path of a weight file.
        num_classes: Number of classes K; 21 by default.
        in_channels: Channels of the input.
        learn_upsampling: Option of the architecture; see zoo.plugins.fcn.architectures:fcn32s.
        encoder_options: Options of the encoder vgg16: `zoo info fcn32s_vgg16` lists them.

    Returns:
        The model, in training mode: (N, in_channels, H, W) → {"out": (N, K, H, W)} for any H, W.

    Example:
        >>> model = torch.hub.load("OWNER/zoo", "fcn32s_vgg16", num_classes=21)
        >>> model.eval().predict("photo.jpg").save("labels.png")
    """
    options = {"learn_upsampling": learn_upsampling, **encoder_options}
    return _create("fcn32s_vgg16", pretrained, num_classes, in_channels, options)


def fcn8s_atonce_vgg16(
    pretrained=False, *, num_classes=None, in_channels=3, learn_upsampling=False, **encoder_options
):
    """FCN-8s at-once on VGG-16, as published.

    Args:
        pretrained: False for random weights, True or a tag for published ones, or the path of a weight file.
        num_classes: Number of classes K; 21 by default.
        in_channels: Channels of the input.
        learn_upsampling: Option of the architecture; see zoo.plugins.fcn.architectures:fcn8s_atonce.
        encoder_options: Options of the encoder vgg16: `zoo info fcn8s_atonce_vgg16` lists them.

    Returns:
        The model, in training mode: (N, in_channels, H, W) → {"out": (N, K, H, W)} for any H, W.

    Example:
        >>> model = torch.hub.load("OWNER/zoo", "fcn8s_atonce_vgg16", num_classes=21)
        >>> model.eval().predict("photo.jpg").save("labels.png")
    """
    options = {"learn_upsampling": learn_upsampling, **encoder_options}
    return _create("fcn8s_atonce_vgg16", pretrained, num_classes, in_channels, options)


def fcn8s_vgg16(
    pretrained=False, *, num_classes=None, in_channels=3, learn_upsampling=False, **encoder_options
):
    """FCN-8s on VGG-16, as published.

    Args:
        pretrained: False for random weights, True or a tag for published ones, or the path of a weight file.
        num_classes: Number of classes K; 21 by default.
        in_channels: Channels of the input.
        learn_upsampling: Option of the architecture; see zoo.plugins.fcn.architectures:fcn8s.
        encoder_options: Options of the encoder vgg16: `zoo info fcn8s_vgg16` lists them.

    Returns:
        The model, in training mode: (N, in_channels, H, W) → {"out": (N, K, H, W)} for any H, W.

    Example:
        >>> model = torch.hub.load("OWNER/zoo", "fcn8s_vgg16", num_classes=21)
        >>> model.eval().predict("photo.jpg").save("labels.png")
    """
    options = {"learn_upsampling": learn_upsampling, **encoder_options}
    return _create("fcn8s_vgg16", pretrained, num_classes, in_channels, options)
