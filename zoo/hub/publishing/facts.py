"""What is said of a record, in the same words on its card, on its page and in the overview."""

import re
from collections.abc import Mapping
from typing import Any

from zoo import quantities
from zoo.config import Color, ModelConfig
from zoo.errors import CheckpointError
from zoo.hub.record import Record
from zoo.labels import class_colors, class_names
from zoo.quantities import percent as percent

METRICS = (
    ("miou", "mean_iou", "mean IoU"),
    ("pixel_acc", "accuracy", "pixel accuracy"),
    ("mean_acc", "mean_accuracy", "mean accuracy"),
    ("fw_iou", "frequency_weighted_iou", "frequency-weighted IoU"),
)
"""Our key, the key in a model-index, words."""

_WEAK = 0.3
_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]*")


def size(count: int | None) -> str:
    """Bytes for people: ``"42.9 MiB"``."""
    if count is None:
        return "unknown size"
    return (
        f"{count / 2**20:.1f} MiB" if count >= 1e6 else f"{count / 2**10:.0f} KiB" if count >= 1e3 else f"{count} bytes"
    )


def amount(count: Any) -> str:
    """A number of parameters for people; empty where it is not known."""
    return quantities.count(count) if isinstance(count, int) and not isinstance(count, bool) else ""


def table(record: Record, key: str) -> Mapping[str, Any]:
    """One of the tables of a record; empty where it has none."""
    given = record.table.get(key)
    return given if isinstance(given, Mapping) else {}


def words(record: Record, key: str, name: str, otherwise: str = "") -> str:
    """A text in one of the tables."""
    given = table(record, key).get(name)
    return str(given) if given else otherwise


def config(record: Record) -> ModelConfig | None:
    """The model's config; None where the record has none that can be read."""
    try:
        return ModelConfig.from_json(dict(record.config))
    except CheckpointError:
        return None


def classes(record: Record) -> list[tuple[str, Color]]:
    """Names and colours in label order."""
    found = config(record)
    if found is None:
        return []
    count = min(found.num_classes, 1000)
    names, colors = class_names(found.classes, count), class_colors(found.palette, count)
    return [(name, (r % 256, g % 256, b % 256)) for name, (r, g, b) in zip(names, colors, strict=True)]


def data(record: Record) -> str:
    """``"camvid (train)"``: what it was trained on."""
    split = words(record, "data", "split")
    return words(record, "data", "name", "unknown data") + (f" ({split})" if split else "")


def measured_on(record: Record) -> str:
    """``"camvid (val)"``: what its numbers are of; empty where nothing is known."""
    metrics = table(record, "metrics")
    name, split = metrics.get("data", metrics.get("name")), metrics.get("split")
    return f"{name} ({split})" if name and split else str(name or "")


def numbers(record: Record) -> list[tuple[str, str, float]]:
    """The metrics that there are: key in a model-index, words, share of 1."""
    metrics = table(record, "metrics")
    return [
        (key, text, float(metrics[own]))
        for own, key, text in METRICS
        if isinstance(metrics.get(own), int | float) and not isinstance(metrics.get(own), bool)
    ]


def per_class(record: Record) -> list[tuple[str, Color, float | None]]:
    """Name, colour and IoU of every class; empty where no IoU is known."""
    iou = table(record, "metrics").get("iou")
    if not isinstance(iou, Mapping) or not iou:
        return []
    known = {name: value for name, value in iou.items() if isinstance(value, int | float)}
    return [(name, color, known.get(name)) for name, color in classes(record)]


def input_words(record: Record) -> str:
    """The input convention in a sentence."""
    found = config(record)
    if found is None:
        return ""
    spec = found.input
    order = f"channels in the order {spec.order}" if spec.order != "ANY" else "channels as they come"
    top = f"{spec.scale:g}"
    mean, std = (", ".join(f"{value:g}" for value in values) for values in (spec.mean, spec.std))
    return (
        f"{found.in_channels} {'channel' if found.in_channels == 1 else 'channels'} in 0…{top}, {order}, minus "
        f"({mean}), divided by ({std}). `predict` does this by itself; `model(x)` expects it done, as by "
        "`zoo.ops.normalize`."
    )


def limits(record: Record) -> list[str]:
    """What the weights are not good for."""
    known = classes(record)
    found = [
        f"It knows these {len(known)} classes only, and gives each pixel one of them, whatever the picture shows.",
        f"It learned from {data(record)}; expect less on pictures that look different.",
    ]
    weak = [f"{name} ({percent(iou)})" for name, _, iou in per_class(record) if iou is not None and iou < _WEAK]
    if weak:
        found.append(f"Weak classes, with an IoU below {percent(_WEAK)} %: {', '.join(weak)}.")
    if is_noncommercial(record):
        found.append("The licences allow non-commercial use only; what is made with it may be bound by that too.")
    found.append("It is not made for decisions on which somebody's safety, health or rights depend.")
    return found


def is_noncommercial(record: Record) -> bool:
    """Whether a licence forbids commercial use."""
    said = " ".join(str(value) for value in table(record, "licence").values())
    return bool(re.search(r"\bNC\b|non-?commercial", said, re.IGNORECASE))


def commands(record: Record) -> list[tuple[str, str]]:
    """How to use it: what with, and what to type."""
    from zoo.registry import registry

    name = record.name
    shown = [
        ("Command line", f"zoo predict {name} photo.jpg --out seen"),
        ("Python", f'import zoo\nmodel = zoo.load("{name}")\nprint(model.predict("photo.jpg"))'),
    ]
    if record.model.isidentifier() and registry().lookup("model", record.model) is not None:
        call = f'torch.hub.load("OWNER/zoo", "{record.model}", pretrained="{record.tag}")'
        shown.append(("torch.hub", f"import torch\nmodel = {call}"))
    return shown


def storage(record: Record) -> str:
    """How the numbers are kept; empty where that is nothing special."""
    given = table(record, "storage")
    if given.get("dtype") != "float16":
        return ""
    off = given.get("deviation")
    tail = f"; the logits differ by at most {off:.1g} of the largest" if isinstance(off, float) else ""
    return f"Kept in float16 and computed in float32{tail}."


def speed(record: Record) -> str:
    """How long it takes for a picture, and on what; empty where nobody measured it."""
    given = table(record, "speed")
    milliseconds, threads = given.get("milliseconds"), given.get("threads")
    if not isinstance(milliseconds, int | float):
        return ""
    return (
        f"{milliseconds:.0f} ms for a picture of {given.get('width')} × {given.get('height')} pixels, as it is and in "
        f"float32, with {threads} {'thread' if threads == 1 else 'threads'} of {given.get('processor')}."
    )


def install(record: Record) -> str:
    """What to type to have the plugins that it needs; empty where it needs none."""
    names = record.table.get("needs")
    fit = isinstance(names, list) and all(isinstance(name, str) and _PACKAGE.fullmatch(name) for name in names)
    return f"pip install {' '.join(names)}" if fit and names else ""
