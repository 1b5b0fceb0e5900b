"""Networks of other libraries, plain and as models that `zoo train` knows: torchvision's and SMP's."""

from collections.abc import Callable

from torch import Tensor, nn

from zoo.interfaces import Decoder, Encoder, Features, FeatureSpec, Head
from zoo.model import SegmentationModel
from zoo.registry import register

CLASSES = 10


def _deeplabv3() -> nn.Module:
    from torchvision.models.segmentation import deeplabv3_resnet50

    return deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=CLASSES, aux_loss=False)


def _unet() -> nn.Module:
    import segmentation_models_pytorch as smp

    return smp.Unet("resnet34", encoder_weights=None, classes=CLASSES)


NETWORKS: dict[str, Callable[[], nn.Module]] = {"tv_deeplabv3_resnet50": _deeplabv3, "smp_unet_resnet34": _unet}


class _Whole(Encoder):
    """A whole network as an encoder; its only tap are the logits."""

    def __init__(self, net: nn.Module, classes: int) -> None:
        super().__init__()
        self.net = net
        self.features = (FeatureSpec("logits", classes, 1, 0.0),)

    def forward(self, x: Tensor, taps: object, with_pools: bool = False) -> Features:
        answer = self.net(x)
        return Features({"logits": answer["out"] if isinstance(answer, dict) else answer}, {})


class _Through(Decoder):
    taps = ("logits",)

    def __init__(self, out: FeatureSpec) -> None:
        super().__init__()
        self.out = out

    def forward(self, features: Features) -> Tensor:
        return features.maps["logits"]


class _Given(Head):
    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        return x


def plain_network(name: str) -> nn.Module:
    """The network itself, in training mode."""
    return NETWORKS[name]().train()


def install() -> None:
    """Register each as a model of this process."""
    for name in NETWORKS:
        register("model", name)(_maker(name))


def _maker(name: str) -> Callable[..., SegmentationModel]:
    def build(num_classes: int = CLASSES, in_channels: int = 3) -> SegmentationModel:
        if (num_classes, in_channels) != (CLASSES, 3):
            raise ValueError(f"the benchmark's networks have {CLASSES} classes and 3 channels")
        encoder = _Whole(plain_network(name), num_classes)
        return SegmentationModel(encoder, _Through(encoder.features[0]), _Given())

    return build
