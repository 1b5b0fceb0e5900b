"""Decoders: built from specs of taps alone, whatever encoder they will read."""

import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from zoo.interfaces import Decoder, Features, FeatureSpec
from zoo.manifest import Spec
from zoo.registry import registry
from zoo.testing.subject import NotApplicable, NotConforming, awaken, require

_CLASSES = 3


@dataclass(frozen=True)
class DecoderSubject:
    """A decoder to check.

    Attributes:
        name: Its name.
        make: Makes it from the specs of taps, finest first. By default the kit does, where the parameters without
            defaults are `FeatureSpec` each, one sequence of them, and ``num_classes``.
        strides: Of the taps that it is given; by default those that its manifest needs, else 4, 8, 16 and 32.
    """

    name: str
    make: Callable[[Sequence[FeatureSpec]], Decoder] | None = None
    strides: Sequence[int] = field(default=())

    @property
    def spec(self) -> Spec:
        """What its manifest says."""
        return registry().get("decoder", self.name)

    @property
    def offered(self) -> tuple[FeatureSpec, ...]:
        """The taps that it is built from."""
        strides = self.strides or self.spec.needs.get("strides", ()) or (4, 8, 16, 32)
        return tuple(FeatureSpec(f"map{s}", 6 + 2 * i, s, (s - 1) / 2) for i, s in enumerate(sorted(strides)))

    def build(self, seed: int = 0) -> Decoder:
        """Build it, with random weights that follow from the seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return (self.make or self.made)(self.offered)

    def made(self, taps: Sequence[FeatureSpec]) -> Decoder:
        """Made by the annotations of its constructor's parameters."""
        return _make(self.spec.load(), taps)

    def features(self, decoder: Decoder, size: tuple[int, int], batch: int = 2) -> Features:
        """What an encoder of these taps would see in a picture of that size."""
        generator = torch.Generator().manual_seed(1)
        maps = {
            tap.name: torch.randn(
                (batch, tap.channels, -(-size[0] // tap.stride), -(-size[1] // tap.stride)), generator=generator
            )
            for tap in self.offered
            if tap.name in decoder.taps
        }
        return Features(maps, {})

    def __str__(self) -> str:
        return self.name


def _make(target: Any, offered: Sequence[FeatureSpec]) -> Decoder:
    """Build a decoder from the annotations of its parameters."""
    hints = typing.get_type_hints(target.__init__)
    left = list(offered)
    arguments: dict[str, Any] = {}
    needed = [p for p in inspect.signature(target).parameters.values() if p.default is p.empty]
    single = sum(hints.get(parameter.name) is FeatureSpec for parameter in needed)
    left = left[: max(single - 1, 0)] + left[-1:] if single < len(left) and single else left
    for parameter in needed:
        hint = hints.get(parameter.name)
        if hint is FeatureSpec and left:
            arguments[parameter.name] = left.pop(0)
        elif FeatureSpec in typing.get_args(hint) and not single:  # of both, who knows how many
            arguments[parameter.name] = list(offered)
        elif parameter.name == "num_classes":
            arguments[parameter.name] = _CLASSES
        elif hint is int and parameter.name in ("width", "channels"):
            arguments[parameter.name] = 8
        else:
            raise NotApplicable(
                f"the kit cannot make it: it does not know what {parameter.name!r} is; "
                "write a class TestMine(zoo.testing.DecoderTests) with a method make(self, taps)"
            )
    return typing.cast(Decoder, target(**arguments))


def contract(subject: DecoderSubject) -> None:
    """It is a `Decoder`, built from specs; it says which taps it reads and where its map lies."""
    target = subject.spec.load()
    require(
        isinstance(target, type) and issubclass(target, Decoder),
        f"{subject.spec.target} is no class derived from zoo.interfaces.Decoder",
    )
    swallows = any(p.kind is p.VAR_KEYWORD for p in inspect.signature(target).parameters.values())
    require(not swallows, "its constructor takes **kwargs, which would swallow a typo", mend="name every option")
    decoder = _ready(subject)
    known = {tap.name for tap in subject.offered}
    taps = getattr(decoder, "taps", None)
    if not isinstance(taps, tuple | list) or not taps or not set(taps) <= known:
        raise NotConforming(f"its `taps` are {taps!r}; expected names of those it was built from, {sorted(known)}")
    out = getattr(decoder, "out", None)
    require(isinstance(out, FeatureSpec), f"its `out` is {out!r}; expected a FeatureSpec")
    wanted = set(subject.spec.needs.get("strides", ()))
    read = {tap.stride for tap in subject.offered if tap.name in taps}
    require(wanted <= read, f"needs strides {sorted(wanted)} by its manifest, but reads {sorted(read)}")


def maps(subject: DecoderSubject) -> None:
    """Its map has the channels and the stride of `out`, at sizes that are odd, not square, and down to one pixel."""
    decoder = _ready(subject).eval()
    step = max(tap.stride for tap in subject.offered)
    heights = []
    with torch.no_grad():
        for size in ((1, 1), (1, 37), (2 * step + 1, 3 * step - 1), (3 * step + 1, 4 * step - 1)):
            map = decoder(subject.features(decoder, size))
            fine = map.ndim == 4 and map.shape[:2] == (2, decoder.out.channels) and min(map.shape[-2:]) > 0
            require(
                fine and bool(map.isfinite().all()),
                f"gives {tuple(map.shape)} for a picture of {size}; out.channels is {decoder.out.channels}",
                mend="set self.out to what forward really gives",
            )
            heights.append(map.shape[-2])
    more = heights[-1] - heights[-2]
    require(
        more * decoder.out.stride == step,
        f"out.stride is {decoder.out.stride}, but {step} rows of pixels more are {more} rows of its map",
        mend="set self.out to what forward really gives",
    )


def backward(subject: DecoderSubject) -> None:
    """Gradients reach every parameter, and every tap that it says it reads."""
    decoder = _ready(subject).train()
    awaken(decoder)
    features = subject.features(decoder, (96, 128))
    maps = {name: map.requires_grad_() for name, map in features.maps.items()}
    result: Tensor = decoder(Features(maps, {}))
    weights = torch.randn(result.shape, generator=torch.Generator().manual_seed(3))
    (result * weights).sum().backward()  # type: ignore[no-untyped-call]
    idle = [name for name, p in decoder.named_parameters() if p.requires_grad and p.grad is None]
    require(not idle, f"no gradient reaches {', '.join(idle[:5])}", mend="freeze what is fixed, leave out what is idle")
    unread = [name for name, map in maps.items() if map.grad is None or not bool(map.grad.any())]
    require(not unread, f"says that it reads {unread}, but does not", mend="leave them out of `taps`")


def batch_of_one(subject: DecoderSubject) -> None:
    """One picture of one pixel, while training."""
    decoder = _ready(subject).train()
    decoder(subject.features(decoder, (1, 1), batch=1))


def state_dict(subject: DecoderSubject) -> None:
    """Its state dict is all that it remembers."""
    first, second = _ready(subject).eval(), _ready(subject, 1).eval()
    awaken(first)
    second.load_state_dict(first.state_dict(), strict=True)
    features = subject.features(first, (33, 47))
    with torch.no_grad():
        same = torch.equal(first(features), second(features))
    require(same, "another one with its state dict answers differently", mend="keep what it remembers in parameters")


def _ready(subject: DecoderSubject, seed: int = 0) -> Decoder:
    decoder = subject.build(seed)
    if decoder.with_pools:
        raise NotApplicable("it reads switches, which only a real encoder can give")
    return decoder


CHECKS: Mapping[str, Callable[[DecoderSubject], None]] = {
    "contract": contract,
    "maps": maps,
    "backward": backward,
    "batch_of_one": batch_of_one,
    "state_dict": state_dict,
}
