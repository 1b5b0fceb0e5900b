"""A plugin as `zoo plugin new` writes it, with one thing changed."""

import itertools
from pathlib import Path

from zoo.scaffold import names_of, new

_numbers = itertools.count()


def write_plugin(folder: Path, kind: str, *changes: tuple[str, str, str]) -> Path:
    """Write a new plugin with a name of its own; each change is (file's name, what stands there, what shall).

    An empty file name is a new file, ``src/<second>`` with the third as its text. ``NS`` and ``PKG`` stand for the
    plugin's namespace and package.
    """
    name = f"made{next(_numbers)}"
    names = names_of(name)
    project = new(name, kind, folder / names.distribution)

    def filled(text: str) -> str:
        return text.replace("PKG", names.package).replace("NS", names.namespace)

    for file, old, text in changes:
        if not file:
            (project / "src" / filled(old)).write_text(filled(text))
            continue
        (path,) = project.rglob(file)
        before = path.read_text()
        assert before.count(filled(old)) >= 1, f"{old!r} is not in {file}"
        path.write_text(before.replace(filled(old), filled(text), 1))
    return project
