"""Write what README.md and hub/README.md say of the weights that come with Zoo, from hub/index.json.

python tools/make_gallery.py
"""

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "hub/README.md")
BEGIN, END = "<!-- gallery: written by tools/make_gallery.py -->", "<!-- /gallery -->"


def gallery(folder: str) -> str:
    """A table of all records, and the pictures of each; `folder` is where the hub lies, seen from the page."""
    records = json.loads((ROOT / "hub" / "index.json").read_text(encoding="utf-8"))["records"]
    records.sort(key=lambda record: (record["data"]["name"], -record["metrics"]["miou"]))
    rows = "\n".join(_row(record) for record in records)
    shown = "\n\n".join(
        f"`{record['name']}`: picture, prediction, truth\n\n"
        f"![{record['name']}: picture, prediction, truth]({folder}{record['samples']})"
        for record in records
        if "samples" in record
    )
    head = ("weights", "model", "mean IoU on val", "pixel accuracy", "parameters", "file", "one picture", "licence")
    line = "| --- | --- | --: | --: | --: | --: | --: | --- |"
    return f"| {' | '.join(head)} |\n{line}\n{rows}\n\n{shown}"


def _row(record: dict[str, Any]) -> str:
    metrics, model, speed = record["metrics"], record["model"], record["speed"]
    size = sum(file["bytes"] for file in record["files"]) / 2**20
    cells = [
        f"`{record['name']}`",
        f"{model['architecture']} on {model['encoder'] or 'its own encoder'}",
        f"{metrics['miou']:.1%}",
        f"{metrics['pixel_acc']:.1%}",
        f"{record['parameters'] / 1e6:.1f} M",
        f"{size:.1f} MiB",
        f"{speed['milliseconds']:.0f} ms at {speed['width']} × {speed['height']}",
        record["licence"]["weights"],
    ]
    return f"| {' | '.join(cells)} |"


def written(page: str) -> str:
    """The page with the gallery of today."""
    text = (ROOT / page).read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n\n{gallery('' if page.startswith('hub/') else 'hub/')}\n\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    for page in PAGES:
        (ROOT / page).write_text(written(page), encoding="utf-8")
