"""One name → what the distribution, the package and the namespace of a plugin are called."""

import re
from typing import NamedTuple

from zoo.errors import PluginError
from zoo.registry import registry

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_RUN = re.compile(r"[-_.]+")
_LONGEST = 60


class Names(NamedTuple):
    """What the parts of a plugin are called.

    Attributes:
        distribution: What one installs, ``"zoo-acme-nets"``.
        package: What one imports, ``"zoo_acme_nets"``.
        namespace: What stands before the names of its components, ``"acme_nets"``.
    """

    distribution: str
    package: str
    namespace: str


def names_of(name: str) -> Names:
    """The names of a plugin; ``"acme"``, ``"zoo-acme"`` and ``"zoo_acme"`` are one.

    Raises:
        PluginError: No distribution can be called so, or the namespace is taken.
    """
    suggestion = _RUN.sub("-", re.sub(r"[^a-z0-9._-]+", "-", name.lower())).strip("-")
    if not _NAME.fullmatch(name) or not name.isascii() or len(name) > _LONGEST:
        hint = f" Try {suggestion[:_LONGEST].strip('-')!r}." if suggestion else ""
        raise PluginError(
            f"{name!r} cannot be the name of a distribution: expected up to {_LONGEST} ASCII letters, digits, '-', '_' "
            f"and '.', with a letter or a digit at both ends.{hint}"
        )
    plain = _RUN.sub("-", name.lower()).removeprefix("zoo-")
    if plain == "zoo":
        raise PluginError("'zoo' is the name of the core; name the plugin after what it brings, or after yourself")
    names = Names(f"zoo-{plain}", f"zoo_{plain.replace('-', '_')}", plain.replace("-", "_"))
    owner = next((plugin for plugin in registry().plugins if plugin.name == names.namespace), None)
    if owner is not None:
        raise PluginError(
            f"the namespace {names.namespace!r} belongs to a plugin that is here already ({owner.origin}); "
            f"choose another name, as 'my-{plain}'"
        )
    return names
