"""The look of our pages, and the few pieces that they share. No scripts: the pages work from a file, too."""

from collections.abc import Iterable
from html import escape

from zoo.config import Color

STYLE = """
:root { color-scheme: light dark; --text: #1b1f24; --soft: #5b6570; --back: #f6f7f9; --card: #fff; --line: #dfe3e8;
  --accent: #1f6feb; --code: #eef1f5; --s0: #1f6feb; --s1: #c2570c; --s2: #1a7f5a; --s3: #a23ab8; --s4: #b8302f;
  --s5: #7a6a00; --s6: #0b7d91; --s7: #6b7480; }
@media (prefers-color-scheme: dark) { :root { --text: #e6e9ed; --soft: #9aa4af; --back: #101418; --card: #181d23;
  --line: #2c343d; --accent: #6cb0ff; --code: #11161b; --s0: #6cb0ff; --s1: #ff9e5e; --s2: #5fd0a5; --s3: #dd92ee;
  --s4: #ff8a85; --s5: #d8c75a; --s6: #62d3e6; --s7: #a9b3bd; } }
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
pre.command { user-select: all; white-space: pre-wrap; overflow-wrap: anywhere; }
pre.recipe { columns: 17rem; white-space: pre-wrap; overflow-wrap: anywhere; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(330px, 1fr)); gap: 1.2rem; margin-top: 1.6rem; }
.card { display: flex; flex-direction: column; overflow: hidden; background: var(--card); border: 1px solid var(--line);
  border-radius: 12px; }
.card > img, .card > .stripes { width: 100%; aspect-ratio: 16 / 10; object-fit: cover; display: block; }
.card > .stripes { display: flex; aspect-ratio: 16 / 4; }
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
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 400px), 1fr)); gap: 1.2rem 2rem; }
.plots figure { margin: 0; min-width: 0; max-width: 720px; }
.plots figcaption { display: flex; flex-wrap: wrap; gap: .1rem 1rem; font-size: .86rem; }
.plots figcaption b { font-weight: 600; }
.plots figcaption span::before { content: ""; display: inline-block; width: 1.2em; margin-right: .35em;
  border-top: 3px var(--dash, solid) var(--c); vertical-align: .25em; }
.plot { width: 100%; height: auto; display: block; }
.scroll { overflow-x: auto; }
.scroll td:first-child { min-width: 8rem; }
footer { margin-top: 3rem; font-size: .82rem; color: var(--soft); }
"""


def page(title: str, body: str, *, generator: str, style: str = "") -> str:
    """A whole document.

    Args:
        title: Plain text.
        body: HTML already.
        generator: What wrote it, for who finds the file.
        style: More CSS.
    """
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="generator" content="{escape(generator)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}{style}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def command(text: str) -> str:
    """Something to type, which a click selects as a whole."""
    return f'<pre class="command">{escape(text)}</pre>'


def figure(value: str, what: str) -> str:
    """One of several big numbers."""
    return f"<div><b>{escape(value)}</b><span>{escape(what)}</span></div>"


def chip(name: str, color: Color) -> str:
    """A class with its colour."""
    return f'<span class="chip" style="--c: rgb{tuple(map(int, color))}">{escape(name)}</span>'


def pairs(rows: Iterable[tuple[str, str]]) -> str:
    """A table of two columns: what, and how much."""
    shown = "".join(f"<tr><td>{escape(what)}</td><td>{escape(value)}</td></tr>\n" for what, value in rows)
    return f"<table>\n{shown}</table>" if shown else ""


def bar(share: float | None) -> str:
    """The cell of a table with a bar of this length, in 0…1."""
    return f'<td class="bar"><div style="width: {min(max(share or 0.0, 0.0), 1.0):.1%}"></div></td>'
