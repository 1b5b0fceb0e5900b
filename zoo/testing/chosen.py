"""How each component is checked: on which encoder, with numbers or by its shapes alone."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from zoo.compatibility import fits
from zoo.manifest import Spec
from zoo.registry import registry
from zoo.testing.contract import size_of
from zoo.testing.datasets import DatasetSubject
from zoo.testing.decoders import DecoderSubject
from zoo.testing.encoders import EncoderSubject
from zoo.testing.kinds import CHECKS
from zoo.testing.probe import PROBE, can_probe, offering, probe_for
from zoo.testing.properties import SHAPES
from zoo.testing.subject import Subject

HEAVY = 12_000_000
"""Parameters above which a net is checked by its shapes alone."""

SMALL = ("test_resnet", "smp/tu-test_resnet", "smp/tu-test_vit")
"""Small encoders for architectures that need more than a probe can give."""

_ALL = tuple(name for name in CHECKS["architecture"] if name != "golden")
"""Golden pairs are kept beside tests; nobody gives one here."""


@dataclass(frozen=True)
class Job:
    """Something to check.

    Attributes:
        title: The component, and what it was built on.
        kind: A key of `zoo.testing.kinds.CHECKS`.
        subject: What is given to the checks.
        checks: Their names.
        around: What must be there while a check runs.
    """

    title: str
    kind: str
    subject: Any
    checks: tuple[str, ...]
    around: Callable[[], AbstractContextManager[object]] = field(default=nullcontext)


def jobs(spec: Spec) -> Iterator[Job]:
    """Everything that there is to check of one component; nothing for kinds that only have a target."""
    title = f"{spec.kind} {spec.name}"
    if spec.name.endswith("*"):  # a family: one member stands for all
        member = _member(spec)
        if member is not None:
            yield from jobs(member)
    elif spec.kind == "architecture":
        yield from _of_architecture(spec, title)
    elif spec.kind == "model":
        yield _by_weight(Subject(spec.name), title, tuple(name for name in _ALL if name not in ("needs", "pairs")))
    elif spec.kind == "encoder":
        yield Job(title, "encoder", EncoderSubject(spec.name), tuple(CHECKS["encoder"]))
    elif spec.kind == "decoder":
        yield Job(title, "decoder", DecoderSubject(spec.name), tuple(CHECKS["decoder"]))
    elif spec.kind == "dataset":
        yield Job(title, "dataset", DatasetSubject(spec.name), tuple(CHECKS["dataset"]))


def _member(spec: Spec) -> Spec | None:
    members = [found for found in registry().find(spec.kind, plugin=spec.plugin) if found.target == spec.target]
    return min(members, key=lambda found: found.meta.get("parameters") or HEAVY, default=None)


def _of_architecture(spec: Spec, title: str) -> Iterator[Job]:
    """On its default encoder, and in numbers on a small one where that is large."""
    default = spec.meta.get("encoder")
    subject = Subject(spec.name)
    if can_probe(spec.needs):
        strides, output_strides = probe_for(spec.needs, next(iter(spec.needs.get("output_stride", [None]))))
        around = partial(offering, strides, output_strides)
        yield Job(f"{title} on a probe", "architecture", Subject(spec.name, PROBE), _ALL, around)
        if default is not None:
            yield Job(f"{title} on {default}", "architecture", Subject(spec.name, shapes_only=True), SHAPES)
        return
    if default is None:
        yield _by_weight(subject, title)
        return
    fitting = [name for name in SMALL if (found := registry().lookup("encoder", name)) and fits(spec, found)]
    if size_of(subject) > HEAVY and fitting:
        yield Job(f"{title} on {fitting[0]}", "architecture", Subject(spec.name, fitting[0]), _ALL)
    yield _by_weight(subject, f"{title} on {default}")


def _by_weight(subject: Subject, title: str, checks: tuple[str, ...] = _ALL) -> Job:
    """With numbers where it is small, else by its shapes."""
    if size_of(subject) <= HEAVY:
        return Job(title, "model", subject, checks)
    return Job(title, "model", replace(subject, shapes_only=True), SHAPES)
