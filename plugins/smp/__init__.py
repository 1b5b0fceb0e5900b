"""Every architecture of segmentation-models-pytorch, with its own encoders.

The library is imported when a model is made, not when names are listed.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.plugins.smp.existing import adopt, translate

__all__ = ["adopt", "translate"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from zoo.plugins.smp import existing

    return getattr(existing, name)
