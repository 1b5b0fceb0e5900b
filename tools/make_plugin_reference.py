"""Write docs/plugins-reference.md: what a manifest may hold, what a component implements, what the kit checks.

Everything in it is read from the code. Run it after a change of `zoo.fields`, `zoo.interfaces` or `zoo.testing`::

    python tools/make_plugin_reference.py
"""

import inspect
import re
from pathlib import Path

from zoo import fields, interfaces
from zoo.data.dataset import SegmentationDataset
from zoo.discovery import MANIFEST
from zoo.distributions import GROUP
from zoo.manifest import API, KINDS, LIMITS, OLDEST_API
from zoo.testing import CHECKS, cases
from zoo.testing.kinds import demand

DOCUMENT = Path(__file__).parents[1] / "docs" / "plugins-reference.md"

MEANINGS = {
    "architecture": "the architecture that a preset is of",
    "cannot": f"what it truly cannot do, some of {', '.join(f'`{limit}`' for limit in LIMITS)}",
    "classes": "of a data set: how many, or their names; of weights: their names, or a table of `zoo.classes`",
    "data": "what the weights were trained on: a table with `name`, `split`",
    "default": "`true` where these weights are what `pretrained=True` means",
    "encoder": "the encoder: an architecture's default, a preset's, the one that weights are for",
    "file": "a recipe's file, beside the manifest",
    "files": "safetensors files of ours: tables with `name`, `urls`, `bytes`, `sha256`",
    "from": "format of foreign weights → what converts them, `package.module:name`",
    "in_channels": "channels of the input that it is published with; 3 otherwise",
    "input": "how pictures are prepared: a table with `order`, `scale`, `mean`, `std`",
    "licence": "of the data, or a table with that of `weights` and of `data`",
    "metrics": "what the weights reach: a table with `miou`, `data`, `split`, `protocol`",
    "min_in_channels": "fewer input channels are refused",
    "model": "the model that weights, a recipe or a pipeline are for",
    "name": "letters, digits, `_`, `-`, `.`; users write `namespace/name`",
    "needs": "what it needs of an encoder",
    "num_classes": "classes that it is published with; 21 otherwise",
    "offers": "what an encoder offers",
    "options": "options of a preset",
    "papers": "where it is from",
    "parameters": "how many it has, with the classes and channels given",
    "published": "results that others report: tables with `metric`, `value`, `data`, `source`",
    "recipe": "what the weights were trained with",
    "sources": "files of others, converted on arrival: tables with `from`, `name`, `urls`, `sha256`",
    "summary": "one line for listings",
    "target": "what it is: `package.module:name`",
    "url": "the data set's page",
}
"""Field of a manifest → what it says."""

INTERFACES = [
    interfaces.FeatureSpec,
    interfaces.Features,
    interfaces.Pool,
    interfaces.Encoder,
    interfaces.Decoder,
    interfaces.Head,
    interfaces.EncoderPlan,
    SegmentationDataset,
]
CLASSES = [cases.ArchitectureTests, cases.EncoderTests, cases.DecoderTests, cases.DatasetTests]


def document() -> str:
    """The whole page."""
    accepted = f"`api = {API}`" if OLDEST_API == API else f"`api` from {OLDEST_API} to {API}"
    head = f"""# Reference for plugin authors

Written by `tools/make_plugin_reference.py` from the code; the tutorial is [plugins.md](plugins.md).

## The manifest

`{MANIFEST}` lies beside the `__init__.py` of the package that an entry point of the group `{GROUP}` names. It begins
with `api` (this Zoo accepts {accepted}), `namespace` and `summary`, and `hub`, the address of the folder with the
`files` of its weights, where they lie in one; then come the components, one table each."""
    parts = [head, _tables(), _families(), "## The interfaces"]
    parts += [_interface(item) for item in INTERFACES]
    parts += ["## The checks", _CHECKS_WORDS]
    parts += [_checks(kind) for kind in ("plugin", "architecture", "encoder", "decoder", "dataset")]
    parts += ["## The classes for pytest", *(_class(item) for item in CLASSES)]
    return "\n\n".join(parts) + "\n"


_CHECKS_WORDS = """What `zoo plugin check` and `zoo.testing` hold a component to. `--only NAME` runs one of them. The
checks of an architecture are those of a model as well."""


def _tables() -> str:
    lines = ["| table | needed | also |", "|---|---|---|"]
    for kind in KINDS:
        needed = {"name", "summary"} | fields.REQUIRED[kind]
        lines.append(f"| `[[{kind}]]` | {_code(needed)} | {_code(fields.FIELDS[kind] - needed)} |")
    lines += ["", "| field | what it says |", "|---|---|"]
    known = sorted({field for kind in KINDS for field in fields.FIELDS[kind]})
    lines += [f"| `{field}` | {MEANINGS[field]} |" for field in known]
    return "\n".join(lines)


def _families() -> str:
    needs = ", ".join(f"`{key}` ({kind.__name__})" for key, kind in fields.NEEDS.items())
    offers = ", ".join(f"`{key}` ({kind.__name__})" for key, kind in fields.OFFERS.items())
    return (
        f"`needs` is a table of lists: {needs}; of `output_stride` any one will do, of the others all are needed, and\n"
        f"`unlike` names encoders that do not fit all the same. `offers`: {offers}.\n\n"
        f"A `[[family]]` ({_code(fields.FAMILY)}, and `from`) is many components behind one target, listed in a JSON\n"
        "file."
    )


def _interface(item: type) -> str:
    lines, methods = [f"### `{item.__module__}.{item.__qualname__}`", "", _text(item)], []
    for name, member in vars(item).items():
        function = member.__func__ if isinstance(member, classmethod) else member
        if inspect.isfunction(function) and not name.startswith("_") and function.__module__ == item.__module__:
            doc = _first(function.__doc__)
            methods.append(f"* `{name}{_signature(function)}`{': ' + doc if doc else ''}")
    return "\n".join([*lines, "", *methods] if methods else lines)


def _signature(function: object) -> str:
    parameters = inspect.signature(function).parameters  # type: ignore[arg-type]
    shown = [
        ("**" if item.kind is item.VAR_KEYWORD else "")
        + name
        + ("" if item.default is item.empty else f"={item.default!r}")
        for name, item in parameters.items()
        if name not in ("self", "cls")
    ]
    return f"({', '.join(shown)})"


def _checks(kind: str) -> str:
    lines = [
        f"### Of {'the plugin as a whole' if kind == 'plugin' else f'each {kind}'}",
        "",
        "| check | what it demands |",
    ]
    lines += ["|---|---|", *(f"| `{name}` | {_markdown(demand(kind, name))} |" for name in CHECKS[kind])]
    return "\n".join(lines)


def _class(item: type) -> str:
    return f"### `zoo.testing.{item.__name__}`\n\n{_text(item)}\n* `leave_out`: Names of checks not to run."


def _text(item: type) -> str:
    """A docstring as Markdown: its words, and its attributes as a list."""
    doc = inspect.cleandoc(item.__doc__ or "")
    words, _, rest = doc.partition("Attributes:\n")
    attributes, _, after = rest.partition("\n\n")
    found = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", attributes, flags=re.MULTILINE)
    listed = "\n".join(f"* `{name}`: {_markdown(' '.join(text.split()))}" for name, text in found)
    parts = [_markdown(words.strip()), listed, _markdown(after.strip())]
    return "\n\n".join(part for part in parts if part)


def _first(doc: str | None) -> str:
    return _markdown(" ".join((doc or "").strip().partition("\n\n")[0].split()))


def _markdown(text: str) -> str:
    return text.replace("``", "`").replace("|", r"\|")


def _code(names: set[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
