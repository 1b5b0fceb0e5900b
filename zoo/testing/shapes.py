"""Sizes, channels, classes, batches."""

import torch

from zoo.errors import ZooError
from zoo.hub.skeleton import skeleton
from zoo.registry import registry
from zoo.testing.subject import NotConforming, Subject, answer, require

CHANNELS = (1, 3, 4, 7)
CLASSES = (1, 2, 21, 150)


def sizes(subject: Subject) -> None:
    """In evaluation mode, ``{"out": (N, K, H, W)}`` for any H and W from 1 on, and no auxiliary answers."""
    model = subject.build().eval()
    with torch.no_grad():
        for size in (*subject.odd_sizes, subject.size):
            answer(model, subject.input(model, size, batch=1))
        answer(model, subject.input(model, batch=2))
        extra = model(subject.input(model)).keys() & model.auxiliary.keys()
    require(not extra, f"auxiliary answers {sorted(extra)} in evaluation mode")


def in_channels(subject: Subject) -> None:
    """Inputs of 1, 3, 4 and 7 channels; fewer than the manifest's ``min_in_channels`` are refused."""
    for channels in CHANNELS:
        if channels < subject.min_in_channels:
            try:
                subject.build(in_channels=channels)
            except ZooError:
                continue
            raise NotConforming(f"takes {channels} channels, fewer than its min_in_channels {subject.min_in_channels}")
        model = subject.build(in_channels=channels).eval()
        with torch.no_grad():
            answer(model, subject.input(model, batch=1))
        found = model.config.input.channels
        require(found == channels, f"its input convention has {found} channels where the input has {channels}")


def num_classes(subject: Subject) -> None:
    """1, 2, 21 and 150 classes."""
    for classes in CLASSES:
        model = subject.build(num_classes=classes).eval()
        with torch.no_grad():
            found = answer(model, subject.input(model, batch=1)).shape[1]
        require(found == classes, f"{found} channels for {classes} classes")


def batch_of_one(subject: Subject) -> None:
    """A batch of one picture in training mode, of any size."""
    model = subject.build().train()
    for size in (*subject.odd_sizes, subject.size):
        answer(model, subject.input(model, size, batch=1))


def parameters(subject: Subject) -> None:
    """The number of parameters that the manifest gives, with the classes and channels that it gives."""
    spec = registry().lookup("model", subject.name)
    declared = spec.meta.get("parameters") if spec is not None else None
    if declared is None or subject.encoder is not None or subject.options:
        return
    with skeleton():
        model = subject.build()
    found = sum(parameter.numel() for parameter in model.parameters())
    require(found == declared, f"has {found:,} parameters where its manifest says {declared:,}")
