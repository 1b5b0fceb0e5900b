"""What `zoo bench` measures: a model as it is, optimized, and beside another library's."""

import gc
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from zoo.assembly import resolve
from zoo.errors import OptionError
from zoo.model import SegmentationModel
from zoo.speed.memory import usual_memory
from zoo.speed.optimized import optimize
from zoo.speed.peers import LIBRARIES, against
from zoo.speed.probe import peak_memory
from zoo.speed.timing import Labelling, take_turns
from zoo.summary import summarize


class Sides(NamedTuple):
    """A model of ours, and another library's with the same weights, if any."""

    ours: SegmentationModel
    theirs: nn.Module | None


class Order(NamedTuple):
    """What to measure.

    Attributes:
        against: None, or one of `LIBRARIES`.
        classes: K.
        size: (H, W) of the pictures.
        batch: N.
        backend: As for `zoo.optimize`; None: the model as it is.
        dtype: As for `zoo.optimize`.
        rounds: How often each is measured.
        memory: Whether memory is measured too, each model in a process of its own.
    """

    against: str | None = None
    classes: int = 21
    size: tuple[int, int] = (512, 512)
    batch: int = 1
    backend: str | None = None
    dtype: str = "float32"
    rounds: int = 5
    memory: bool = True


def measure(name: str, order: Order) -> list[dict[str, Any]]:
    """Measure a model; one record for the other library's (first, if asked for) and one for ours.

    Records have ``model``, ``library``, ``backend``, ``dtype``, ``milliseconds`` (median, whole batch, from normalised
    pictures to a label map), ``images_per_second``, ``peak_memory`` (bytes, or None), ``parameters``, ``flops`` (of one
    picture, both as the plain model has them), and ``times_faster`` than the other, where there is one.

    Raises:
        ZooError: There is no such model, or the other library has none like it; see `zoo.speed.peers.against`.
    """
    sides = ours_and_theirs(name, order.against, order.classes)
    facts = summarize(sides.ours, order.size)
    models: dict[str, Labelling] = {}
    if sides.theirs is not None and order.against is not None:
        models[order.against] = labelling(sides.theirs, None, "float32")
    models["zoo"] = labelling(sides.ours, order.backend, order.dtype)
    channels = sides.ours.config.in_channels
    del sides
    gc.collect()
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randn(order.batch, channels, *order.size, generator=generator)
    timings = take_turns(models, pictures, rounds=order.rounds)
    del models, pictures
    gc.collect()
    records = []
    for library, timing in timings.items():
        theirs = library != "zoo"
        records.append(
            {
                "model": name,
                "library": library,
                "backend": "eager" if theirs else chosen_backend(order.backend, order.dtype) or "plain",
                "dtype": "float32" if theirs else order.dtype,
                "milliseconds": round(timing.milliseconds, 2),
                "images_per_second": round(timing.images_per_second, 3),
                "peak_memory": _memory(name, order, theirs) if order.memory else None,
                "parameters": facts.parameters["total"],
                "flops": facts.flops["total"],
                "times_faster": None if theirs or order.against is None else _ratio(timings, order.against),
            }
        )
    return records


def ours_and_theirs(name: str, library: str | None, classes: int) -> Sides:
    """Build a model with random weights, and the same one of another library."""
    if library is not None:
        if library not in LIBRARIES:
            raise OptionError(f"against={library!r}: expected one of {', '.join(LIBRARIES)}")
        pair = against(name, library, num_classes=classes)
        return Sides(pair.ours, pair.theirs)
    import zoo

    resolve(name)  # an unknown name is told before anything is built
    return Sides(zoo.create_model(name, num_classes=classes).eval(), None)


def labelling(model: Any, backend: str | None, dtype: str) -> Labelling:
    """What maps a picture to labels: of another library as its users do it, of ours as `zoo predict` does it."""
    ours = isinstance(model, SegmentationModel)
    chosen = chosen_backend(backend, dtype) if ours else None
    if chosen is not None:
        ready = optimize(model, backend=chosen, dtype=dtype, inplace=True)
        return lambda x: ready(x)["out"].max(1).indices

    def label(x: Tensor) -> Tensor:
        with usual_memory():
            return model(x)["out"].max(1).indices if ours else _scores(model(x)).argmax(1)

    return label


def chosen_backend(backend: str | None, dtype: str) -> str | None:
    """The backend that is meant: another type than float32 needs one; None: the model as it is."""
    return "eager" if backend is None and dtype != "float32" else backend


def _scores(answer: Any) -> Tensor:
    scores: Tensor = answer["out"] if isinstance(answer, dict) else answer
    return scores


def _ratio(timings: Any, library: str) -> float:
    ratio: float = timings[library].milliseconds / timings["zoo"].milliseconds
    return round(ratio, 2)


def _memory(name: str, order: Order, theirs: bool) -> int | None:
    what = {"model": name, "theirs": theirs, "threads": torch.get_num_threads()}
    settings: Sequence[str] = ("against", "classes", "size", "batch", "backend", "dtype")
    return peak_memory({**what, **{key: getattr(order, key) for key in settings}})
