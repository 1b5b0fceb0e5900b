"""Numbers for people, in the same form wherever they stand. Nothing here imports a library."""


def count(number: int | None) -> str:
    """A number of parameters: ``"134.5 M"``; empty where it is not known."""
    if number is None:
        return ""
    return f"{number / 1e6:.1f} M" if number >= 1e6 else f"{number / 1e3:.0f} k" if number >= 1e3 else str(number)


def percent(value: object) -> str:
    """A share of 1 as ``"49.2"``; a dash where there is no number."""
    if not isinstance(value, int | float) or isinstance(value, bool) or value != value:
        return "–"
    return f"{value * 100:.1f}"
