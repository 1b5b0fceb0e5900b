"""What may be done to a picture at test time: several scales, mirrored, in windows, at another output stride.

Nothing here imports torch.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from zoo.errors import OptionError, did_you_mean

_LARGEST_SCALE = 16.0


@dataclass(frozen=True)
class TestTime:
    """How a model is asked about a picture. ``TestTime()`` is the plain way: once, as the picture is.

    At every scale the picture is resized bilinearly (no smoothing, areas aligned), the model is asked about it and,
    with `mirror`, about its mirror image; the softmax probabilities of the two are averaged and resized bilinearly to
    the picture's size; those of all scales are averaged. That is PSPNet's way; DeepLab's resizes the logits and takes
    the softmax after. Both publish numbers for the scales 0.5, 0.75, 1, 1.25, 1.5, 1.75 with mirroring.

    Attributes:
        scales: Factors for both sides of the picture.
        mirror: Whether the mirror image (left and right exchanged) is asked about too.
        window: (H, W) of windows that slide over the scaled picture, or None. What is smaller than a window is
            framed by the model's mean colour; where windows overlap, their probabilities are averaged.
        overlap: By how much neighbouring windows overlap at least: a share of the window in 0…1 (a float), or
            pixels (an int). PSPNet moves its windows by two thirds of their side.
        output_stride: Ask the model with its encoder dilated to this stride; None: as it was built.

    Raises:
        OptionError: A value that makes no sense.
    """

    __test__: ClassVar[bool] = False  # the name is no test's

    scales: tuple[float, ...] = (1.0,)
    mirror: bool = False
    window: tuple[int, int] | None = None
    overlap: float | int = 1 / 3
    output_stride: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "scales", _scales(self.scales))
        if not isinstance(self.mirror, bool):
            raise OptionError(f"mirror={self.mirror!r}: expected true or false")
        if self.window is not None:
            object.__setattr__(self, "window", _window(self.window))
        _check_overlap(self.overlap, self.window)
        if self.output_stride is not None and (type(self.output_stride) is not int or self.output_stride < 1):
            raise OptionError(f"output_stride={self.output_stride!r}: expected a stride such as 8 or 16")

    @classmethod
    def asked(
        cls,
        *,
        scales: Sequence[float] | None = None,
        mirror: bool = False,
        window: tuple[int, int] | None = None,
        overlap: float | int | str = "auto",
        output_stride: int | None = None,
    ) -> "TestTime":
        """What a user's options say. Without windows the overlap is that of tiles, and none of these."""
        own = {} if overlap == "auto" or window is None else {"overlap": overlap}
        factors = (1.0,) if scales is None else scales
        return cls.from_json(
            {"scales": factors, "mirror": mirror, "window": window, "output_stride": output_stride, **own}
        )

    @property
    def plain(self) -> bool:
        """Whether the model is asked once, about the whole picture as it is; perhaps at another output stride."""
        return self.scales == (1.0,) and not self.mirror and self.window is None

    def steps(self, side: int) -> int:
        """By how many pixels windows of this side are moved at most: at least 1."""
        overlap = self.overlap if isinstance(self.overlap, int) else math.floor(self.overlap * side)
        return max(side - overlap, 1)

    def describe(self) -> str:
        """In words, for people and for the protocol of a measurement."""
        several = len(self.scales) > 1
        said = ["scales " + ", ".join(f"{scale:g}" for scale in self.scales)] if several else []
        if not several:
            said.append("one scale" if self.scales == (1.0,) else f"one scale, {self.scales[0]:g}")
        said.append("mirrored too" if self.mirror else "not mirrored")
        if self.window is not None:
            height, width = self.window
            shared = f"{self.overlap} pixels" if isinstance(self.overlap, int) else f"{self.overlap:.0%}"
            said.append(f"windows of {height}×{width} that overlap by {shared}")
        if self.output_stride is not None:
            said.append(f"output stride {self.output_stride}")
        if not self.plain:
            said.append("softmax probabilities averaged")
        return "; ".join(said)

    def to_json(self) -> dict[str, Any]:
        """All fields, as JSON-able data."""
        return {
            "scales": list(self.scales),
            "mirror": self.mirror,
            "window": None if self.window is None else list(self.window),
            "overlap": self.overlap,
            "output_stride": self.output_stride,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "TestTime":
        """Read what `to_json` wrote; fields may be left out.

        Raises:
            OptionError: An unknown field, or a value that makes no sense.
        """
        if not isinstance(record, Mapping):
            raise OptionError(f"test-time options are a table, not {record!r}")
        known = [field.name for field in fields(cls)]
        for key in record:
            if key not in known:
                near = did_you_mean(str(key), known)
                raise OptionError(f"there is no test-time option {key!r}.{near} There are: {', '.join(known)}")
        return cls(**record)


def _scales(given: Any) -> tuple[float, ...]:
    values = tuple(given) if isinstance(given, (list, tuple)) else None
    fine = values and all(
        isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= _LARGEST_SCALE
        for value in values
    )
    if not fine or values is None or len(set(values)) < len(values):
        raise OptionError(
            f"scales={given!r}: expected different factors above 0 and up to {_LARGEST_SCALE:g}, such as 0.5, 1, 1.5"
        )
    return tuple(float(value) for value in values)


def _window(given: Any) -> tuple[int, int]:
    values = tuple(given) if isinstance(given, (list, tuple)) else ()
    if len(values) != 2 or any(type(value) is not int or value < 1 for value in values):
        raise OptionError(f"window={given!r}: expected its height and width in pixels, such as 473, 473")
    return (values[0], values[1])


def _check_overlap(overlap: Any, window: tuple[int, int] | None) -> None:
    most = None if window is None else min(window)
    if type(overlap) is int and overlap >= 0 and (most is None or overlap < most):
        return
    if isinstance(overlap, float) and 0 <= overlap < 1:
        return
    within = "" if most is None else f" of less than the window's {most}"
    raise OptionError(f"overlap={overlap!r}: expected a share of the window in 0…1 such as 0.33, or pixels{within}")
