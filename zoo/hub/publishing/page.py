"""The page of a record: pictures, numbers, every class, recipe. All in one file."""

import json
from collections.abc import Sequence
from html import escape
from typing import Any

from zoo.html.page import bar, chip, command, pairs
from zoo.html.pictures import image, jpeg
from zoo.hub.publishing import facts
from zoo.hub.publishing.card import toml
from zoo.hub.publishing.markup import figures, page
from zoo.hub.publishing.plot import Point, plot
from zoo.hub.publishing.samples import Sample
from zoo.hub.record import Record


def record_page(record: Record, samples: Sequence[Sample] = (), history: Sequence[Point] = ()) -> str:
    """The page.

    Args:
        record: What it is about.
        samples: Pictures, embedded.
        history: The course of the training: (step, loss, mIoU), the latter two where they are known.
    """
    up = "../" * (record.name.count("/") + 1)
    parts = [
        f'<p class="small"><a href="{up}index.html">All models</a></p>',
        f"<h1>{escape(record.name)}</h1>\n<p>{escape(record.summary)}</p>\n{figures(record, 4)}",
        _protocol(record),
        _pictures(samples),
        _classes(record),
        "<h2>How to use it</h2>\n"
        + "\n".join(f'<p class="small soft">{title}</p>{command(text)}' for title, text in facts.commands(record)),
        f"<h2>Input</h2>\n<p>{_coded(facts.input_words(record))}</p>",
        _training(record, history),
        _licence(record),
        "<h2>Limits</h2>\n<ul>" + "".join(f"<li>{escape(line)}</li>" for line in facts.limits(record)) + "</ul>",
        _files(record),
        _environment(record),
    ]
    return page(record.name, "\n".join(part for part in parts if part))


def _protocol(record: Record) -> str:
    measured = facts.measured_on(record)
    if not measured:
        return '<p class="small soft">It was not measured.</p>'
    protocol = facts.words(record, "metrics", "protocol", "of an unknown protocol")
    return f'<p class="small soft">In per cent, on {escape(measured)}: {escape(protocol)}.</p>'


def _pictures(samples: Sequence[Sample]) -> str:
    if not samples:
        return ""
    cells = "".join(f'<div class="head">{what}</div>' for what in ("Picture", "Prediction", "Truth"))
    for sample in samples:
        for what, array in (("", sample.photo), (": prediction", sample.prediction), (": truth", sample.truth)):
            cells += image(jpeg(array), f"{sample.label}{what}")
    return f'<h2>Pictures</h2>\n<div class="photos">{cells}</div>'


def _classes(record: Record) -> str:
    known = facts.per_class(record)
    if not known:
        chips = "".join(chip(*entry) for entry in facts.classes(record))
        return f'<h2>Classes</h2>\n<div class="chips">{chips}</div>'
    rows = "".join(
        f'<tr><td>{chip(name, color)}</td><td class="number">{facts.percent(iou)}</td>{bar(iou)}</tr>\n'
        for name, color, iou in known
    )
    head = '<tr><th>class</th><th class="number">IoU, %</th><th></th></tr>'
    return f"<h2>Every class</h2>\n<table>\n{head}\n{rows}</table>"


def _training(record: Record, history: Sequence[Point]) -> str:
    recipe = facts.table(record, "recipe")
    run = facts.table(record, "training")
    said = [
        f"{run['steps']:,} steps" if isinstance(run.get("steps"), int) else "",
        f"{run['seconds'] / 60:,.0f} minutes" if isinstance(run.get("seconds"), int | float) else "",
        f"{run['images_per_second']:.1f} pictures per second"
        if isinstance(run.get("images_per_second"), int | float)
        else "",
    ]
    told = ", ".join(part for part in said if part)
    return (
        "<h2>Training</h2>\n"
        + (f"<p>{escape(told)}.</p>\n" if told else "")
        + plot(history)
        + (f'<pre class="recipe">{escape(toml(recipe))}</pre>' if recipe else "<p>The recipe is not known.</p>")
    )


def _licence(record: Record) -> str:
    kinds = (("weights", "Weights"), ("data", "Data they were trained on"))
    return f"<h2>Licences</h2>\n{pairs((what, facts.words(record, 'licence', key, 'unknown')) for key, what in kinds)}"


def _files(record: Record) -> str:
    golden = record.golden
    rows = "".join(
        f'<tr><td>{escape(file.name)}</td><td class="number">{file.bytes:,}</td>'
        f'<td class="small">{escape(str(file.sha256))}</td></tr>'
        for file in (*record.files, *([golden[0]] if golden else []))
    )
    head = '<tr><th>file</th><th class="number">bytes</th><th>sha256</th></tr>'
    storage = " ".join(line for line in (facts.storage(record), facts.speed(record)) if line)
    return (
        f'<h2>Files</h2>\n<div class="scroll"><table>{head}{rows}</table></div>'
        + (f"\n<p>{escape(storage)}</p>" if storage else "")
        + (f"\n<p>{escape(_proof(record, golden[1]))}</p>" if golden else "")
    )


def _proof(record: Record, tolerance: float) -> str:
    off = facts.table(record, "golden").get("deviation")
    measured = f" Rounding to float32 alone makes {off:.1g}." if isinstance(off, float) else ""
    return (
        "The golden pair is a picture and what the model answers to it; `zoo hub verify` asks again and allows "
        f"{tolerance:.1g} of the largest logit.{measured}"
    ).replace("`", "")


def _environment(record: Record) -> str:
    given = facts.table(record, "environment")
    rows = [(str(key), _plain(value)) for key, value in given.items()]
    if install := facts.install(record):
        rows.append(("plugin", install))
    return f"<h2>Published with</h2>\n{pairs(rows)}" if rows else ""


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _coded(text: str) -> str:
    """Text with `code` in backticks."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if number % 2 else part for number, part in enumerate(parts))
