"""Write the table of recipe keys into docs/training.md, from the tables' own documentation.

python tools/make_recipe_keys.py
"""

import re
from pathlib import Path

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from zoo.training import toml
from zoo.training.recipe import Recipe

BEGIN, END = "<!-- keys: written by tools/make_recipe_keys.py -->", "<!-- end of keys -->"
DOCUMENT = Path(__file__).parents[1] / "docs" / "training.md"


def keys() -> str:
    """The keys of every table as Markdown."""
    blocks = []
    for name, field in Recipe.model_fields.items():
        table = field.annotation
        assert isinstance(table, type)
        assert issubclass(table, BaseModel)
        meanings = _meanings(table.__doc__ or "")
        lines = [
            f"### {name}",
            "",
            (table.__doc__ or "").partition("\n")[0],
            "",
            "| key | default | |",
            "|---|---|---|",
        ]
        for key, inner in table.model_fields.items():
            lines.append(f"| `{key}` | {_default(inner.default)} | {meanings.get(key, '')} |")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def document(text: str) -> str:
    """`text` with the table in its place."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{keys()}\n\n{END}{rest.partition(END)[2]}"


def _default(value: object) -> str:
    if value is PydanticUndefined:
        return "needed"
    return "" if value is None or value in ((), {}) else f"`{toml.value(value)}`"


def _meanings(doc: str) -> dict[str, str]:
    """Key → its text in the ``Attributes`` section."""
    attributes = doc.partition("Attributes:\n")[2]
    found = re.findall(r"^ {8}(\w+): (.*(?:\n {12}.*)*)", attributes, flags=re.MULTILINE)
    return {key: " ".join(text.split()).replace("``", "`").replace("|", r"\|") for key, text in found}


if __name__ == "__main__":
    DOCUMENT.write_text(document(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
