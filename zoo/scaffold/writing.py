"""Templates → a folder."""

import os
import shutil
import tempfile
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from zoo import __version__
from zoo.errors import PluginError
from zoo.scaffold.names import Names, names_of

KINDS = ("arch", "encoder", "decoder", "dataset")
"""What a new plugin can begin with."""

_SUFFIX = ".in"
"""Of every template, so that no tool takes them for code of Zoo's own."""


def new(name: str, kind: str = "arch", out: str | os.PathLike[str] | None = None) -> Path:
    """Write a complete distribution: it can be installed, and its tests pass.

    Args:
        name: Of the plugin; see `names_of`.
        kind: One of `KINDS`.
        out: Where to write it, a new folder or an empty one; by default one of the distribution's name, here.

    Returns:
        The folder.

    Raises:
        PluginError: The name cannot be used, the folder is taken, or it cannot be written.
    """
    if kind not in KINDS:
        raise PluginError(f"there is no template {kind!r}; there are {', '.join(KINDS)}")
    names = names_of(name)
    folder = Path(names.distribution if out is None else out).expanduser()
    if (folder.is_symlink() or folder.exists()) and (not folder.is_dir() or any(folder.iterdir())):
        raise PluginError(f"{folder} exists already and is not empty; give another folder with --out DIR")
    place = folder.absolute()  # "." has neither a name nor a parent
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
    except OSError as error:
        raise PluginError(f"{folder} cannot be written: {error.strerror}") from None
    try:
        for template in ("common", kind):
            _write(files(__package__) / "templates" / template, temporary, names)
        temporary.chmod(0o755)  # a temporary folder is its owner's alone
        if place.is_dir():  # empty; a shell that stands in it must not stand in one that is gone
            for entry in list(temporary.iterdir()):
                entry.replace(place / entry.name)
        else:
            temporary.replace(place)  # whole or not at all
    except OSError as error:
        raise PluginError(f"{folder} cannot be written: {error.strerror}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _write(template: Traversable, folder: Path, names: Names) -> None:
    folder.mkdir(exist_ok=True)
    for entry in template.iterdir():
        if entry.is_dir():
            _write(entry, folder / (names.package if entry.name == "package" else entry.name), names)
        elif entry.name.endswith(_SUFFIX):
            text = entry.read_text(encoding="utf-8")
            for key, value in {**names._asdict(), "version": __version__}.items():
                text = text.replace(f"@{key}@", value)
            name = entry.name.removesuffix(_SUFFIX)
            (folder / (".gitignore" if name == "gitignore" else name)).write_text(text, encoding="utf-8")
