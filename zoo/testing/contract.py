"""What an architecture says of itself: its options, its needs, its defaults, where its decoders' maps lie."""

import inspect
import json
from collections.abc import Iterator
from dataclasses import replace

import torch

from zoo.assembly import create_model
from zoo.errors import IncompatibleError, OptionError, ZooError
from zoo.hub.skeleton import skeleton
from zoo.interfaces import Decoder, FeatureSpec
from zoo.manifest import Spec
from zoo.model import SegmentationModel
from zoo.plan import accepted_options
from zoo.registry import registry
from zoo.testing.probe import can_probe, offering, probe_for
from zoo.testing.subject import NotApplicable, NotConforming, Subject, answer, require

COMPANIONS = ("test_resnet", "resnet18", "vgg11_bn", "mobilenetv3_small_100", "convnext_atto", "test_vit")
"""Built-in encoders that differ in their ways: classes of nets, names of taps, where cells lie."""

_UNKNOWN = "surely_no_such_option"
_NEEDED = inspect.Parameter.empty  # the default of an option that has none


def options(subject: Subject) -> None:
    """An option that it does not have is refused; those it has are named, and their defaults can be kept in a file."""
    try:
        create_model(subject.name, encoder=subject.encoder, **{**subject.options, _UNKNOWN: 1})
    except OptionError as error:
        require(_UNKNOWN in str(error), f"an unknown option is refused in words that do not name it: {error}")
    else:
        raise NotConforming(
            "takes an option that nobody knows, so that a typing mistake passes in silence",
            mend="name every option as a keyword parameter; no **kwargs",
        )
    architecture = registry().get("architecture" if not _own(subject) else "model", subject.resolved().architecture)
    for name, parameter in accepted_options(architecture).items():
        require(
            parameter.kind is parameter.KEYWORD_ONLY or parameter.default is not parameter.empty,
            f"its option {name!r} is positional and has no default",
            mend=f"put it behind a * and give it a default: (…, *, {name}=…)",
        )
        if parameter.default is not inspect.Parameter.empty:
            _keepable(name, parameter.default)


def _own(subject: Subject) -> bool:
    """Whether it is a model that is one function, without an architecture of its own."""
    return registry().lookup("architecture", subject.resolved().architecture) is None


def _keepable(name: str, default: object) -> None:
    try:
        json.dumps(default, allow_nan=False)
    except (TypeError, ValueError):
        raise NotConforming(
            f"the default of its option {name!r} is {default!r}, which a weight file's header cannot hold",
            mend="use None, true or false, numbers, texts, lists of them; make objects of them inside",
        ) from None


def declared(subject: Subject) -> None:
    """Asked for nothing, it has the classes and channels of its manifest."""
    model = subject.build()
    for spec in subject.components:
        if spec.kind == "encoder":
            continue
        for key, found in (("num_classes", model.config.num_classes), ("in_channels", model.config.in_channels)):
            said = spec.meta.get(key)
            overridden = spec.kind == "architecture" and any(
                other.kind == "model" and key in other.meta for other in subject.components
            )
            require(said in (None, found) or overridden, f"has {key} = {found} where its manifest says {said}")


def maps(subject: Subject) -> None:
    """Its decoders' maps have the channels that `out` says, and one more cell for every `out.stride` pixels."""
    model = subject.build().eval()
    decoders = {"decoder": model.decoder, **{key: branch.decoder for key, branch in model.further.items()}}
    for name, decoder in decoders.items():
        assert isinstance(decoder, Decoder)
        out = getattr(decoder, "out", None)
        if not isinstance(out, FeatureSpec):
            raise NotConforming(f"{name}.out is {out!r}; expected a FeatureSpec: name, channels, stride, offset")
        _growing(subject, model, decoder, name, out)


def _growing(subject: Subject, model: SegmentationModel, decoder: Decoder, name: str, out: FeatureSpec) -> None:
    strides = [tap.stride for tap in model.encoder.features]
    coarsest = max([*strides, out.stride])
    step = 4 * coarsest  # inputs may be padded to more than that, and to a least size
    found = []
    for extra in (0, step):
        size = (9 * coarsest + 1 + extra, 8 * coarsest + 5 + extra)
        with torch.no_grad():
            features = model.encoder(subject.input(model, size, batch=1), model.taps, model.with_pools)
            # An encoder may give more than it lists as features: the picture itself, as the lowest of a pyramid.
            unknown = set(decoder.taps) - features.maps.keys()
            require(not unknown, f"{name}.taps names {sorted(unknown)}, which its encoder does not have")
            map = decoder(features)
        require(
            map.ndim == 4 and map.shape[1] == out.channels,
            f"{name} gives a map {tuple(map.shape)} where its out.channels is {out.channels}",
            mend="set self.out to what forward really gives",
        )
        found.append(map.shape[-2:])
    grown = (found[1][0] - found[0][0], found[1][1] - found[0][1])
    expected = (step // out.stride, step // out.stride)
    require(
        grown == expected or step % out.stride > 0,
        f"{name}.out.stride is {out.stride}, so {step} pixels more are {expected[0]} cells more; it gives {grown}",
        mend="set self.out to what forward really gives",
    )


def needs(subject: Subject) -> None:
    """On an encoder that offers exactly what it needs, it works; and it reads every stride that it says it needs."""
    architecture = _architecture(subject)
    if not can_probe(architecture.needs):
        raise NotApplicable("it needs taps or poolings by name, or nothing")
    for output_stride in architecture.needs.get("output_stride", [None]):
        strides, output_strides = probe_for(architecture.needs, output_stride)
        with offering(strides, output_strides) as probe:
            asked = accepted_options(architecture)
            # What is declared holds for the architecture as it comes; an option may ask for more.
            own = {
                key: value for key, value in subject.options.items() if key in asked and asked[key].default is _NEEDED
            }
            on_probe = replace(subject, name=architecture.name, encoder=probe, options=own, shapes_only=True)
            try:
                model = on_probe.build()
            except ZooError as error:
                raise NotConforming(
                    f"it says that it needs {architecture.needs}, but on an encoder that offers strides {strides} and "
                    f"the output stride {output_strides[0]} it cannot be built: {error}",
                    mend="write into `needs` what it reads, or read what `needs` says",
                ) from None
            for size in subject.odd_sizes:
                answer(model.eval(), on_probe.input(model, size, batch=1))
            read = {tap.stride for tap in model.encoder.features if tap.name in model.taps}
            idle = [
                stride for stride in architecture.needs.get("strides", ()) if min(stride, output_strides[0]) not in read
            ]
            require(not idle, f"says that it needs a tap at stride {idle}, but reads none there", mend="take it out")


def pairs(subject: Subject) -> None:
    """It works on every sort of built-in encoder that offers what it needs, at an odd size."""
    architecture = _architecture(subject)
    tried = []
    for encoder in _fitting(architecture):
        tried.append(encoder)
        pair = replace(subject, name=architecture.name, encoder=encoder, options={}, shapes_only=True)
        try:
            model = pair.build()
        except IncompatibleError as error:
            raise NotConforming(
                f"{encoder} offers all that it says it needs, yet: {error}",
                mend="write into `needs` what it reads",
            ) from None
        answer(model.eval(), pair.input(model, (65, 97), batch=1))
    if not tried:
        raise NotApplicable(f"none of {', '.join(COMPANIONS)} offers what it needs")


def _fitting(architecture: Spec) -> Iterator[str]:
    from zoo.assembly import find_encoder
    from zoo.compatibility import fits

    for name in COMPANIONS:
        if fits(architecture, find_encoder(name)):
            yield name


def _architecture(subject: Subject) -> Spec:
    """The architecture behind it; raises `NotApplicable` where it takes no encoder."""
    found = registry().lookup("architecture", subject.resolved().architecture)
    if found is None or "encoder" not in inspect.signature(found.load()).parameters:
        raise NotApplicable("it has an encoder of its own")
    return found


def size_of(subject: Subject) -> int:
    """How many parameters it has; nothing is allocated."""
    with skeleton():
        return sum(parameter.numel() for parameter in replace(subject, shapes_only=True).build().parameters())
