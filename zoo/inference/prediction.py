"""What a model says about one picture."""

import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from zoo.config import Color, ModelConfig
from zoo.data.images import write_labels
from zoo.errors import OptionError, ZooError
from zoo.files import atomic_path
from zoo.inference.outputs import overlay_path
from zoo.inference.painting import paint, photograph
from zoo.labels import class_colors, class_names

Labels: TypeAlias = NDArray[np.uint8 | np.uint16]
"""A label map (H, W); uint16 for models of more than 256 classes."""


@dataclass(frozen=True, eq=False, repr=False)
class Prediction:
    """The label map of a picture, at the picture's own size.

    Attributes:
        labels: (H, W), the class of every pixel: uint8, or uint16 for models of more than 256 classes.
        classes: K names in label order, all different; ``"class 7"`` where none is known.
        palette: K colours; those of PASCAL VOC where none is known.
        photo: (H, W, 3) uint8, the picture as the model saw it.
        probabilities: (K, H, W) float32, where they were asked for.
    """

    labels: Labels
    classes: tuple[str, ...]
    palette: tuple[Color, ...]
    photo: NDArray[np.uint8] = field(repr=False)
    probabilities: NDArray[np.float32] | None = field(default=None, repr=False)

    @classmethod
    def of(
        cls, labels: Tensor | Labels, picture: Tensor, config: ModelConfig, probabilities: Tensor | None = None
    ) -> Self:
        """Wrap a label map (H, W) of a picture (C, H, W), naming and colouring it as `config` says."""
        count = config.num_classes
        array = labels.cpu().numpy() if isinstance(labels, Tensor) else labels
        return cls(
            labels=array.astype(np.uint8 if count <= 256 else np.uint16, copy=False),
            classes=class_names(config.classes, count),
            palette=class_colors(config.palette, count),
            photo=photograph(picture),
            probabilities=None if probabilities is None else probabilities.float().cpu().numpy(),
        )

    @cached_property
    def area(self) -> dict[str, float]:
        """Class name → its share of the picture, 0…1; classes that do not occur included. They sum to 1."""
        counts = np.bincount(self.labels.ravel(), minlength=len(self.classes))
        return {name: int(pixels) / self.labels.size for name, pixels in zip(self.classes, counts, strict=True)}

    def biggest(self, limit: int = 3) -> list[tuple[str, float]]:
        """The classes that cover most, biggest first: (name, share); only those that occur."""
        ranked = sorted(self.area.items(), key=lambda item: -item[1])
        return [(name, share) for name, share in ranked[:limit] if share > 0]

    def polygons(self) -> dict[str, Any]:
        """The regions as GeoJSON-like data, see `zoo.inference.polygons.feature_collection`."""
        from zoo.inference.polygons import feature_collection

        return feature_collection(self.labels, self.classes)

    def overlay(self, alpha: float = 0.5) -> Image.Image:
        """The photograph with the colours of the classes blended over it and its regions outlined, RGB.

        A class whose colour is black (the usual background) is not painted.

        Args:
            alpha: 0 shows the photograph alone, 1 the colours alone.
        """
        if not 0 <= alpha <= 1:
            raise OptionError(f"alpha is between 0 (the photograph) and 1 (the colours), got {alpha}")
        return Image.fromarray(paint(self.photo, self.labels, self.palette, alpha))

    def to_image(self) -> Image.Image:
        """The label map in the colours of the classes: a palette image of the labels, RGB beyond 256 classes."""
        if self.labels.dtype != np.uint8:
            return Image.fromarray(np.asarray(self.palette, dtype=np.uint8)[self.labels])
        picture = Image.fromarray(self.labels)
        picture.putpalette([value for color in self.palette for value in color])
        return picture

    def save(self, path: str | os.PathLike[str], overlay: bool = False, alpha: float = 0.5) -> tuple[Path, ...]:
        """Write the label map as a PNG whose values are the labels and whose palette shows the classes.

        Folders are made as needed, a file that was there is replaced, and no half-written file is ever seen.

        Args:
            path: Ends in ``.png``: other formats would change the labels.
            overlay: Also write ``<stem>_overlay.png`` beside it.
            alpha: See `overlay`.

        Returns:
            The files written.

        Raises:
            ZooError: Not a ``.png``, or the file cannot be written.
        """
        path = Path(path)
        if path.suffix.lower() != ".png":
            raise OptionError(
                f"label maps are saved as PNG, which keeps their values; {str(path)!r} does not end in .png"
            )
        picture = self.overlay(alpha) if overlay else None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_labels(path, self.labels, self.palette)
            if picture is None:
                return (path,)
            beside = overlay_path(path)
            with atomic_path(beside) as temporary:
                picture.save(temporary, format="PNG", compress_level=3)
        except OSError as error:
            raise ZooError(f"cannot write {error.filename or path}: {error.strerror or error}") from None
        return (path, beside)

    def __repr__(self) -> str:
        height, width = self.labels.shape
        shares = ", ".join(f"{name} {share:.1%}" for name, share in self.biggest())
        return f"Prediction({width}×{height}, {len(self.classes)} classes: {shares})"

    def _repr_png_(self) -> bytes:
        """Shown in notebooks as its overlay."""
        from io import BytesIO

        buffer = BytesIO()
        self.overlay().save(buffer, format="PNG")
        return buffer.getvalue()
