"""The index page of a hub: a card for every record."""

from collections.abc import Iterable
from html import escape
from typing import TypeGuard
from urllib.parse import quote

from zoo.html.page import chip, command
from zoo.hub.fetching.file import DownloadError, check_name
from zoo.hub.publishing import facts
from zoo.hub.publishing.card import metadata_of
from zoo.hub.publishing.markup import GENERATOR, figures, page
from zoo.hub.record import Record

_CHIPS = 24


def overview(records: Iterable[Record], address: str | None = None) -> str:
    """The page.

    Args:
        records: Those of the hub; of other publishers too, so nothing in them is trusted.
        address: Where the hub is, for the command that chooses it; None where that is not known.
    """
    listed = _ordered(records)
    place = address or "ADDRESS_OF_THIS_FOLDER"
    count = f"{len(listed)} {'record' if len(listed) == 1 else 'records'}"
    body = (
        "<header><h1>Segmentation models</h1>\n"
        f'<p class="soft">{count}. Every file is checked against the sha256 in <a href="index.json">index.json</a>.'
        "</p>\n"
        f"{command(f'export ZOO_HUB={place}')}</header>\n"
        f'<main class="cards">\n{"".join(map(_card, listed))}</main>\n'
        "<footer>Written by <code>zoo hub publish</code>.</footer>"
    )
    return page("Segmentation models", body)


def readme(records: Iterable[Record], address: str) -> str:
    """The first page of a Hugging Face repository, in Markdown, with the metadata of all records."""
    listed = _ordered(records)
    rows = [
        f"| [{record.name}]({quote(record.name)}/README.md) | {_miou(record)} | {facts.size(record.bytes)} |"
        for record in listed
    ]
    example = listed[0].name if listed else "MODEL.TAG"
    return (
        f"{metadata_of(listed)}\n<!-- {GENERATOR} -->\n\n# Segmentation models\n\n"
        f"```bash\nexport ZOO_HUB={address}\nzoo hub list\nzoo predict {example} photo.jpg --out seen\n```\n\n"
        "| name | mean IoU | size |\n| --- | ---: | ---: |\n" + "\n".join(rows) + "\n"
    )


def _ordered(records: Iterable[Record]) -> list[Record]:
    """The default ones first, then by name."""
    return sorted(records, key=lambda record: (not record.default, record.name))


def _miou(record: Record) -> str:
    value = facts.table(record, "metrics").get("miou")
    return facts.percent(value)


def _card(record: Record) -> str:
    classes = facts.classes(record)
    name = escape(record.name)
    page_of = record.table.get("page")
    title = f'<a href="{quote(page_of)}">{name}</a>' if _is_name(page_of) else name
    badge = ' <span class="badge">default</span>' if record.default else ""
    chips = "".join(chip(*known) for known in classes[:_CHIPS])
    more = f'<span class="soft">and {len(classes) - _CHIPS} more</span>' if len(classes) > _CHIPS else ""
    measured, speed = facts.measured_on(record), facts.speed(record)
    licence = facts.words(record, "licence", "weights", "unknown")
    licence_data = facts.words(record, "licence", "data", "unknown")
    return (
        f'<article class="card">{_picture(record)}<div class="inside">\n<h2>{title}{badge}</h2>\n'
        f"<p>{escape(record.summary)}</p>\n"
        f"{figures(record, 2)}\n"
        + (f'<p class="small soft">Measured on {escape(measured)}, in per cent.</p>\n' if measured else "")
        + (f'<p class="small soft">{escape(speed)}</p>\n' if speed else "")
        + f'<div class="chips">{chips}{more}</div>\n'
        f'<p class="small soft">Weights: {escape(licence)}. Data: {escape(licence_data)}.</p>\n'
        f"{command(f'zoo predict {record.name} photo.jpg --out seen')}\n"
        f"{command(f'model = zoo.load({record.name!r})')}\n"
        "</div></article>\n"
    )


def _picture(record: Record) -> str:
    picture = record.table.get("picture")
    if _is_name(picture):
        return f'<img src="{quote(picture)}" alt="A prediction of {escape(record.name)}" loading="lazy">'
    stripes = "".join(f'<span style="background: rgb{color}"></span>' for _, color in facts.classes(record)[:_CHIPS])
    return f'<div class="stripes">{stripes}</div>'


def _is_name(given: object) -> TypeGuard[str]:
    """Whether a record names a file of this hub there, and not a place elsewhere."""
    try:
        check_name(given)  # type: ignore[arg-type]
    except DownloadError:
        return False
    return True
