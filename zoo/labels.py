"""What the labels 0 … K-1 of a model are called and painted with, also where nobody said."""

from collections.abc import Sequence

from zoo.config import Color


def class_names(given: Sequence[str], count: int) -> tuple[str, ...]:
    """Return `count` different names, fit to be keys.

    Args:
        given: The known names in label order; missing ones become ``"class 7"``. A name that was there before
            gets its label behind it (some published class tables have "screen" twice).
        count: K.
    """
    names: list[str] = []
    taken: set[str] = set()
    for label in range(count):
        name = given[label] if label < len(given) else f"class {label}"
        while name in taken:
            name = f"{name} ({label})"
        taken.add(name)
        names.append(name)
    return tuple(names)


def class_colors(given: Sequence[Color], count: int) -> tuple[Color, ...]:
    """Return `count` colours: the known ones in label order, then those of the VOC palette."""
    if len(given) >= count:
        return tuple(given[:count])
    from zoo.data.images import voc_palette

    return (*given, *voc_palette(count)[len(given) :])
