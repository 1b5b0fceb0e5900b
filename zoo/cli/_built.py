"""How `zoo info --build` shows what it found. Nothing here imports torch."""

from typing import Any

from zoo.cli._text import printable, table
from zoo.quantities import count


def lines(built: dict[str, Any]) -> list[str]:
    """Lines for people of `zoo.summary.Summary.to_json`."""
    height, width = built["size"]
    channels, classes = built["in_channels"], built["num_classes"]
    rows = [
        ("  parameters", f"{_parts(built['parameters'], ('total', 'trainable'))}; {_learning(built['parameters'])}"),
        ("  operations", f"{_giga(built['flops']['total'])} GFLOPs = 2 × {_giga(built['macs']['total'])} GMACs"),
        ("", _shares(built["macs"])),
        ("", f"not counted: {built['not_counted']}"),
        ("  stride", f"encoder {built['encoder_stride']}, decoder {_or(built['decoder_stride'], 'not said')}"),
        ("  receptive field", _sight(built["receptive_field"])),
        *(("  answer", f"{key} {_shape(shape)}") for key, shape in built["outputs"].items()),
        *(("  in training", f"{key} {_shape(shape)}") for key, shape in built["auxiliary_outputs"].items()),
    ]
    head = ("  tap", "channels", "stride", "offset", "size", "receptive field", "read by")
    taps = [
        (
            f"  {printable(tap['name'])}",
            str(tap["channels"]),
            str(tap["stride"]),
            f"{tap['offset']:g}",
            _shape(tap["shape"][2:]),
            _sight(tap["receptive_field"]),
            ", ".join(map(printable, tap["read_by"])),
        )
        for tap in built["taps"]
    ]
    title = f"built for {channels} channels, {classes} classes; a picture of {height}×{width}"
    return [title, *table(rows).splitlines(), "", *table([head, *taps]).splitlines()]


def _parts(counts: dict[str, int], but: tuple[str, ...]) -> str:
    inner = ", ".join(f"{name} {count(number)}" for name, number in counts.items() if name not in but)
    return f"{counts['total']:,} ({inner})"


def _learning(counts: dict[str, int]) -> str:
    return "all learn" if counts["trainable"] == counts["total"] else f"{counts['trainable']:,} learn"


def _shares(macs: dict[str, int]) -> str:
    return ", ".join(
        f"{name} {_giga(number)} GMACs{' in training only' if name == 'auxiliary' else ''}"
        for name, number in macs.items()
        if name != "total"
    )


def _giga(number: int) -> str:
    return f"{number / 1e9:,.3f}" if number < 10**11 else f"{number / 1e9:,.1f}"


def _shape(shape: Any) -> str:
    return "×".join(map(str, shape))


def _sight(sight: Any) -> str:
    if isinstance(sight, int):
        return f"{sight}×{sight}"
    return printable(sight) if isinstance(sight, str) else _shape(sight)


def _or(value: Any, otherwise: str) -> str:
    return otherwise if value is None else str(value)
