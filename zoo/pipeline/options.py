"""What can be set of proposals and of the CRF in a pipeline. Nothing here imports torch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.errors import OptionError, did_you_mean

SOURCES = ("windows", "selective_search", "file")
"""Where proposals may come from."""

AGGREGATES = ("max", "mean")
"""How the answers of boxes that overlap become one."""


@dataclass(frozen=True)
class Proposals:
    """Ask a model about boxes that may hold an object, and put its answers together (DeconvNet's way).

    Each box is enlarged, cut out (black beyond the picture), warped to a square and scored; the scores are resized to
    the box and aggregated over all boxes.

    Attributes:
        source: ``"windows"`` of several sizes and proportions all over the picture, ``"selective_search"`` (needs
            OpenCV's contributed modules), or ``"file"``.
        file: With ``"file"``: JSON or CSV, see `zoo.pipeline.boxes.read_boxes`.
        enlarge: Factor for both sides of a box; 1 for boxes that are enlarged already.
        most: At most so many boxes of a picture; None: all. Those of a file are taken from its beginning; of the other
            sources, which know no better from worse, the whole picture and an even choice over all sizes.
        least: Enlarged boxes whose shorter side is below so many pixels are left out.
        side: Side of the square, in pixels.
        aggregate: ``"max"`` or ``"mean"`` of the scores at a pixel.
        clipped: Scores below 0 count as 0, as in the released program, which starts from a canvas of zeros.
        shifted: Move the result one pixel down and to the right, as an error of the released program does.

    Raises:
        OptionError: A value that makes no sense.
    """

    source: str = "windows"
    file: str | None = None
    enlarge: float = 1.2
    most: int | None = 50
    least: int = 112
    side: int = 224
    aggregate: str = "max"
    clipped: bool = False
    shifted: bool = False

    def __post_init__(self) -> None:
        one_of("proposals.source", self.source, SOURCES)
        one_of("proposals.aggregate", self.aggregate, AGGREGATES)
        if (self.file is not None) != (self.source == "file"):
            raise OptionError('proposals: source = "file" and file = "boxes.json" (or .csv) go together')
        if not is_number(self.enlarge) or not 1 <= self.enlarge <= 4:
            raise OptionError(f"proposals.enlarge = {self.enlarge!r}: expected a factor in 1…4, such as 1.2")
        for name, value in (("most", self.most), ("least", self.least), ("side", self.side)):
            if (type(value) is not int or value < 1) and (name != "most" or value is not None):
                raise OptionError(f"proposals.{name} = {value!r}: expected a whole number of at least 1")
        flag("proposals.clipped", self.clipped)
        flag("proposals.shifted", self.shifted)

    def describe(self) -> str:
        """In words, for the protocol of a measurement."""
        source = {
            "windows": "windows",
            "selective_search": "boxes of selective search",
            "file": f"boxes of {Path(self.file or '').name}",
        }
        count = "all" if self.most is None else f"at most {self.most}"
        said = [
            f"{count} {source[self.source]}, enlarged by {self.enlarge:g}, of at least {self.least} pixels, "
            f"warped to {self.side}×{self.side}",
            "maximum of the scores" if self.aggregate == "max" else "mean of the scores",
        ]
        said += ["scores below 0 taken for 0"] if self.clipped else []
        said += ["moved by a pixel as in the released program"] if self.shifted else []
        return "; ".join(said)


@dataclass(frozen=True)
class Crf:
    """A dense CRF over the answer.

    Attributes:
        preset: Whose parameters, see `zoo.inference.dense_crf`.
        iterations: Mean-field updates; None: as many as the preset's.
        clip: The least probability taken at its word.
    """

    preset: str = "deeplab"
    iterations: int | None = None
    clip: float = 1e-5

    def __post_init__(self) -> None:
        if not isinstance(self.preset, str):
            raise OptionError(f"crf.preset = {self.preset!r}: expected a name, such as 'deeplab'")
        if self.iterations is not None and (type(self.iterations) is not int or self.iterations < 0):
            raise OptionError(f"crf.iterations = {self.iterations!r}: expected a whole number of at least 0")
        if not is_number(self.clip) or not 0 < self.clip < 1:
            raise OptionError(f"crf.clip = {self.clip!r}: expected a probability in 0…1, such as 1e-5")

    def describe(self) -> str:
        """In words."""
        rounds = "" if self.iterations is None else f", {self.iterations} iterations"
        return f"dense CRF (parameters: {self.preset}{rounds})"


def one_of(key: str, value: Any, known: tuple[str, ...]) -> None:
    """Refuse a value that is none of those known."""
    if value not in known:
        raise OptionError(f"{key} = {value!r}: expected one of {', '.join(known)}.{did_you_mean(str(value), known)}")


def flag(key: str, value: Any) -> None:
    """Refuse what is neither true nor false."""
    if not isinstance(value, bool):
        raise OptionError(f"{key} = {value!r}: expected true or false")


def is_number(value: Any) -> bool:
    """Whether it is a number, and not true or false."""
    return isinstance(value, int | float) and not isinstance(value, bool)
