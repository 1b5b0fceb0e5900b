"""SegmentationModel: encoder → decoder → head."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from zoo.config import ModelConfig
from zoo.interfaces import Decoder, Encoder, Head

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from zoo.inference.prediction import Prediction


class SegmentationModel(nn.Module):
    """A network that gives every pixel a class.

    ``model(x)`` maps (N, C, H, W), any H, W ≥ 1, to ``{"out": (N, K, H, W)}``; auxiliary heads add their own
    keys, while training only.

    Attributes:
        config: What the model is and how to read its answers; `zoo.save` stores it.

    Args:
        encoder: Gives the features.
        decoder: Merges them into one map.
        head: Turns that map into logits.
        auxiliary: Further heads: key in the result → (tap it reads, head).
    """

    config: ModelConfig

    def __init__(
        self,
        encoder: Encoder,
        decoder: Decoder,
        head: Head,
        auxiliary: Mapping[str, tuple[str, Head]] | None = None,
    ) -> None:
        super().__init__()
        auxiliary = auxiliary or {}
        self.encoder = encoder
        self.decoder = decoder
        self.head = head
        self.auxiliary = nn.ModuleDict({key: head for key, (_, head) in auxiliary.items()})
        self.auxiliary_taps = {key: tap for key, (tap, _) in auxiliary.items()}
        self.taps = tuple(dict.fromkeys((*decoder.taps, *self.auxiliary_taps.values())))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Map (N, C, H, W) to ``{"out": logits (N, K, H, W)}``."""
        size = (x.shape[-2], x.shape[-1])
        features = self.encoder(x, self.taps, self.decoder.with_pools)
        result = {"out": self.head(self.decoder(features), size)}
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
