"""A picture and what a net answered to it: a change of the code that changes the answers is seen."""

import os
from pathlib import Path

import torch

from zoo.hub.golden import replay, write_golden
from zoo.model import SegmentationModel
from zoo.testing.subject import NotApplicable, NotConforming, Subject, require


def golden(subject: Subject) -> None:
    """It answers to its golden picture as it did when the pair was kept, with weights that no random generator drew."""
    if subject.golden is None:
        raise NotApplicable("no golden pair was given")
    if not subject.golden.is_file():
        raise NotConforming(
            f"there is no golden pair {subject.golden}",
            mend=f"make it once, look at it, and keep it: zoo.testing.keep_golden({subject.name!r}, PATH)",
        )
    mistake = replay(_settled(subject), subject.golden)
    require(
        mistake is None, f"it answers differently than before: {mistake}", mend="undo the change, or keep a new pair"
    )


def keep_golden(model: str | Subject, path: str | os.PathLike[str]) -> Path:
    """Write the golden pair of a net, for the attribute `golden` of its tests.

    Args:
        model: Its name, or a `Subject` with encoder and options.
        path: Where to; the file appears whole or not at all.

    Returns:
        The path.
    """
    subject = Subject(model) if isinstance(model, str) else model
    return write_golden(_settled(subject), path)


def _settled(subject: Subject) -> SegmentationModel:
    """The net with weights that are a function of their shapes alone, the same with every version of torch."""
    model = subject.build().eval()
    with torch.no_grad():
        for number, parameter in enumerate(model.parameters()):
            wave = torch.arange(parameter.numel(), dtype=torch.float64) * 0.7390851 + number
            spread = (2.0 / max(parameter[0].numel(), 1)) ** 0.5 if parameter.ndim > 1 else 0.1
            centre = 1.0 if parameter.ndim == 1 and bool((parameter == 1).all()) else 0.0
            parameter.copy_((wave.sin() * spread + centre).view(parameter.shape))
    return model
