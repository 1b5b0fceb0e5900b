"""Classes of tests for pytest: derive one, say what is tested, and every check is a test of its own.

    class TestNet(zoo.testing.ArchitectureTests):
        name = "acme/net"
        encoder = "resnet18"
        options = {"width": 16}

A check that does not apply is skipped and says why.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, ClassVar

from zoo.interfaces import Decoder, FeatureSpec
from zoo.registry import registry
from zoo.testing.datasets import DatasetSubject
from zoo.testing.decoders import DecoderSubject
from zoo.testing.encoders import EncoderSubject
from zoo.testing.kinds import CHECKS, demand
from zoo.testing.mending import MEND
from zoo.testing.probe import PROBE, can_probe, offering, probe_for
from zoo.testing.subject import NotConforming, Subject


class _Tests:
    """What all of them share.

    Attributes:
        name: The component's name.
        leave_out: Names of checks not to run.
    """

    kind: ClassVar[str] = ""
    name: ClassVar[str]
    leave_out: ClassVar[Collection[str]] = ()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for check in CHECKS.get(cls.kind, ()):
            if check in cls.leave_out:
                setattr(cls, f"test_{check}", None)  # what pytest does not take for a test
            elif f"test_{check}" not in dir(cls):
                setattr(cls, f"test_{check}", _test(cls.kind, check))

    def subject(self) -> Any:
        """What is given to the checks."""
        raise TypeError(f"{type(self).__name__} derives from none of the classes of zoo.testing")

    def around(self) -> Any:
        """What must be there while a check runs: a context manager."""
        return nullcontext()


def _test(kind: str, check: str) -> Callable[[_Tests], None]:
    def test(self: _Tests) -> None:
        if not getattr(self, "name", ""):
            raise TypeError(f'{type(self).__name__} has no name: write  name = "acme/net"  into the class')
        with self.around():
            try:
                CHECKS[kind][check](self.subject())
            except NotConforming as error:
                raise NotConforming(f"{error}\nmend: {error.mend or MEND[check]}") from None

    test.__name__ = f"test_{check}"
    test.__doc__ = demand(kind, check)
    return test


class ArchitectureTests(_Tests):
    """An architecture, or a named model.

    Attributes:
        name: ``"acme/net"``.
        encoder: On which encoder. None: on a small one of the kit's that offers exactly what it needs, where it takes
            one and needs no taps by name; else on its default.
        options: Options of the architecture and the encoder.
        size: An ordinary (H, W), large enough for every layer to have a few cells.
        shapes_only: Check shapes, not numbers: for nets too large to be run.
        golden: A file that `zoo.testing.keep_golden` wrote, to be answered alike.
    """

    kind = "architecture"
    encoder: ClassVar[str | None] = None
    options: ClassVar[Mapping[str, Any]] = {}
    size: ClassVar[tuple[int, int]] = (64, 96)
    shapes_only: ClassVar[bool] = False
    golden: ClassVar[Path | str | None] = None

    def subject(self) -> Subject:
        encoder = PROBE if self._needs() is not None else self.encoder
        golden = None if self.golden is None else Path(self.golden)
        return Subject(self.name, encoder, self.options, self.size, shapes_only=self.shapes_only, golden=golden)

    def around(self) -> Any:
        needs = self._needs()
        if needs is None:
            return nullcontext()
        return offering(*probe_for(needs, next(iter(needs.get("output_stride", [None])))))

    def _needs(self) -> Mapping[str, Any] | None:
        """What a probe must offer; None where it is not checked on one."""
        spec = registry().lookup("architecture", self.name)
        return spec.needs if spec is not None and self.encoder is None and can_probe(spec.needs) else None


class EncoderTests(_Tests):
    """An encoder.

    Attributes:
        name: ``"acme/trunk"``.
        options: Its options.
    """

    kind = "encoder"
    options: ClassVar[Mapping[str, Any]] = {}

    def subject(self) -> EncoderSubject:
        return EncoderSubject(self.name, self.options)


class DecoderTests(_Tests):
    """A decoder. Override `make` where its constructor takes more than specs of taps and ``num_classes``.

    Attributes:
        name: ``"acme/merge"``.
        strides: Of the taps that it is given; by default those that its manifest needs, else 4, 8, 16 and 32.
    """

    kind = "decoder"
    strides: ClassVar[Sequence[int]] = ()

    def make(self, taps: Sequence[FeatureSpec]) -> Decoder:
        """Make it from the specs of taps, finest first."""
        return DecoderSubject(self.name).made(taps)

    def subject(self) -> DecoderSubject:
        return DecoderSubject(self.name, self.make, self.strides)


class DatasetTests(_Tests):
    """A data set. Where the data are not on the machine, its tests are skipped.

    Attributes:
        name: ``"acme/leaves"``.
        root: Where it lies, in place of its usual places; a small copy in ``tests/`` is enough.
        splits: Which splits to check.
    """

    kind = "dataset"
    root: ClassVar[Path | str | None] = None
    splits: ClassVar[tuple[str, ...]] = ("train", "val")

    def subject(self) -> DatasetSubject:
        return DatasetSubject(self.name, None if self.root is None else Path(self.root), self.splits)
