"""What is checked: a model by name, and how to build it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import SkipTest

import torch
from torch import Tensor, nn

from zoo.assembly import create_model, resolve
from zoo.config import ModelConfig
from zoo.hub.skeleton import skeleton
from zoo.manifest import LIMITS, Spec
from zoo.model import SegmentationModel
from zoo.registry import registry


class NotConforming(AssertionError):  # noqa: N818  (it is what an assertion says)
    """A component does not do what every one of its kind must.

    Args:
        message: What is wrong.
        mend: What to do about it, where more can be said than for every failure of the check.
        where: The place, where it is known better than by the component's target.
    """

    def __init__(self, message: str, *, mend: str = "", where: str = "") -> None:
        super().__init__(message)
        self.mend = mend
        self.where = where


class NotApplicable(SkipTest):
    """There is nothing to check here; the message says why."""


def require(condition: bool, message: str, *, mend: str = "") -> None:
    """Raise `NotConforming` with the message unless the condition holds."""
    if not condition:
        raise NotConforming(message, mend=mend)


@dataclass(frozen=True)
class Subject:
    """A model to check.

    Attributes:
        name: A model, an architecture, or a pair, as for `zoo.create_model`.
        encoder: As for `zoo.create_model`.
        options: Options of architecture and encoder.
        size: An ordinary (H, W), large enough for every layer to have a few cells.
        odd_sizes: Sizes that are no multiple of anything, and the smallest.
        shapes_only: Build on the meta device and check shapes, not numbers: for nets too large to be run.
        golden: A golden pair that `zoo.testing.keep_golden` wrote, to be answered alike.
    """

    name: str
    encoder: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    size: tuple[int, int] = (64, 96)
    odd_sizes: tuple[tuple[int, int], ...] = ((1, 1), (1, 37), (33, 47), (95, 65))
    shapes_only: bool = False
    golden: Path | None = None

    def resolved(self, *, num_classes: int | None = None, in_channels: int | None = None) -> ModelConfig:
        """The config of the model, built or not."""
        return resolve(
            self.name,
            encoder=self.encoder,
            num_classes=num_classes,
            in_channels=in_channels,
            options=self.options,
        )

    def build(
        self, *, num_classes: int | None = None, in_channels: int | None = None, seed: int = 0
    ) -> SegmentationModel:
        """Build it, with random weights that follow from the seed; the global generator is left as it was."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            if self.shapes_only:
                with skeleton():
                    return self._create(num_classes, in_channels)
            return self._create(num_classes, in_channels)

    def build_here(self) -> SegmentationModel:
        """Build it with the global generator as it is, and let it draw from it."""
        return self._create(None, None)

    def _create(self, num_classes: int | None, in_channels: int | None) -> SegmentationModel:
        return create_model(
            self.name, encoder=self.encoder, num_classes=num_classes, in_channels=in_channels, **self.options
        )

    def input(self, model: SegmentationModel, size: tuple[int, int] | None = None, *, batch: int = 2) -> Tensor:
        """Random input (`batch`, C, H, W) for a model of it, the same every time."""
        shape = (batch, model.config.in_channels, *(size or self.size))
        if self.shapes_only:
            return torch.empty(shape, device="meta")
        return torch.randn(shape, generator=torch.Generator().manual_seed(1))

    @property
    def components(self) -> list[Spec]:
        """The specs behind it: the model, its architecture, its encoder."""
        from zoo.assembly import find_encoder

        base = self.name.partition("@")[0]
        config = self.resolved()
        found = [registry().lookup("model", base), registry().lookup("architecture", config.architecture)]
        if config.encoder is not None:
            found.append(find_encoder(config.encoder))
        return [spec for spec in found if spec is not None]

    @property
    def limits(self) -> frozenset[str]:
        """What it declares that it cannot do: the limits of all its components."""
        declared = {limit for spec in self.components for limit in spec.meta.get("cannot", ())}
        return frozenset(declared) & frozenset(LIMITS)

    @property
    def min_in_channels(self) -> int:
        """The fewest input channels that it is meant for."""
        return max(int(spec.meta.get("min_in_channels", 1)) for spec in self.components)

    def __str__(self) -> str:
        encoder = f"@{self.encoder}" if self.encoder else ""
        options = ", ".join(f"{name}={value}" for name, value in self.options.items())
        return self.name + encoder + (f" ({options})" if options else "")


def answer(model: SegmentationModel, x: Tensor) -> Tensor:
    """The logits of a model, checked against the contract: a dict of (N, K, H, W), finite, ``"out"`` among them."""
    result = model(x)
    is_dict = isinstance(result, dict) and "out" in result
    require(is_dict, f"answers with {type(result).__name__}, not with a dict that has 'out'")
    size = tuple(x.shape[-2:])
    for key, logits in result.items():
        expected = (x.shape[0], *size)
        found = (logits.shape[0], *logits.shape[2:])
        require(
            logits.ndim == 4 and found == expected,
            f"{key!r} of an input {tuple(x.shape)} is {tuple(logits.shape)}; expected (N, K, H, W) of the same size",
        )
        require(logits.is_floating_point(), f"{key!r} is {logits.dtype}, no floating point")
        if not logits.is_meta:
            require(bool(logits.isfinite().all()), f"{key!r} of an input {tuple(x.shape)} is not finite")
    out: Tensor = result["out"]
    classes = model.config.num_classes
    require(out.shape[1] == classes, f"'out' has {out.shape[1]} channels for {classes} classes")
    return out


def awaken(model: nn.Module) -> None:
    """Give random values to parameters that begin as zeros (scores, residual gates), so that everything takes part."""
    generator = torch.Generator().manual_seed(2)
    for parameter in model.parameters():
        if not bool(parameter.any()):
            with torch.no_grad():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)
