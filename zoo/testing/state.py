"""Weights: saved, loaded, drawn."""

import tempfile
from pathlib import Path

import torch
from torch import Tensor

from zoo.hub.checkpoint import load, save
from zoo.model import SegmentationModel
from zoo.testing.subject import Subject, answer, awaken, require


def state_dict(subject: Subject) -> None:
    """Its state dict is all that it remembers: loaded strictly into another one, the answers are equal to the bit."""
    first, second = subject.build(seed=0), subject.build(seed=1)
    awaken(first)
    second.load_state_dict(first.state_dict(), strict=True)
    _same_answers(subject, first, second, "another model with its state dict")


def save_and_load(subject: Subject) -> None:
    """`zoo.save` and `zoo.load` give the same model: config, tensors, what learns, and answers, to the bit."""
    model = subject.build()
    awaken(model)
    with tempfile.TemporaryDirectory() as folder:
        path = save(model, Path(folder) / "model.safetensors")
        loaded = load(path)
        require(not loaded.training, "zoo.load gives a model in training mode")
        require(loaded.config == model.config, f"saved with {model.config}, loaded with {loaded.config}")
        _same_state(model.state_dict(), loaded.state_dict())
        for (name, parameter), other in zip(model.named_parameters(), loaded.parameters(), strict=True):
            require(parameter.requires_grad == other.requires_grad, f"{name} learns before or after loading, not both")
        _same_answers(subject, model, loaded, "the loaded model")
        again = save(loaded, Path(folder) / "again.safetensors")
        require(path.read_bytes() == again.read_bytes(), "saved again, the file is another")


def seed(subject: Subject) -> None:
    """The same seed gives the same weights, another seed others."""
    first, second, other = subject.build(seed=0), subject.build(seed=0), subject.build(seed=1)
    _same_state(first.state_dict(), second.state_dict())
    learning = [name for name, parameter in first.named_parameters() if parameter.requires_grad]
    differing = any(not torch.equal(first.get_parameter(name), other.get_parameter(name)) for name in learning)
    require(differing, "its weights do not depend on the seed")


def _same_answers(subject: Subject, first: SegmentationModel, second: SegmentationModel, what: str) -> None:
    first.eval()
    second.eval()
    x = subject.input(first)
    with torch.no_grad():
        require(torch.equal(answer(first, x), answer(second, x)), f"{what} answers differently")


def _same_state(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    require(list(first) == list(second), f"other tensors: {sorted(first.keys() ^ second.keys())[:5]}")
    for name, tensor in first.items():
        require(tensor.dtype == second[name].dtype and torch.equal(tensor, second[name]), f"{name} differs")
