"""Write the models into README.md, between its two marker comments, from the registry. Imports no torch.

python tools/make_readme_table.py            # write
python tools/make_readme_table.py --check    # exit with 1 where the README says something else
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from zoo.discovery import discover
from zoo.manifest import Spec
from zoo.quantities import count
from zoo.registry import Registry
from zoo.signature import takes_encoder

README = Path(__file__).parents[1] / "README.md"
BEGIN = "<!-- models: written by tools/make_readme_table.py -->"
END = "<!-- /models -->"
_HEAD = ("model", "architecture", "encoder", "parameters", "published", "paper")
_BULK = "smp"  # another library's; one row for all of it


def render() -> str:
    """The text between the markers."""
    registry = Registry(plugin for plugin in discover() if plugin.origin == "built-in")
    models = [spec for spec in registry.find("model") if "architecture" in spec.meta and spec.plugin != _BULK]
    architectures = registry.find("architecture")
    rows: list[Sequence[str]] = [_HEAD, ("---", "---", "---", "--:", "---", "---")]
    for plugin in sorted({spec.plugin for spec in models}):
        rows.append((f"**{plugin}**", *[""] * (len(_HEAD) - 1)))
        rows += [_row(spec, registry) for spec in models if spec.plugin == plugin]
    bulk = [spec for spec in architectures if spec.plugin == _BULK]
    if bulk:
        encoders = len([spec for spec in registry.find("encoder") if spec.plugin == _BULK])
        names = ", ".join(spec.name.removeprefix(f"{_BULK}/") for spec in bulk)
        rows.append((f"**{_BULK}**", *[""] * (len(_HEAD) - 1)))
        what = f"{len(bulk)} of segmentation-models-pytorch: {names}"
        rows.append((f"`{_BULK}/NAME@{_BULK}/ENCODER`", what, f"its {encoders}", "", "", ""))
    table = "\n".join("| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows)
    free = [f"`{spec.name}`" for spec in architectures if spec.plugin != _BULK and takes_encoder(spec)]
    return f"{table}\n\nOn any encoder that fits (`ARCHITECTURE@ENCODER`): {', '.join(free)}.\n"


def _row(model: Spec, registry: Registry) -> Sequence[str]:
    architecture = registry.get("architecture", model.meta["architecture"], model.plugin)
    published = model.meta.get("published", [])
    papers = model.meta.get("papers", architecture.meta.get("papers", []))
    return (
        f"`{model.name}`",
        f"`{architecture.name}`",
        f"`{model.meta['encoder']}`" if "encoder" in model.meta else "its own",
        count(model.meta.get("parameters")),
        _number(published[0]) if published else "",
        _paper(papers[0]) if papers else "",
    )


def _number(entry: dict[str, object]) -> str:
    """``65.5 mIoU on PASCAL VOC seg11valid (736 images); released weights``."""
    source = str(entry["source"]).partition(" (")[0]
    return f"{entry['value']} {entry['metric']} on {entry['data']}; {source}"


def _paper(citation: str) -> str:
    """``Long et al., CVPR 2015`` of ``Long, Shelhamer, Darrell: Title (CVPR 2015, PAMI 2017)``."""
    authors, _, rest = citation.partition(":")
    first, *others = authors.replace(" et al.", ", ").split(",")
    where = rest.rpartition("(")[2].rstrip(")").partition(",")[0]
    return f"{first.strip()}{' et al.' if others else ''}, {where}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def filled(text: str) -> str:
    """A README with the table of today between its markers."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{README} lacks the markers {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{render()}\n{END}{after}"


def main(arguments: Sequence[str]) -> int:
    if set(arguments) - {"--check"}:
        raise SystemExit(__doc__)
    text = README.read_text(encoding="utf-8")
    now = filled(text)
    if "--check" not in arguments:
        README.write_text(now, encoding="utf-8")
    elif now != text:
        print("README.md is not what the registry says; run: python tools/make_readme_table.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
