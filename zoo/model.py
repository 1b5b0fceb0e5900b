"""SegmentationModel: encoder → decoder → head."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from zoo.config import ModelConfig
from zoo.interfaces import Decoder, Encoder, Features, Head

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from zoo.inference.prediction import Prediction


class Branch(nn.Module):
    """A decoder and its head: one further answer of a model."""

    def __init__(self, decoder: Decoder, head: Head) -> None:
        super().__init__()
        self.decoder = decoder
        self.head = head

    def forward(self, features: Features, size: tuple[int, int]) -> Tensor:
        """Map features to logits (N, K, H, W) at `size` = (H, W)."""
        logits: Tensor = self.head(self.decoder(features), size)
        return logits


class SegmentationModel(nn.Module):
    """A network that gives every pixel a class.

    ``model(x)`` maps (N, C, H, W), any H, W ≥ 1, to ``{"out": (N, K, H, W)}``. Further answers (another labelling
    of the same picture) add their own keys, always; auxiliary heads add theirs, while training only.

    Attributes:
        config: What the model is and how to read its answers; `zoo.save` stores it.

    Args:
        encoder: Gives the features.
        decoder: Merges them into one map.
        head: Turns that map into logits.
        auxiliary: Heads that help in training: key in the result → (tap it reads, head).
        further: Further answers: key in the result → (decoder, head) on the same encoder. `config` describes
            ``"out"`` only.
    """

    config: ModelConfig

    def __init__(
        self,
        encoder: Encoder,
        decoder: Decoder,
        head: Head,
        auxiliary: Mapping[str, tuple[str, Head]] | None = None,
        further: Mapping[str, tuple[Decoder, Head]] | None = None,
    ) -> None:
        super().__init__()
        auxiliary = auxiliary or {}
        further = further or {}
        self.encoder = encoder
        self.decoder = decoder
        self.head = head
        self.auxiliary = nn.ModuleDict({key: head for key, (_, head) in auxiliary.items()})
        self.auxiliary_taps = {key: tap for key, (tap, _) in auxiliary.items()}
        self.further = nn.ModuleDict({key: Branch(*parts) for key, parts in further.items()})
        decoders = [decoder, *(decoder for decoder, _ in further.values())]
        taps = [tap for decoder in decoders for tap in decoder.taps]
        self.taps = tuple(dict.fromkeys((*taps, *self.auxiliary_taps.values())))
        self.with_pools = any(decoder.with_pools for decoder in decoders)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Map (N, C, H, W) to ``{"out": logits (N, K, H, W)}``."""
        size = (x.shape[-2], x.shape[-1])
        features = self.encoder(x, self.taps, self.with_pools)
        result = {"out": self.head(self.decoder(features), size)}
        for key, branch in self.further.items():
            result[key] = branch(features, size)
        if self.training:
            for key, head in self.auxiliary.items():
                result[key] = head(features.maps[self.auxiliary_taps[key]], size)
        return result

    def predict(
        self,
        image: "str | os.PathLike[str] | Image.Image | np.ndarray[Any, Any] | Tensor",
        *,
        device: str | None = None,
    ) -> "Prediction":
        """Segment one picture: a path, PIL image, array or tensor; see `zoo.inference.predictor.predict`."""
        from zoo.inference.predictor import predict

        return predict(self, image, device=device)
