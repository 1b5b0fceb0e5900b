"""Errors a user can mend: each says what was given, what was expected and what to do.

The command line prints the message of a `ZooError` and exits with 1; anything else is a bug and
shows its traceback.
"""

from collections.abc import Iterable


class ZooError(Exception):
    """Base of every error that is the input's fault rather than Zoo's."""


class UnknownNameError(ZooError, LookupError):
    """A model, encoder, data set, plugin … of that name does not exist or is ambiguous."""


class OptionError(ZooError, TypeError):
    """An option that the component does not have, or a value that it does not take."""


class IncompatibleError(ZooError):
    """Two components that cannot work together: the decoder needs what the encoder lacks."""


class PluginError(ZooError):
    """A plugin whose manifest or code is broken.

    Attributes:
        cure: What to do about it, where that is more than to mend or remove the plugin.
    """

    def __init__(self, message: str, cure: str = "") -> None:
        super().__init__(message)
        self.cure = cure


class CheckpointError(ZooError):
    """A weight file that is damaged, not ours, or of another schema."""


class DataError(ZooError, ValueError):
    """A data set, image or mask that cannot be used as it is."""


class RunError(ZooError):
    """A run folder that cannot be used: not writable, taken, or nothing to resume."""


def did_you_mean(given: str, known: Iterable[str], limit: int = 3) -> str:
    """Return ``" Did you mean 'x' or 'y'?"`` for the nearest of `known`, or an empty string."""
    from difflib import get_close_matches  # only the unlucky pay for this import

    near = get_close_matches(given, list(known), n=limit, cutoff=0.6)
    return f" Did you mean {' or '.join(repr(name) for name in near)}?" if near else ""
