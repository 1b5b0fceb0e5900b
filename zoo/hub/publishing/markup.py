"""The look of a hub's pages, and the few pieces that they share. No scripts: the pages work from a file, too."""

from html import escape

from zoo.config import Color
from zoo.hub.publishing import facts
from zoo.hub.record import Record

GENERATOR = "zoo hub publish"
"""What our pages say wrote them; a page that does not is somebody's own and stays."""

STYLE = """
:root { color-scheme: light dark; --text: #1b1f24; --soft: #5b6570; --back: #f6f7f9; --card: #fff; --line: #dfe3e8;
  --accent: #1f6feb; --code: #eef1f5; }
@media (prefers-color-scheme: dark) { :root { --text: #e6e9ed; --soft: #9aa4af; --back: #101418; --card: #181d23;
  --line: #2c343d; --accent: #6cb0ff; --code: #11161b; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1180px; padding: 2rem 1.2rem 4rem; background: var(--back); color: var(--text);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
a { color: var(--accent); }
h1 { margin: 0 0 .2rem; font-size: 1.9rem; line-height: 1.2; overflow-wrap: anywhere; }
h2 { margin: 2.4rem 0 .7rem; font-size: 1.2rem; }
p { margin: .4rem 0; }
.soft { color: var(--soft); }
.small { font-size: .86rem; }
pre { margin: .3rem 0; padding: .55rem .75rem; overflow-x: auto; background: var(--code); border: 1px solid var(--line);
  border-radius: 6px; font: .82rem/1.45 ui-monospace, SFMono-Regular, Menlo, "DejaVu Sans Mono", monospace; }
pre.command { user-select: all; }
pre.recipe { columns: 17rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(330px, 1fr)); gap: 1.2rem; margin-top: 1.6rem; }
.card { display: flex; flex-direction: column; overflow: hidden; background: var(--card); border: 1px solid var(--line);
  border-radius: 12px; }
.card > img, .card > .stripes { width: 100%; aspect-ratio: 16 / 10; object-fit: cover; display: block; }
.stripes { display: flex; }
.stripes > span { flex: 1; }
.card .inside { display: flex; flex-direction: column; gap: .35rem; padding: .9rem 1rem 1rem; flex: 1; min-width: 0; }
.card h2 { margin: 0; font-size: 1.05rem; overflow-wrap: anywhere; }
.card h2 a { text-decoration: none; }
.badge { display: inline-block; padding: 0 .5em; border: 1px solid var(--line); border-radius: 1em; font-size: .75rem;
  font-weight: 400; color: var(--soft); vertical-align: middle; }
.facts { display: flex; flex-wrap: wrap; align-items: flex-start; gap: .3rem 1.4rem; margin: .3rem 0; }
.facts div { min-width: 4.5rem; }
.facts b { display: block; font-size: 1.3rem; font-weight: 600; line-height: 1.2; font-variant-numeric: tabular-nums; }
.facts span { font-size: .78rem; color: var(--soft); }
.chips { display: flex; flex-wrap: wrap; gap: .25rem .8rem; font-size: .86rem; }
.chip::before, .swatch { content: ""; display: inline-block; width: .85em; height: .85em; margin-right: .4em;
  border: 1px solid var(--line); border-radius: 3px; background: var(--c); vertical-align: -.08em; }
.photos { display: grid; grid-template-columns: repeat(3, 1fr); gap: .5rem; }
.photos img { width: 100%; display: block; border-radius: 6px; }
.photos .head { font-size: .8rem; color: var(--soft); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { font-weight: 600; text-align: left; font-size: .8rem; color: var(--soft); }
td, th { padding: .28rem .6rem .28rem 0; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
td.number, th.number { text-align: right; white-space: nowrap; }
.bar { width: 55%; }
.bar div { height: .75rem; min-width: 1px; border-radius: 3px; background: var(--accent); }
.plot { width: 100%; max-width: 640px; height: auto; }
.scroll { overflow-x: auto; }
footer { margin-top: 3rem; font-size: .82rem; color: var(--soft); }
"""


def page(title: str, body: str) -> str:
    """A whole document around `body`, which is HTML already."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="generator" content="{GENERATOR}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def command(text: str) -> str:
    """Something to type, which a click selects as a whole."""
    return f'<pre class="command">{escape(text)}</pre>'


def figure(value: str, what: str) -> str:
    """One of several big numbers."""
    return f"<div><b>{escape(value)}</b><span>{escape(what)}</span></div>"


def figures(record: Record, numbers: int) -> str:
    """The first metrics of a record, its size and its parameters."""
    shown = [figure(facts.percent(value), text) for _, text, value in facts.numbers(record)[:numbers]]
    shown.append(figure(facts.size(record.bytes), "to fetch"))
    if parameters := facts.amount(record.table.get("parameters")):
        shown.append(figure(parameters, "parameters"))
    return f'<div class="facts">{"".join(shown)}</div>'


def chip(name: str, color: Color) -> str:
    """A class with its colour."""
    return f'<span class="chip" style="--c: rgb{color}">{escape(name)}</span>'
