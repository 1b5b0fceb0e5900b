"""Zoo: a plugin-based model zoo for semantic segmentation.

    >>> import zoo
    >>> model = zoo.create_model("fcn8s_vgg16", num_classes=21)
    >>> model(images)["out"]  # (N, 21, H, W) for any H, W

`import zoo` is light: torch is imported when a model is made or loaded, not when names are listed.
"""

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from zoo.assembly import create_model
    from zoo.hub.checkpoint import load, save
    from zoo.registry import find, list_models, register
    from zoo.speed import optimize

__all__ = ["__version__", "create_model", "find", "list_models", "load", "optimize", "register", "save"]

_HOMES = {
    "create_model": "zoo.assembly",
    "find": "zoo.registry",
    "list_models": "zoo.registry",
    "load": "zoo.hub.checkpoint",
    "optimize": "zoo.speed",
    "register": "zoo.registry",
    "save": "zoo.hub.checkpoint",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'zoo' has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
