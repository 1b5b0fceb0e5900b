"""Giving the tensors of another library's state dict our names."""

from collections.abc import Mapping

from torch import Tensor

from zoo.errors import CheckpointError


def rename(state: Mapping[str, Tensor], prefixes: Mapping[str, str], what: str) -> dict[str, Tensor]:
    """Replace the beginning of every key; the tensors are shared, not copied.

    Args:
        state: The other library's state dict.
        prefixes: Their beginning → ours. The longest that fits is taken.
        what: What the state dict should be, for the message.

    Raises:
        CheckpointError: A key begins with none of them.
    """
    longest_first = sorted(prefixes, key=len, reverse=True)
    renamed: dict[str, Tensor] = {}
    for key, tensor in state.items():
        prefix = next((prefix for prefix in longest_first if key.startswith(prefix)), None)
        if prefix is None:
            raise CheckpointError(f"{key!r} is in no state dict of {what}")
        renamed[prefixes[prefix] + key.removeprefix(prefix)] = tensor
    return renamed
