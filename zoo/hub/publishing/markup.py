"""The few pieces that the pages of a hub share."""

from zoo.html.page import figure
from zoo.html.page import page as html_page
from zoo.hub.publishing import facts
from zoo.hub.record import Record

GENERATOR = "zoo hub publish"
"""What our pages say wrote them; a page that does not is somebody's own and stays."""


def page(title: str, body: str) -> str:
    """A whole document around `body`, which is HTML already."""
    return html_page(title, body, generator=GENERATOR)


def figures(record: Record, numbers: int) -> str:
    """The first metrics of a record, its size and its parameters."""
    shown = [figure(facts.percent(value), text) for _, text, value in facts.numbers(record)[:numbers]]
    shown.append(figure(facts.size(record.bytes), "to fetch"))
    if parameters := facts.amount(record.table.get("parameters")):
        shown.append(figure(parameters, "parameters"))
    return f'<div class="facts">{"".join(shown)}</div>'
