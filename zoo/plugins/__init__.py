"""The built-in plugins, importable as `zoo.plugins.<name>`.

A wheel has them in this folder; in a checkout (installed as editable, or not installed at all, as
torch.hub leaves it) they lie in the sibling folder `plugins/`.
"""

from pathlib import Path

_sibling = Path(__file__).resolve().parents[2] / "plugins"
if (_sibling.parent / "pyproject.toml").is_file() and _sibling.is_dir():
    __path__.append(str(_sibling))
