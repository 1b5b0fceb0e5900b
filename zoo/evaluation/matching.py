"""Which class of the data is which class of the model."""

from collections.abc import Sequence
from typing import NamedTuple

from zoo.config import ModelConfig
from zoo.errors import IncompatibleError


class ClassMatch(NamedTuple):
    """How the labels of a data set translate.

    Attributes:
        order: ``order[i]`` is the model's class for label i of the data.
        note: What a reader of the result should know, or an empty string.
    """

    order: tuple[int, ...]
    note: str = ""


def match_classes(model: ModelConfig, data: Sequence[str], name: str = "the data set") -> ClassMatch:
    """Match the classes of a data set with those of a model.

    By name where the model knows the name of every class of the data, so another order does no harm. By number where
    there are as many of both but the names differ; the note says so.

    Args:
        model: What the model was trained for; its class names may be unknown.
        data: Class names of the data in label order.
        name: What to call the data in messages.

    Raises:
        IncompatibleError: There are more classes in the data than in the model, or fewer of unfamiliar names.
    """
    known = model.classes
    if len(data) > model.num_classes:
        raise IncompatibleError(
            f"{name} has {len(data)} classes ({_some(data)}), the model only {model.num_classes} ({_some(known)}). "
            "Evaluate a model that was trained on these classes, or list the model's classes in the data's data.toml."
        )
    unambiguous = len(set(known)) == len(known) and len(set(data)) == len(data)
    if known and unambiguous and set(data) <= set(known):
        order = tuple(known.index(label) for label in data)
        missing = [label for label in known if label not in set(data)]
        if not missing:
            return ClassMatch(order)
        lacks = f"{name} lacks {len(missing)} of the model's classes ({_some(missing)})"
        return ClassMatch(order, f"{lacks}: pixels given to them are wrong")
    if len(data) < model.num_classes:
        raise IncompatibleError(
            f"{name} has {len(data)} classes ({_some(data)}), the model {model.num_classes} ({_some(known)}), and "
            "names do not say which is which. Name the data's classes as the model does, in its data.toml."
        )
    order = tuple(range(len(data)))
    differing = [(ours, theirs) for ours, theirs in zip(known, data, strict=False) if ours != theirs]
    if not differing:
        return ClassMatch(order)
    pairs = _some([f"{theirs!r} as {ours!r}" for ours, theirs in differing], limit=3)
    return ClassMatch(order, f"{name} names its classes otherwise than the model; matched by number: {pairs}")


def _some(names: Sequence[str], limit: int = 5) -> str:
    if not names:
        return "names unknown"
    return ", ".join(names[:limit]) + (", …" if len(names) > limit else "")
