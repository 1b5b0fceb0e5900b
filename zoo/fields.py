"""What the tables of a manifest may hold, and of what type it is."""

from zoo import published

_COMMON = {"name", "summary"}
_CODE = _COMMON | {"target", "needs", "offers", "papers"}
_NET = {"num_classes", "in_channels", "published", "cannot"}
FIELDS: dict[str, set[str]] = {
    "architecture": _CODE | _NET | {"encoder", "min_in_channels", "from"},
    "model": _CODE | _NET | {"architecture", "encoder", "options", "parameters", "from"},
    "encoder": _CODE | {"parameters", "cannot", "from"},
    "decoder": _CODE,
    "head": _CODE,
    "dataset": _CODE | {"classes", "licence", "url"},
    "loss": _COMMON | {"target", "papers"},
    "transform": _COMMON | {"target", "papers"},
    "pipeline": _COMMON | {"target", "model", "papers"},
    "recipe": _COMMON | {"file", "model", "papers", "published"},
    "weights": _COMMON | published.FIELDS,
    "command": _COMMON | {"target"},
}
"""What a table of each kind may hold."""

REQUIRED: dict[str, set[str]] = {
    "architecture": {"target"},
    "model": set(),
    "encoder": {"target"},
    "decoder": {"target"},
    "head": {"target"},
    "dataset": {"target"},
    "loss": {"target"},
    "transform": {"target"},
    "pipeline": {"target"},
    "recipe": {"file"},
    "weights": set(),
    "command": {"target"},
}
"""What it must hold."""

FAMILY = {"kind", "target", "summary", "table"}
"""What a ``[[family]]`` holds, all of it; ``from`` besides."""

NEEDS = {"strides": int, "taps": str, "pools": str, "output_stride": int, "unlike": str}
"""What may stand in ``needs``, as lists of these."""

OFFERS = {"strides": int, "taps": str, "pools": str, "output_strides": int}
"""What may stand in ``offers``, as lists of these."""

TYPES: dict[str, tuple[type, ...]] = {
    "architecture": (str,),
    "classes": (int, list, str),
    "encoder": (str,),
    "file": (str,),
    "files": (list,),
    "in_channels": (int,),
    "licence": (str, dict),
    "min_in_channels": (int,),
    "model": (str,),
    "num_classes": (int,),
    "options": (dict,),
    "papers": (list,),
    "parameters": (int,),
    "published": (list,),
    "sources": (list,),
    "url": (str,),
}
"""What some fields must be."""
