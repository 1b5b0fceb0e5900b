"""The page of the demonstration."""

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from zoo import __version__
from zoo.html.page import chip, command, page
from zoo.html.pictures import image, jpeg, label_png
from zoo.hub.publishing.facts import measured_on, percent, size, table

if TYPE_CHECKING:
    from zoo.demo.seeing import Seen

_LEAST = 0.005
"""Classes with a smaller share of a picture are not named."""


def demo_page(seen: Sequence["Seen"]) -> str:
    """Pictures and what was seen in them, model by model."""
    body = [
        "<h1>What Zoo sees</h1>",
        "<p>Pictures that come with Zoo, segmented on this machine with weights that come with Zoo.</p>",
    ]
    for name in dict.fromkeys(one.record.name for one in seen):
        body.append(_model([one for one in seen if one.record.name == name]))
    body += ["<h2>Next</h2>", *(command(line) for line in next_commands())]
    body.append(f"<footer>Zoo {escape(__version__)}</footer>")
    return page("What Zoo sees", "\n".join(body), generator="zoo demo")


def next_commands() -> list[str]:
    """What to type after the demonstration."""
    from zoo.demo.seeing import FIRST

    model = FIRST.partition(".")[0]
    return [
        f"zoo predict {FIRST} YOUR_PHOTO.jpg --out seen",
        f"zoo train {model} --data YOUR_FOLDER --out runs/first",
        f"python -c \"import torch; torch.hub.load('CHECKOUT', '{model}', source='local', pretrained=True)\"",
    ]


def _model(seen: Sequence["Seen"]) -> str:
    record = seen[0].record
    miou = table(record, "metrics").get("miou")
    facts = [f"{size(record.bytes)}"]
    if miou is not None:
        facts.insert(0, f"mean IoU {percent(miou)} % on {measured_on(record)}")
    cells = "".join(f'<div class="head">{what}</div>' for what in ("Picture", "Prediction", "Truth"))
    for one in seen:
        painted = np.asarray(one.prediction.overlay().convert("RGB"))
        for what, array in (("", one.prediction.photo), (", overlay", painted)):
            cells += image(jpeg(array), f"{one.name}{what}")
        cells += image(label_png(one.truth, one.prediction.palette), f"{one.name}, truth")
    shares = {name: max(one.prediction.area[name] for one in seen) for name in seen[0].prediction.classes}
    colors = dict(zip(seen[0].prediction.classes, seen[0].prediction.palette, strict=True))
    chips = "".join(chip(name, colors[name]) for name, share in shares.items() if share >= _LEAST)
    seconds = sum(one.seconds for one in seen) / len(seen)
    return (
        f"<h2>{escape(record.name)}</h2>\n<p>{escape(record.summary)}: {escape(', '.join(facts))}; "
        f'{seconds:.2f} s a picture here.</p>\n<div class="chips">{chips}</div>\n<div class="photos">{cells}</div>'
    )
