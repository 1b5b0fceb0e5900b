"""Encoders: what they offer, and whether it is so."""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from zoo.assembly import find_encoder
from zoo.compatibility import fits
from zoo.config import InputSpec
from zoo.errors import IncompatibleError, OptionError
from zoo.hub.skeleton import skeleton
from zoo.interfaces import Encoder, Features, FeatureSpec
from zoo.manifest import Spec
from zoo.plan import Plan, accepted_options
from zoo.registry import registry
from zoo.testing.probe import NAMESPACE, READER, reading
from zoo.testing.properties import hold
from zoo.testing.subject import NotApplicable, NotConforming, Subject, answer, awaken, require

_SEEDS = 3


@dataclass(frozen=True)
class EncoderSubject:
    """An encoder to check.

    Attributes:
        name: Its name.
        options: Its options.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def spec(self) -> Spec:
        """What its manifest says."""
        return find_encoder(self.name)

    def plan(self, in_channels: int = 3, **options: Any) -> Plan:
        """The encoder as an architecture gets it."""
        spec = self.spec
        return Plan(spec, spec.name, in_channels, {**options, **self.options})

    def build(self, taps: list[str] | None = None, *, seed: int = 0, **options: Any) -> Encoder:
        """Build it, with random weights that follow from the seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.plan().build(taps, **options)

    @property
    def model(self) -> Subject:
        """A model that reads every tap; it exists inside `zoo.testing.probe.reading`."""
        return Subject(READER, self.name, self.options)

    def __str__(self) -> str:
        return str(self.model).removeprefix(f"{READER}@")


def picture(size: tuple[int, int], channels: int = 3) -> Tensor:
    """Random input (1, C, H, W), the same every time."""
    return torch.randn((1, channels, *size), generator=torch.Generator().manual_seed(1))


def contract(subject: EncoderSubject) -> None:
    """It is an `Encoder`; its options are named and have defaults; an unknown one is refused; `input` says how."""
    target = subject.spec.load()
    require(
        isinstance(target, type) and issubclass(target, Encoder),
        f"{subject.spec.target} is no class derived from zoo.interfaces.Encoder",
    )
    parameters = inspect.signature(target).parameters
    for needed in ("taps", "in_channels"):
        require(needed in parameters, f"its constructor takes no {needed!r}", mend="see zoo.interfaces.Encoder")
    for name, parameter in accepted_options(subject.spec).items():
        require(parameter.default is not parameter.empty, f"its option {name!r} has no default", mend="give it one")
    try:
        subject.plan(surely_no_such_option=1)
    except OptionError:
        pass
    else:
        raise NotConforming("takes an option that nobody knows", mend="no **kwargs; name every option")
    require(isinstance(subject.build().input, InputSpec), "its `input` is no InputSpec")


def offers(subject: EncoderSubject) -> None:
    """The taps it says it will have are those it has; they are what its manifest offers, all of it and no more."""
    said, declared = subject.plan().offers(), subject.spec.offers
    with skeleton():
        built = subject.build()
    require(
        tuple(built.features) == said,
        f"offers() says {_words(said)}, built it has {_words(tuple(built.features))}",
        mend="let offers() and the constructor take both from one place",
    )
    names = [tap.name for tap in said]
    require(len(set(names)) == len(names), f"two taps have one name: {names}")
    fine = all(tap.stride >= 1 and tap.channels >= 1 for tap in said)
    require(fine and bool(said), f"its taps make no sense: {_words(said)}")
    strides = [tap.stride for tap in said]
    require(strides == sorted(strides), f"its taps are not finest first: {_words(said)}")
    possible = {tap for taps in (said, *_variants(subject)) for tap in taps}
    for key, has in (("taps", {tap.name for tap in possible}), ("strides", {tap.stride for tap in possible})):
        absent = [item for item in declared.get(key, []) if item not in has]
        require(not absent, f"its manifest offers {key} {absent}, which it does not have; it has {sorted(has)}")
    more = sorted(set(strides) - set(declared.get("strides", strides if "taps" in declared else ())))
    require(not more, f"has taps at strides {more} that its manifest does not offer", mend="add them to `offers`")


def _variants(subject: EncoderSubject) -> Iterator[tuple[FeatureSpec, ...]]:
    """What it offers with each of its switches thrown."""
    for name, parameter in inspect.signature(subject.plan().target.offers).parameters.items():
        if isinstance(parameter.default, bool):
            yield subject.plan().offers(**{name: not parameter.default})


def _words(taps: tuple[FeatureSpec, ...]) -> str:
    return ", ".join(f"{tap.name} ({tap.channels} channels, stride {tap.stride})" for tap in taps) or "no taps"


def taps(subject: EncoderSubject) -> None:
    """At odd sizes that are not square, every map has the channels, the stride and the place that its tap declares."""
    encoder = subject.build().eval()
    awaken(encoder)
    everything = [tap.name for tap in encoder.features]
    step = max(tap.stride for tap in encoder.features)
    small, large = (2 * step + 1, 3 * step - 1), (3 * step + 1, 4 * step - 1)
    with torch.no_grad():
        found, grown = (encoder(picture(size), everything) for size in (small, large))
        edge = [encoder(picture(size), everything) for size in ((1, 1), (1, 37), (33, 47))]
    for tap in encoder.features:
        for features in (found, grown, *edge):
            _map(tap, features)
        more = grown.maps[tap.name].shape[-2] - found.maps[tap.name].shape[-2]
        require(
            more * tap.stride == step or step % tap.stride > 0,
            f"{tap.name!r} says stride {tap.stride}, but {step} rows of pixels more are {more} rows of cells more",
            mend="mend the FeatureSpec, or the layers before it",
        )
        _placed(encoder, tap, (2 * step + 1, 2 * step + 1))


def _map(tap: FeatureSpec, features: Features) -> None:
    require(isinstance(features, Features), "forward does not return zoo.interfaces.Features")
    require(tap.name in features.maps, f"asked for the tap {tap.name!r}, it gives {sorted(features.maps)}")
    map = features.maps[tap.name]
    require(
        map.ndim == 4 and map.shape[1] == tap.channels and min(map.shape[-2:]) > 0,
        f"{tap.name!r} says {tap.channels} channels, its map is {tuple(map.shape)}",
        mend="mend the FeatureSpec, or the layers before it",
    )
    require(bool(map.isfinite().all()), f"the map {tap.name!r} is not finite")


def _placed(encoder: Encoder, tap: FeatureSpec, size: tuple[int, int]) -> None:
    """The pixels that move a cell lie around the place where the tap says that the cell is."""
    x = picture(size).requires_grad_()
    map = encoder(x, [tap.name]).maps[tap.name]
    row = map.shape[-2] // 2
    (gradient,) = torch.autograd.grad(map[0, :, row, map.shape[-1] // 2].square().sum(), x, allow_unused=True)
    rows = [] if gradient is None else gradient.abs().sum((0, 1, 3)).nonzero().flatten().tolist()
    place = tap.offset + row * tap.stride
    require(
        not rows or rows[0] - tap.stride <= place <= rows[-1] + tap.stride,
        f"{tap.name!r} says that its cell {row} lies at row {place} of the picture; it sees rows "
        f"{rows[0] if rows else 0} to {rows[-1] if rows else 0}",
        mend="mend the FeatureSpec's offset: the image coordinate of the centre of cell 0",
    )


def some_taps(subject: EncoderSubject) -> None:
    """Built for one tap, it gives that tap, and is no deeper than that needs; nobody pays for what nobody reads."""
    everything = subject.plan().offers()
    with skeleton():
        whole = _count(subject.build())
        for tap in everything:
            built = subject.build([tap.name])
            require(
                tap.name in [kept.name for kept in built.features],
                f"built for the tap {tap.name!r}, its features are {_words(tuple(built.features))}",
            )
            require(_count(built) <= whole, f"built for {tap.name!r} alone, it has more parameters than built for all")
        first = _count(subject.build([everything[0].name]))
    require(
        first < whole or everything[0].stride == everything[-1].stride,
        f"built for {everything[0].name!r}, the finest, it is as large as built for all",
        mend="leave out the layers behind the deepest of `taps`",
    )
    encoder = subject.build([everything[0].name]).eval()
    with torch.no_grad():
        _map(everything[0], encoder(picture((33, 47)), [everything[0].name]))


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def output_strides(subject: EncoderSubject) -> None:
    """At each of the output strides that its manifest offers, it can be built, and its deepest map has that stride."""
    declared = subject.spec.offers.get("output_strides", [])
    if not declared:
        raise NotApplicable("its manifest offers no output strides")
    for stride in declared:
        wishes = subject.plan().supported(output_stride=stride)
        said = subject.plan().offers(**wishes)
        require(
            said[-1].stride == stride,
            f"its manifest offers the output stride {stride}; asked for it, its deepest tap has {said[-1].stride}",
            mend="take it out of output_strides, or give the constructor and offers() an option output_stride",
        )
        with skeleton():
            built = subject.build([said[-1].name], **wishes)
            map = built(picture((4 * stride + 1, 4 * stride + 1)).to("meta"), [said[-1].name]).maps[said[-1].name]
        near = range(4, 7)
        require(map.shape[-1] in near, f"at output stride {stride}, {4 * stride + 1} pixels are {map.shape[-1]} cells")


def pools(subject: EncoderSubject) -> None:
    """The switches of every pooling that it offers are there when asked for, and only then; they can be undone."""
    declared = subject.spec.offers.get("pools", [])
    encoder = subject.build().eval()
    absent = [name for name in declared if name not in encoder.pools]
    require(not absent, f"its manifest offers the switches of {absent}; it has {list(encoder.pools)}")
    if not declared:
        raise NotApplicable("it offers no switches")
    with torch.no_grad():
        everything = [tap.name for tap in encoder.features]
        require(not encoder(picture((33, 47)), everything).pools, "gives switches that nobody asked for")
        found = encoder(picture((33, 47)), everything, True).pools
    for name in declared:
        require(name in found, f"asked for switches, it gives those of {sorted(found)}, not of {name!r}")
        indices, (height, width) = found[name]
        inside = indices.dtype == torch.int64 and 0 <= int(indices.min()) <= int(indices.max()) < height * width
        require(inside, f"the switches of {name!r} do not lie in the map of {height} × {width} that they are said to")


def parameters(subject: EncoderSubject) -> None:
    """The number of parameters that the manifest gives, without options."""
    declared = subject.spec.meta.get("parameters")
    if declared is None or subject.options:
        raise NotApplicable("its manifest gives no number" if declared is None else "it is checked with other options")
    with skeleton():
        found = _count(subject.build())
    require(
        found == declared,
        f"has {found:,} parameters where its manifest says {declared:,}",
        mend=f"write parameters = {found} into the manifest, or mend the layers",
    )


def pairs(subject: EncoderSubject) -> None:
    """Every architecture of another plugin that it fits by needs and offers works with it, at an odd size.

    An architecture may still refuse it in words, where the places of cells do not suit it.
    """
    spec, tried = subject.spec, 0
    for architecture in registry().find("architecture"):
        if architecture.plugin in (spec.plugin, NAMESPACE) or not fits(architecture, spec) or not _takes(architecture):
            continue
        pair = Subject(architecture.name, spec.name, shapes_only=True)
        try:
            model = pair.build()
        except IncompatibleError:
            continue
        answer(model.eval(), pair.input(model, (65, 97), batch=1))
        tried += 1
    if not tried:
        raise NotApplicable("no architecture of another plugin needs what it offers")


def _takes(architecture: Spec) -> bool:
    return "encoder" in inspect.signature(architecture.load()).parameters


def through_a_model(property: str, subject: EncoderSubject) -> None:
    """Hold a model that reads all of its taps to one of the properties of models."""
    with reading():
        hold(property, subject.model)
