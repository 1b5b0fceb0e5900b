"""Entry points for torch.hub: one function per named model, and `load`. Written by tools/make_hubconf.py.

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


def deconvnet_vgg16(pretrained=False, *, num_classes=None, in_channels=3, **options):
    """DeconvNet on VGG-16 with batch norm, as published.

    Args:
        pretrained: False for random weights, True or a tag for published ones, or the path of a weight file.
            Published: 'voc' (the default).
        num_classes: Number of classes K; 21 by default.
        in_channels: Channels of the input.
        options: norm = True, depths = (2, 2, 3, 3, 3); of the encoder vgg16_bn: width, classifier,
            classifier_channels, classifier_kernel, fc6_padding, classifier_norm, norm_eps, norm_shift,
            first_padding, ceil_mode, dropout, encoder_weights.

    Returns:
        The model, in training mode: (N, in_channels, H, W) → {"out": (N, K, H, W)} for any H, W.

    Example:
        >>> model = torch.hub.load("OWNER/zoo", "deconvnet_vgg16", num_classes=21)
        >>> model.eval().predict("photo.jpg").save("labels.png")
    """
    return _create("deconvnet_vgg16", pretrained, num_classes, in_channels, options)


def deeplab_largefov_vgg16(pretrained=False, *, num_classes=None, in_channels=3, **options):
    """DeepLab-LargeFOV on VGG-16, as first released.

    Args:
        pretrained: False for random weights, True or a tag for published ones, or the path of a weight file.
            Published ones come from the hubs in ZOO_HUB.
        num_classes: Number of classes K; 21 by default.
        in_channels: Channels of the input.
        options: rate = 12, width = 1024, average_pool = True, dropout = 0.5; of the encoder vgg16_atrous:
            encoder_weights.

    Returns:
        The model, in training mode: (N, in_channels, H, W) → {"out": (N, K, H, W)} for any H, W.

    Example:
        >>> model = torch.hub.load("OWNER/zoo", "deeplab_largefov_vgg16", num_classes=21)
        >>> model.eval().predict("photo.jpg").save("labels.png")
    """
    return _create("deeplab_largefov_vgg16", pretrained, num_classes, in_channels, options)


def deeplabv3_mobilenet_v3_large(pretrained=False, *, num_classes=None, in_channels=3, **options):
    """DeepLabV3 on MobileNetV3-Large, torchvision's net.

    Args:
        pretrained: False for random weights, True or a tag for published ones, or the path of a weight file.
            Published: 'coco_voc' (the default).
        num_classes: Number of classes K; 21 by default.
        in_channels: Channels of the input.
        options: output_stride = 16, rates = [12, 24, 36], multi_grid = None, image_pooling = True, extra_conv =
            True, dropout = 0.5, aux = False, aux_tap = 'features.4'; of the encoder mobilenet_v3_large:
            encoder_weights.

    Returns:
        The model, in training mode: (N, in_channels, H, W) → {"out": (N, K, H, W)} for any H, W.

    Example:
        >>> model = torch.hub.load("OWNER/zoo", "deeplabv3_mobilenet_v3_large", num_classes=21)
        >>> model.eval().predict("photo.jpg").save("labels.png")
    """
    return _create("deeplabv3_mobilenet_v3_large", pretrained, num_classes, in_channels, options)


def deeplabv3_resnet101(pretrained=False, *, num_classes=None, in_channels=3, **options):
    """DeepLabV3 on ResNet-101, torchvision's net.

    Args:
        pretrained: False for random weights, True or a tag for published ones, or the path of a weight file.
            Published: 'coco_voc' (the default).
        num_classes: Number of classes K; 21 by default.
        in_channels: Channels of the input.
        options: output_stride = None, rates = None, multi_grid = None, image_pooling = True, extra_conv = True,
            dropout = 0.5, aux = False, aux_tap = None; of the encoder resnet101: encoder_weights.

    Returns:
        The model, in training mode: (N, in_channels, H, W) → {"out": (N, K, H, W)} for any H, W.

    Example:
        >>> model = torch.hub.load("OWNER/zoo", "deeplabv3_resnet101", num_classes=21)
        >>> model.eval().predict("photo.jpg").save("labels.png")
    """
    return _create("deeplabv3_resnet101", pretrained, num_classes, in_channels, options)


def deeplabv3_resnet50(pretrained=False, *, num_classes=None, in_channels=3, **options):
    """DeepLabV3 on ResNet-50, torchvision's net.

    Args:
        pretrained: False for random weights, True or a tag for published ones, or the path of a weight file.
            Published: 'coco_voc' (the default).
        num_classes: Number of classes K; 21 by default.
        in_channels: Channels of the input.
        options: output_stride = None, rates = None, multi_grid = None, image_pooling = True, extra_conv = True,
            dropout = 0.5, aux = False, aux_tap = None; of the encoder resnet50: encoder_weights.

    Returns:
        The model, in training mode: (N, in_channels, H, W) → {"out": (N, K, H, W)} for any H, W.

    Example:
        >>> model = torch.hub.load("OWNER/zoo", "deeplabv3_resnet50", num_classes=21)
        >>> model.eval().predict("photo.jpg").save("labels.png")
    """
    return _create("deeplabv3_resnet50", pretrained, num_classes, in_channels, options)


def deeplabv3_skip(pretrained=False, *, num_classes=None, in_channels=3, **options):
    """DeepLabV3 with encoder skips on ResNet-50 at output stride 8.

    Args:
        pretrained: False for random weights, True or a tag for published ones, or the path of a weight file.
            Published ones come from the hubs in ZOO_HUB.
        num_classes: Number of classes K; 21 by default.
        in_channels: Channels of the input.
        options: output_stride = None, stage_dilations = None, rates = None, skips = (8, 4), skip_channels = 48,
            widths = (128, 64), dropout = 0.1; of the encoder resnet50: encoder_weights.

    Returns:
        The model, in training mode: (N, in_channels, H, W) → {"out": (N, K, H, W)} for any H, W.

    Example:
        >>> model = torch.hub.load("OWNER/zoo", "deeplabv3_skip", num_classes=21)
        >>> model.eval().predict("photo.jpg").save("labels.png")
    """
    return _create("deeplabv3_skip", pretrained, num_classes, in_channels, options)


def deeplabv3_skip_resnet50(pretrained=False, *, num_classes=None, in_channels=3, **options):
    """DeepLabV3 with encoder skips on ResNet-50, dilated by 1, 1, 2 and 4.

    Args:
        pretrained: False for random weights, True or a tag for published ones, or the path of a weight file.
            Published ones come from the hubs in ZOO_HUB.
        num_classes: Number of classes K; 21 by default.
        in_channels: Channels of the input.
        options: output_stride = None, stage_dilations = [1, 1, 2, 4], rates = None, skips = (8, 4), skip_channels =
            48, widths = (128, 64), dropout = 0.1; of the encoder resnet50: encoder_weights.

    Returns:
        The model, in training mode: (N, in_channels, H, W) → {"out": (N, K, H, W)} for any H, W.

    Example:
        >>> model = torch.hub.load("OWNER/zoo", "deeplabv3_skip_resnet50", num_classes=21)
        >>> model.eval().predict("photo.jpg").save("labels.png")
    """
    return _create("deeplabv3_skip_resnet50", pretrained, num_classes, in_channels, options)


def deeplabv3plus_resnet101(pretrained=False, *, num_classes=None, in_channels=3, **options):
    """DeepLabV3+ on ResNet-101 at output stride 16.

    Args:
        pretrained: False for random weights, True or a tag for published ones, or the path of a weight file.
            Published ones come from the hubs in ZOO_HUB.
        num_classes: Number of classes K; 21 by default.
        in_channels: Channels of the input.
        options: output_stride = None, rates = None, multi_grid = None, image_pooling = True, low_channels = 48,
            convs = 2, separable = False, dropout = 0.1, aux = False; of the encoder resnet101: encoder_weights.

    Returns:
        The model, in training mode: (N, in_channels, H, W) → {"out": (N, K, H, W)} for any H, W.

    Example:
        >>> model = torch.hub.load("OWNER/zoo", "deeplabv3plus_resnet101", num_classes=21)
        >>> model.eval().predict("photo.jpg").save("labels.png")
    """
    return _create("deeplabv3plus_resnet101", pretrained, num_classes, in_channels, options)


def deeplabv3plus_resnet50(pretrained=False, *, num_classes=None, in_channels=3, **options):
    """DeepLabV3+ on ResNet-50 at output stride 16.

    Args:
        pretrained: False for random weights, True or a tag for published ones, or the path of a weight file.
            Published ones come from the hubs in ZOO_HUB.
        num_classes: Number of classes K; 21 by default.
        in_channels: Channels of the input.
        options: output_stride = None, rates = None, multi_grid = None, image_pooling = True, low_channels = 48,
            convs = 2, separable = False, dropout = 0.1, aux = False; of the encoder resnet50: encoder_weights.

    Returns:
        The model, in training mode: (N, in_channels, H, W) → {"out": (N, K, H, W)} for any H, W.

    Example:
        >>> model = torch.hub.load("OWNER/zoo", "deeplabv3plus_resnet50", num_classes=21)
        >>> model.eval().predict("photo.jpg").save("labels.png")
    """
    return _create("deeplabv3plus_resnet50", pretrained, num_classes, in_channels, options)


def fcn16s_siftflow_vgg16(pretrained=False, *, num_classes=None, in_channels=3, **options):
    """FCN-16s with two answers on one trunk: 33 semantic classes of SIFT Flow (out) and 3 geometric ones.

    Args:
        pretrained: False for random weights, True or a tag for published ones, or the path of a weight file.
            Published: 'siftflow' (the default).
        num_classes: Number of classes K; 33 by default.
        in_channels: Channels of the input.
        options: learn_upsampling = False, geometric_classes = 3; of the encoder vgg16: width, classifier,
            classifier_channels, classifier_kernel, fc6_padding, classifier_norm, norm_eps, norm_shift,
            first_padding, ceil_mode, dropout, encoder_weights.

    Returns:
        The model, in training mode: (N, in_channels, H, W) → {"out": (N, K, H, W)} for any H, W.

    Example:
        >>> model = torch.hub.load("OWNER/zoo", "fcn16s_siftflow_vgg16", num_classes=21)
        >>> model.eval().predict("photo.jpg").save("labels.png")
    """
    return _create("fcn16s_siftflow_vgg16", pretrained, num_classes, in_channels, options)


def fcn16s_vgg16(pretrained=False, *, num_classes=None, in_channels=3, **options):
    """FCN-16s on VGG-16, as published (VOC; num_classes = 60 for PASCAL-Context).

    Args:
        pretrained: False for random weights, True or a tag for published ones, or the path of a weight file.
            Published: 'pascal_context', 'voc' (the default).
        num_classes: Number of classes K; 21 by default.
        in_channels: Channels of the input.
        options: learn_upsampling = False, geometric_classes = 0; of the encoder vgg16: width, classifier,
            classifier_channels, classifier_kernel, fc6_padding, classifier_norm, norm_eps, norm_shift,
            first_padding, ceil_mode, dropout, encoder_weights.

    Returns:
        The model, in training mode: (N, in_channels, H, W) → {"out": (N, K, H, W)} for any H, W.

    Example:
        >>> model = torch.hub.load("OWNER/zoo", "fcn16s_vgg16", num_classes=21)
        >>> model.eval().predict("photo.jpg").save("labels.png")
    """
    return _create("fcn16s_vgg16", pretrained, num_classes, in_channels, options)


def fcn32s_alexnet(pretrained=False, *, num_classes=None, in_channels=3, **options):
    """FCN-AlexNet, as published: FCN-32s on CaffeNet.

    Args:
        pretrained: False for random weights, True or a tag for published ones, or the path of a weight file.
            Published: 'voc' (the default).
        num_classes: Number of classes K; 21 by default.
        in_channels: Channels of the input.
        options: learn_upsampling = False, geometric_classes = 0; of the encoder caffenet: classifier,
            first_padding, dropout, encoder_weights.

    Returns:
        The model, in training mode: (N, in_channels, H, W) → {"out": (N, K, H, W)} for any H, W.

    Example:
        >>> model = torch.hub.load("OWNER/zoo", "fcn32s_alexnet", num_classes=21)
        >>> model.eval().predict("photo.jpg").save("labels.png")
    """
    return _create("fcn32s_alexnet", pretrained, num_classes, in_channels, options)


def fcn32s_googlenet(pretrained=False, *, num_classes=None, in_channels=3, **options):
    """FCN-32s on GoogLeNet, padded by its own 3 (first_padding = 100 pads it as the other nets).

    Args:
        pretrained: False for random weights, True or a tag for published ones, or the path of a weight file.
            Published ones come from the hubs in ZOO_HUB.
        num_classes: Number of classes K; 21 by default.
        in_channels: Channels of the input.
        options: learn_upsampling = False, geometric_classes = 0; of the encoder googlenet_bvlc: classifier,
            first_padding, dropout, encoder_weights.

    Returns:
        The model, in training mode: (N, in_channels, H, W) → {"out": (N, K, H, W)} for any H, W.

    Example:
        >>> model = torch.hub.load("OWNER/zoo", "fcn32s_googlenet", num_classes=21)
        >>> model.eval().predict("photo.jpg").save("labels.png")
    """
    return _create("fcn32s_googlenet", pretrained, num_classes, in_channels, options)


def fcn32s_rgb_hha_vgg16(pretrained=False, *, num_classes=None, in_channels=6, **options):
    """FCN-32s on colour and HHA (six channels), fused at the scores; 40 classes of NYUDv2.

    Args:
        pretrained: False for random weights, True or a tag for published ones, or the path of a weight file.
            Published: 'nyud' (the default).
        num_classes: Number of classes K; 40 by default.
        in_channels: Channels of the input.
        options: learn_upsampling = False; of the encoder vgg16: width, classifier, classifier_channels,
            classifier_kernel, fc6_padding, classifier_norm, norm_eps, norm_shift, first_padding, ceil_mode,
            dropout, encoder_weights.

    Returns:
        The model, in training mode: (N, in_channels, H, W) → {"out": (N, K, H, W)} for any H, W.

    Example:
        >>> model = torch.hub.load("OWNER/zoo", "fcn32s_rgb_hha_vgg16", num_classes=21)
        >>> model.eval()(torch.rand(1, 6, 100, 150))["out"]
    """
    return _create("fcn32s_rgb_hha_vgg16", pretrained, num_classes, in_channels, options)


def fcn32s_rgbd_vgg16(pretrained=False, *, num_classes=None, in_channels=4, **options):
    """FCN-32s on colour and depth, fused at the first layer; 40 classes of NYUDv2.

    Args:
        pretrained: False for random weights, True or a tag for published ones, or the path of a weight file.
            Published ones come from the hubs in ZOO_HUB.
        num_classes: Number of classes K; 40 by default.
        in_channels: Channels of the input.
        options: learn_upsampling = False, geometric_classes = 0; of the encoder vgg16_bgrd: width, classifier,
            classifier_channels, classifier_kernel, fc6_padding, classifier_norm, norm_eps, norm_shift,
            first_padding, ceil_mode, dropout, encoder_weights.

    Returns:
        The model, in training mode: (N, in_channels, H, W) → {"out": (N, K, H, W)} for any H, W.

    Example:
        >>> model = torch.hub.load("OWNER/zoo", "fcn32s_rgbd_vgg16", num_classes=21)
        >>> model.eval()(torch.rand(1, 4, 100, 150))["out"]
    """
    return _create("fcn32s_rgbd_vgg16", pretrained, num_classes, in_channels, options)


def fcn32s_siftflow_vgg16(pretrained=False, *, num_classes=None, in_channels=3, **options):
    """FCN-32s with two answers on one trunk: 33 semantic classes of SIFT Flow (out) and 3 geometric ones.

    Args:
        pretrained: False for random weights, True or a tag for published ones, or the path of a weight file.
            Published: 'siftflow' (the default).
        num_classes: Number of classes K; 33 by default.
        in_channels: Channels of the input.
        options: learn_upsampling = False, geometric_classes = 3; of the encoder vgg16: width, classifier,
            classifier_channels, classifier_kernel, fc6_padding, classifier_norm, norm_eps, norm_shift,
            first_padding, ceil_mode, dropout, encoder_weights.

    Returns:
        The model, in training mode: (N, in_channels, H, W) → {"out": (N, K, H, W)} for any H, W.

    Example:
        >>> model = torch.hub.load("OWNER/zoo", "fcn32s_siftflow_vgg16", num_classes=21)
        >>> model.eval().predict("photo.jpg").save("labels.png")
    """
    return _create("fcn32s_siftflow_vgg16", pretrained, num_classes, in_channels, options)


def fcn32s_vgg16(pretrained=False, *, num_classes=None, in_channels=3, **options):
    """FCN-32s on VGG-16, as published (VOC; num_classes = 40 for NYUDv2, 60 for PASCAL-Context).

    Args:
        pretrained: False for random weights, True or a tag for published ones, or the path of a weight file.
            Published: 'nyud_color', 'nyud_hha', 'pascal_context', 'voc' (the default).
        num_classes: Number of classes K; 21 by default.
        in_channels: Channels of the input.
        options: learn_upsampling = False, geometric_classes = 0; of the encoder vgg16: width, classifier,
            classifier_channels, classifier_kernel, fc6_padding, classifier_norm, norm_eps, norm_shift,
            first_padding, ceil_mode, dropout, encoder_weights.

    Returns:
        The model, in training mode: (N, in_channels, H, W) → {"out": (N, K, H, W)} for any H, W.

    Example:
        >>> model = torch.hub.load("OWNER/zoo", "fcn32s_vgg16", num_classes=21)
        >>> model.eval().predict("photo.jpg").save("labels.png")
    """
    return _create("fcn32s_vgg16", pretrained, num_classes, in_channels, options)


def fcn8s_atonce_vgg16(pretrained=False, *, num_classes=None, in_channels=3, **options):
    """FCN-8s at-once on VGG-16, as published.

    Args:
        pretrained: False for random weights, True or a tag for published ones, or the path of a weight file.
            Published: 'voc' (the default).
        num_classes: Number of classes K; 21 by default.
        in_channels: Channels of the input.
        options: learn_upsampling = False, geometric_classes = 0; of the encoder vgg16: width, classifier,
            classifier_channels, classifier_kernel, fc6_padding, classifier_norm, norm_eps, norm_shift,
            first_padding, ceil_mode, dropout, encoder_weights.

    Returns:
        The model, in training mode: (N, in_channels, H, W) → {"out": (N, K, H, W)} for any H, W.

    Example:
        >>> model = torch.hub.load("OWNER/zoo", "fcn8s_atonce_vgg16", num_classes=21)
        >>> model.eval().predict("photo.jpg").save("labels.png")
    """
    return _create("fcn8s_atonce_vgg16", pretrained, num_classes, in_channels, options)


def fcn8s_siftflow_vgg16(pretrained=False, *, num_classes=None, in_channels=3, **options):
    """FCN-8s with two answers on one trunk: 33 semantic classes of SIFT Flow (out) and 3 geometric ones.

    Args:
        pretrained: False for random weights, True or a tag for published ones, or the path of a weight file.
            Published: 'siftflow' (the default).
        num_classes: Number of classes K; 33 by default.
        in_channels: Channels of the input.
        options: learn_upsampling = False, geometric_classes = 3; of the encoder vgg16: width, classifier,
            classifier_channels, classifier_kernel, fc6_padding, classifier_norm, norm_eps, norm_shift,
            first_padding, ceil_mode, dropout, encoder_weights.

    Returns:
        The model, in training mode: (N, in_channels, H, W) → {"out": (N, K, H, W)} for any H, W.

    Example:
        >>> model = torch.hub.load("OWNER/zoo", "fcn8s_siftflow_vgg16", num_classes=21)
        >>> model.eval().predict("photo.jpg").save("labels.png")
    """
    return _create("fcn8s_siftflow_vgg16", pretrained, num_classes, in_channels, options)


def fcn8s_vgg16(pretrained=False, *, num_classes=None, in_channels=3, **options):
    """FCN-8s on VGG-16, as published (VOC; num_classes = 60 for PASCAL-Context).

    Args:
        pretrained: False for random weights, True or a tag for published ones, or the path of a weight file.
            Published: 'pascal_context', 'voc' (the default), 'voc2015'.
        num_classes: Number of classes K; 21 by default.
        in_channels: Channels of the input.
        options: learn_upsampling = False, geometric_classes = 0; of the encoder vgg16: width, classifier,
            classifier_channels, classifier_kernel, fc6_padding, classifier_norm, norm_eps, norm_shift,
            first_padding, ceil_mode, dropout, encoder_weights.

    Returns:
        The model, in training mode: (N, in_channels, H, W) → {"out": (N, K, H, W)} for any H, W.

    Example:
        >>> model = torch.hub.load("OWNER/zoo", "fcn8s_vgg16", num_classes=21)
        >>> model.eval().predict("photo.jpg").save("labels.png")
    """
    return _create("fcn8s_vgg16", pretrained, num_classes, in_channels, options)


def fcn_resnet101(pretrained=False, *, num_classes=None, in_channels=3, **options):
    """FCN on ResNet-101, torchvision's net.

    Args:
        pretrained: False for random weights, True or a tag for published ones, or the path of a weight file.
            Published: 'coco_voc' (the default).
        num_classes: Number of classes K; 21 by default.
        in_channels: Channels of the input.
        options: output_stride = None, dropout = 0.1, aux = False, aux_tap = None; of the encoder resnet101:
            encoder_weights.

    Returns:
        The model, in training mode: (N, in_channels, H, W) → {"out": (N, K, H, W)} for any H, W.

    Example:
        >>> model = torch.hub.load("OWNER/zoo", "fcn_resnet101", num_classes=21)
        >>> model.eval().predict("photo.jpg").save("labels.png")
    """
    return _create("fcn_resnet101", pretrained, num_classes, in_channels, options)


def fcn_resnet50(pretrained=False, *, num_classes=None, in_channels=3, **options):
    """FCN on ResNet-50, torchvision's net.

    Args:
        pretrained: False for random weights, True or a tag for published ones, or the path of a weight file.
            Published: 'coco_voc' (the default).
        num_classes: Number of classes K; 21 by default.
        in_channels: Channels of the input.
        options: output_stride = None, dropout = 0.1, aux = False, aux_tap = None; of the encoder resnet50:
            encoder_weights.

    Returns:
        The model, in training mode: (N, in_channels, H, W) → {"out": (N, K, H, W)} for any H, W.

    Example:
        >>> model = torch.hub.load("OWNER/zoo", "fcn_resnet50", num_classes=21)
        >>> model.eval().predict("photo.jpg").save("labels.png")
    """
    return _create("fcn_resnet50", pretrained, num_classes, in_channels, options)


def lraspp_mobilenet_v3_large(pretrained=False, *, num_classes=None, in_channels=3, **options):
    """LR-ASPP on MobileNetV3-Large, torchvision's net.

    Args:
        pretrained: False for random weights, True or a tag for published ones, or the path of a weight file.
            Published: 'coco_voc' (the default).
        num_classes: Number of classes K; 21 by default.
        in_channels: Channels of the input.
        options: output_stride = 16, width = 128; of the encoder mobilenet_v3_large: encoder_weights.

    Returns:
        The model, in training mode: (N, in_channels, H, W) → {"out": (N, K, H, W)} for any H, W.

    Example:
        >>> model = torch.hub.load("OWNER/zoo", "lraspp_mobilenet_v3_large", num_classes=21)
        >>> model.eval().predict("photo.jpg").save("labels.png")
    """
    return _create("lraspp_mobilenet_v3_large", pretrained, num_classes, in_channels, options)


def pspnet_resnet101(pretrained=False, *, num_classes=None, in_channels=3, **options):
    """PSPNet on the deep-stem ResNet-101 of its authors' release.

    Args:
        pretrained: False for random weights, True or a tag for published ones, or the path of a weight file.
            Published ones come from the hubs in ZOO_HUB.
        num_classes: Number of classes K; 21 by default.
        in_channels: Channels of the input.
        options: output_stride = None, bins = (1, 2, 3, 6), width = 512, dropout = 0.1, align_corners = True,
            whole_stages = True, aux = False; of the encoder resnet101s: encoder_weights.

    Returns:
        The model, in training mode: (N, in_channels, H, W) → {"out": (N, K, H, W)} for any H, W.

    Example:
        >>> model = torch.hub.load("OWNER/zoo", "pspnet_resnet101", num_classes=21)
        >>> model.eval().predict("photo.jpg").save("labels.png")
    """
    return _create("pspnet_resnet101", pretrained, num_classes, in_channels, options)


def pspnet_resnet50(pretrained=False, *, num_classes=None, in_channels=3, **options):
    """PSPNet on the deep-stem ResNet-50 of its authors' release.

    Args:
        pretrained: False for random weights, True or a tag for published ones, or the path of a weight file.
            Published ones come from the hubs in ZOO_HUB.
        num_classes: Number of classes K; 21 by default.
        in_channels: Channels of the input.
        options: output_stride = None, bins = (1, 2, 3, 6), width = 512, dropout = 0.1, align_corners = True,
            whole_stages = True, aux = False; of the encoder resnet50s: encoder_weights.

    Returns:
        The model, in training mode: (N, in_channels, H, W) → {"out": (N, K, H, W)} for any H, W.

    Example:
        >>> model = torch.hub.load("OWNER/zoo", "pspnet_resnet50", num_classes=21)
        >>> model.eval().predict("photo.jpg").save("labels.png")
    """
    return _create("pspnet_resnet50", pretrained, num_classes, in_channels, options)


def unet(pretrained=False, *, num_classes=None, in_channels=3, **options):
    """U-Net as published in 2015: valid convolutions, mirrored borders.

    Args:
        pretrained: False for random weights, True or a tag for published ones, or the path of a weight file.
            Published ones come from the hubs in ZOO_HUB.
        num_classes: Number of classes K; 2 by default.
        in_channels: Channels of the input.
        options: widths = (64, 128, 256, 512, 1024), norm = None, upsampling = None, padding = None, dropout = None.

    Returns:
        The model, in training mode: (N, in_channels, H, W) → {"out": (N, K, H, W)} for any H, W.

    Example:
        >>> model = torch.hub.load("OWNER/zoo", "unet", num_classes=21)
        >>> model.eval().predict("photo.jpg").save("labels.png")
    """
    return _create("unet", pretrained, num_classes, in_channels, options)


def unet_l4(pretrained=False, *, num_classes=None, in_channels=3, **options):
    """U-Net with four levels.

    Args:
        pretrained: False for random weights, True or a tag for published ones, or the path of a weight file.
            Published ones come from the hubs in ZOO_HUB.
        num_classes: Number of classes K; 10 by default.
        in_channels: Channels of the input.
        options: channels = (64, 128, 256, 512), aspp = False, wiring = 'A', dropout = 0.5, center_convs = 2,
            last_padding = 0, decoder_norm = False, rates = (1, 2, 4), aspp_width = 256, image_pooling = True.

    Returns:
        The model, in training mode: (N, in_channels, H, W) → {"out": (N, K, H, W)} for any H, W.

    Example:
        >>> model = torch.hub.load("OWNER/zoo", "unet_l4", num_classes=21)
        >>> model.eval().predict("photo.jpg").save("labels.png")
    """
    return _create("unet_l4", pretrained, num_classes, in_channels, options)


def unet_l4_aspp(pretrained=False, *, num_classes=None, in_channels=3, **options):
    """U-Net with four levels, ASPP before the centre.

    Args:
        pretrained: False for random weights, True or a tag for published ones, or the path of a weight file.
            Published ones come from the hubs in ZOO_HUB.
        num_classes: Number of classes K; 10 by default.
        in_channels: Channels of the input.
        options: channels = (64, 128, 256, 512), aspp = True, wiring = 'A', dropout = 0.5, center_convs = 2,
            last_padding = 0, decoder_norm = False, rates = (1, 2, 4), aspp_width = 256, image_pooling = True.

    Returns:
        The model, in training mode: (N, in_channels, H, W) → {"out": (N, K, H, W)} for any H, W.

    Example:
        >>> model = torch.hub.load("OWNER/zoo", "unet_l4_aspp", num_classes=21)
        >>> model.eval().predict("photo.jpg").save("labels.png")
    """
    return _create("unet_l4_aspp", pretrained, num_classes, in_channels, options)


def unet_l5(pretrained=False, *, num_classes=None, in_channels=3, **options):
    """U-Net with five levels.

    Args:
        pretrained: False for random weights, True or a tag for published ones, or the path of a weight file.
            Published ones come from the hubs in ZOO_HUB.
        num_classes: Number of classes K; 10 by default.
        in_channels: Channels of the input.
        options: channels = [64, 128, 256, 512, 512], aspp = False, wiring = 'A', dropout = 0.5, center_convs = 2,
            last_padding = 0, decoder_norm = False, rates = (1, 2, 4), aspp_width = 256, image_pooling = True.

    Returns:
        The model, in training mode: (N, in_channels, H, W) → {"out": (N, K, H, W)} for any H, W.

    Example:
        >>> model = torch.hub.load("OWNER/zoo", "unet_l5", num_classes=21)
        >>> model.eval().predict("photo.jpg").save("labels.png")
    """
    return _create("unet_l5", pretrained, num_classes, in_channels, options)


def unet_l5_aspp(pretrained=False, *, num_classes=None, in_channels=3, **options):
    """U-Net with five levels, ASPP before the centre.

    Args:
        pretrained: False for random weights, True or a tag for published ones, or the path of a weight file.
            Published ones come from the hubs in ZOO_HUB.
        num_classes: Number of classes K; 10 by default.
        in_channels: Channels of the input.
        options: channels = [64, 128, 256, 512, 512], aspp = True, wiring = 'A', dropout = 0.5, center_convs = 2,
            last_padding = 0, decoder_norm = False, rates = [1, 2, 3], aspp_width = 256, image_pooling = True.

    Returns:
        The model, in training mode: (N, in_channels, H, W) → {"out": (N, K, H, W)} for any H, W.

    Example:
        >>> model = torch.hub.load("OWNER/zoo", "unet_l5_aspp", num_classes=21)
        >>> model.eval().predict("photo.jpg").save("labels.png")
    """
    return _create("unet_l5_aspp", pretrained, num_classes, in_channels, options)


def unet_resnet34(pretrained=False, *, num_classes=None, in_channels=3, **options):
    """U-Net decoder on ResNet-34.

    Args:
        pretrained: False for random weights, True or a tag for published ones, or the path of a weight file.
            Published ones come from the hubs in ZOO_HUB.
        num_classes: Number of classes K; 21 by default.
        in_channels: Channels of the input.
        options: widths = (64, 128, 256, 512, 1024), norm = None, upsampling = None, padding = None, dropout = None;
            of the encoder resnet34: output_stride, encoder_weights.

    Returns:
        The model, in training mode: (N, in_channels, H, W) → {"out": (N, K, H, W)} for any H, W.

    Example:
        >>> model = torch.hub.load("OWNER/zoo", "unet_resnet34", num_classes=21)
        >>> model.eval().predict("photo.jpg").save("labels.png")
    """
    return _create("unet_resnet34", pretrained, num_classes, in_channels, options)


def unet_vgg16(pretrained=False, *, num_classes=None, in_channels=3, **options):
    """U-Net decoder on VGG-16.

    Args:
        pretrained: False for random weights, True or a tag for published ones, or the path of a weight file.
            Published ones come from the hubs in ZOO_HUB.
        num_classes: Number of classes K; 21 by default.
        in_channels: Channels of the input.
        options: widths = (64, 128, 256, 512, 1024), norm = None, upsampling = None, padding = None, dropout = None;
            of the encoder vgg16: width, classifier, classifier_channels, classifier_kernel, fc6_padding,
            classifier_norm, norm_eps, norm_shift, first_padding, ceil_mode, encoder_weights.

    Returns:
        The model, in training mode: (N, in_channels, H, W) → {"out": (N, K, H, W)} for any H, W.

    Example:
        >>> model = torch.hub.load("OWNER/zoo", "unet_vgg16", num_classes=21)
        >>> model.eval().predict("photo.jpg").save("labels.png")
    """
    return _create("unet_vgg16", pretrained, num_classes, in_channels, options)
