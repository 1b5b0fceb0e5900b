"""SegmentationModel: encoder → decoder → head."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

from torch import Tensor, nn

from zoo.config import ModelConfig
from zoo.interfaces import Decoder, Encoder, Features, Head

if TYPE_CHECKING:
    from zoo.inference.picture import Picture
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
        self.taps = self._read_taps()
        self.with_pools = any(decoder.with_pools for decoder in self._decoders())

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

    def _decoders(self) -> list[Decoder]:
        return [self.decoder, *(branch.decoder for branch in self.further.values())]  # type: ignore[list-item]

    def _read_taps(self) -> tuple[str, ...]:
        taps = [tap for decoder in self._decoders() for tap in decoder.taps]
        return tuple(dict.fromkeys((*taps, *self.auxiliary_taps.values())))

    def drop_auxiliary(self) -> None:
        """Do without the auxiliary heads from now on, and without the features that only they read."""
        self.auxiliary.clear()
        self.auxiliary_taps = {}
        self.taps = self._read_taps()

    def coarse_scores(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to what `head.to_pixels` brings to the pixels, where the head is a `zoo.heads.PixelHead`."""
        features = self.encoder(x, self.taps, self.with_pools)
        scores: Tensor = self.head.scores(self.decoder(features))  # type: ignore[operator]
        return scores

    @overload
    def predict(self, image: "Picture", **options: Any) -> "Prediction": ...

    @overload
    def predict(self, image: "list[Picture] | tuple[Picture, ...]", **options: Any) -> "list[Prediction]": ...

    def predict(  # type: ignore[misc]  # what the short signatures above leave open
        self,
        image: "Picture | list[Picture] | tuple[Picture, ...]",
        *,
        device: str | None = None,
        amp: bool = False,
        scales: Sequence[float] | None = None,
        mirror: bool = False,
        window: tuple[int, int] | None = None,
        output_stride: int | None = None,
        tile: int | str | None = "auto",
        overlap: float | int | str = "auto",
        probabilities: bool = False,
    ) -> "Prediction | list[Prediction]":
        """Segment one picture, or several one by one: paths, PIL images, arrays or tensors.

        Args:
            image: See `zoo.inference.predictor.predict`; a list or tuple of them gives a list.
            device: Where to compute; None: where the model is.
            amp: Compute in bfloat16.
            scales: Average over these factors, see `zoo.inference.test_time.TestTime`.
            mirror: Average with what the mirror image gives.
            window: (H, W) of windows that slide over the picture.
            output_stride: Dilate the encoder to this stride.
            tile: Side of the tiles that a large picture is cut into; ``"auto"``, or None: never.
            overlap: Of windows or tiles: a share, pixels, or ``"auto"``.
            probabilities: Keep those of all classes as `Prediction.probabilities`.
        """
        from zoo.inference.predictor import predict_all
        from zoo.inference.test_time import TestTime

        asked = TestTime.asked(
            scales=scales, mirror=mirror, window=window, overlap=overlap, output_stride=output_stride
        )
        several = isinstance(image, list | tuple)
        found = predict_all(
            self,
            image if isinstance(image, list | tuple) else [image],
            device=device,
            amp=amp,
            test_time=asked,
            tile=tile,
            overlap=overlap,
            with_probabilities=probabilities,
        )
        return found if several else found[0]
