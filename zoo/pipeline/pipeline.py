"""A pipeline: what answers as a model does, and is several models, asked in more than the plain way, or a CRF."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from zoo.config import InputSpec, ModelConfig
from zoo.errors import CheckpointError, IncompatibleError, OptionError
from zoo.inference.crf import dense_crf
from zoo.inference.crf_terms import find_preset
from zoo.inference.output_stride import Described, at_output_stride, output_stride
from zoo.inference.test_time import TestTime
from zoo.interfaces import FeatureSpec
from zoo.model import SegmentationModel
from zoo.pipeline.asking import scores
from zoo.pipeline.boxes import read_boxes
from zoo.pipeline.combine import LEAST, mean, orders, product
from zoo.pipeline.config import Member, PipelineConfig
from zoo.pipeline.files import checked, digest, is_path, relative, write_config
from zoo.pipeline.options import Crf

if TYPE_CHECKING:
    from zoo.inference.picture import Picture
    from zoo.inference.prediction import Prediction

ARCHITECTURE = "zoo.pipeline"
"""What stands for the architecture in the `ModelConfig` of a pipeline."""


class Pipeline(nn.Module):
    """Models put together. It can be used wherever a model only answers: predicted with, evaluated.

    ``pipeline(x)`` maps pictures (N, C, H, W), not normalised, in 0…255, to ``{"out": (N, K, H, W)}``, of which the
    softmax is the answer. `config` says the same as a model's: `Pipeline.description` is the pipeline's own.

    Args:
        description: What it is made of.
        models: In the description's order. They are put into evaluation mode and belong to the pipeline from now on.
        files: Where the weights of each lie; None: in memory only.

    Raises:
        IncompatibleError: The models have different classes, or take different pictures; or one of them cannot have
            the output stride that is wanted, or the CRF is no use for their pictures.
        DataError: The file of boxes cannot be read.
        UnknownNameError: There is no such CRF preset.
    """

    config: ModelConfig

    def __init__(
        self,
        description: PipelineConfig,
        models: Sequence[SegmentationModel],
        *,
        files: Sequence[Path | None] | None = None,
    ) -> None:
        super().__init__()
        if len(models) != len(description.models):
            raise OptionError(
                f"{description.name} describes {len(description.models)} models, {len(models)} were given"
            )
        self.description = description
        self.files: list[Path | None] = [None] * len(models) if files is None else [*files]
        self.models = nn.ModuleList(
            _at_stride(model, member) for model, member in zip(models, description.models, strict=True)
        )
        configs = [model.config for model in models]
        found = orders(configs, [member.name for member in description.models])
        for number, order in enumerate(found):
            self.register_buffer(f"order{number}", order, persistent=False)
        channels = configs[0].in_channels
        if description.crf is not None:
            find_preset(description.crf.preset)
            if channels not in (1, 3):
                raise IncompatibleError(
                    f"{description.name}: a CRF needs grey or RGB pictures, not {channels} channels"
                )
        self.listed = [
            read_boxes(Path(member.proposals.file)) if member.proposals and member.proposals.file else None
            for member in description.models
        ]
        named = next((config for config in configs if config.classes), configs[0])
        self.config = ModelConfig(
            name=description.name,
            architecture=ARCHITECTURE,
            encoder=None,
            num_classes=named.num_classes,
            in_channels=channels,
            options=description.to_json(),
            input=InputSpec("RGB" if channels == 3 else "ANY", 255.0, (0.0,) * channels, (1.0,) * channels),
            classes=named.classes,
            palette=named.palette,
        )
        stride = max(output_stride(model) for model in models)
        self.encoder = Described((FeatureSpec("picture", channels, stride, (stride - 1) / 2),))
        self.eval()

    @classmethod
    def of(
        cls,
        models: Sequence[SegmentationModel],
        *,
        name: str = "pipeline",
        combine: str = "mean",
        crf: str | Crf | None = None,
        test_time: TestTime | None = None,
    ) -> "Pipeline":
        """Put models in memory together, all asked alike.

        Args:
            models: At least one.
            name: What to call it.
            combine: ``"mean"`` or ``"product"``, see `PipelineConfig`.
            crf: A dense CRF at last: the name of a preset, or all of it.
            test_time: How the models are asked.
        """
        asked = TestTime() if test_time is None else test_time
        names: list[str] = []
        for model in models:
            base = model.config.name.rpartition("/")[2].replace("@", "_")
            names.append(base if base not in names else f"{base}-{len(names) + 1}")
        members = tuple(Member(own, test_time=asked) for own in names)
        chosen = Crf(crf) if isinstance(crf, str) else crf
        return cls(PipelineConfig(name, members, combine=combine, crf=chosen), models)

    @classmethod
    def load(
        cls,
        given: str | os.PathLike[str],
        *,
        weights: Mapping[str, str] | None = None,
        boxes: str | os.PathLike[str] | None = None,
    ) -> "Pipeline":
        """Open a pipeline by its file or its name; see `zoo.pipeline.opening.open_pipeline`."""
        from zoo.pipeline.opening import open_pipeline

        return open_pipeline(given, weights=weights, boxes=boxes)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write its file, ``.toml`` or ``.json``, which names the weights with their sha256.

        Weight files are referred to relative to the pipeline's file; published weights by name. Models that lie in
        memory only are written beside it, as ``<stem>.<name of the model>.safetensors``.

        Raises:
            ZooError: A file cannot be written.
        """
        path = checked(path)  # before weights are written beside it
        members = []
        for member, model, file in zip(self.description.models, self.models, self.files, strict=True):
            assert isinstance(model, nn.Module)
            if file is None:
                file = self._write(path, member, model)
                member = replace(member, weights=str(file.absolute()))
            elif member.weights is not None and is_path(member.weights):
                member = replace(member, weights=str(file.absolute()))
            members.append(replace(member, sha256=digest(file)))
        return write_config(relative(replace(self.description, models=tuple(members)), path.absolute().parent), path)

    def _write(self, path: Path, member: Member, model: nn.Module) -> Path:
        from zoo.hub.checkpoint import save

        if not isinstance(model, SegmentationModel):
            raise CheckpointError(f"{self.config.name}: {member.name} was made faster and cannot be saved")
        return save(model, path.with_name(f"{path.stem}.{member.name}.safetensors"))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Map pictures (N, C, H, W) in 0…255 to ``{"out": (N, K, H, W)}``, float32; the softmax is the answer."""
        amp = torch.is_autocast_enabled(x.device.type)
        with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
            whole = x.round()
            pictures = whole.to(torch.uint8) if torch.equal(whole, x) else x.float() / 255
            return {"out": self._sharpened(self._combined(pictures, amp), pictures)}

    def _combined(self, pictures: Tensor, amp: bool) -> Tensor:
        found = []
        for number, (member, model) in enumerate(zip(self.description.models, self.models, strict=True)):
            answer = scores(model, member, pictures, self.listed[number], amp)  # type: ignore[arg-type]
            order = getattr(self, f"order{number}")
            found.append(answer if order is None else answer[:, order])
        if len(found) == 1:
            return found[0]
        if self.description.combine == "product":
            return product(found)
        return mean([answer.softmax(1) for answer in found])

    def _sharpened(self, combined: Tensor, pictures: Tensor) -> Tensor:
        crf = self.description.crf
        if crf is None:
            return combined
        colors = pictures if pictures.dtype == torch.uint8 else (pictures * 255).round().clamp(0, 255).to(torch.uint8)
        colors = colors.expand(-1, 3, -1, -1).permute(0, 2, 3, 1)
        found = [
            dense_crf(p, color, preset=crf.preset, iterations=crf.iterations, clip=crf.clip)
            for p, color in zip(combined.softmax(1), colors, strict=True)
        ]
        return torch.stack(found).clamp_min_(LEAST).log_()

    def probabilities(self, images: Tensor) -> Tensor:
        """(N, C, H, W), uint8 or floating point in 0…1 → (N, K, H, W) float32."""
        from zoo.inference.probabilities import probabilities

        return probabilities(self, images)  # type: ignore[arg-type]

    def predict(
        self, image: "Picture | list[Picture] | tuple[Picture, ...]", **options: Any
    ) -> "Prediction | list[Prediction]":
        """Segment one picture, or several one by one; options as of `SegmentationModel.predict`, on top of its own."""
        return SegmentationModel.predict(self, image, **options)  # type: ignore[call-overload, no-any-return]

    def only_model(self) -> nn.Module | None:
        """Its model, where that alone answers as the pipeline does; else None."""
        first, *more = self.description.models
        asked = first.gives_scores and first.frame is None and first.proposals is None
        return self.models[0] if asked and not more and self.description.crf is None else None

    def faster(self, backend: str, dtype: str) -> "Pipeline":
        """Make its models faster in place, see `zoo.optimize`; what is put around them stays as it is."""
        from zoo.speed import optimize

        for number, model in enumerate(self.models):
            self.models[number] = optimize(model, backend=backend, dtype=dtype, inplace=True)  # type: ignore[arg-type]
        return self

    def train(self, mode: bool = True) -> "Pipeline":
        """Stay in evaluation mode.

        Raises:
            OptionError: Training mode was asked for.
        """
        if mode:
            raise OptionError("a pipeline only answers: train its models")
        super().train(False)
        return self


def _at_stride(model: SegmentationModel, member: Member) -> SegmentationModel:
    stride = member.test_time.output_stride
    return model if stride is None else at_output_stride(model, stride)
