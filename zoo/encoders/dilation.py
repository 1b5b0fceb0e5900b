"""Encoders whose deep stages are dilated instead of strided.

Every library dilates the convolutions after a removed stride, but not alike: torchvision and timm leave the first unit
of a dilated stage the dilation of the stage before, the DeepLab papers and PSPNet dilate whole stages, and multi-grid
gives each unit of the last stage a rate of its own. The weights are the same; `build_dilated` does all three.
"""

from collections.abc import Sequence

from torch import nn

from zoo.errors import IncompatibleError
from zoo.interfaces import Encoder, EncoderPlan, FeatureSpec
from zoo.options import whole_numbers


def choose_output_stride(encoder: EncoderPlan, wanted: int | None, preferred: Sequence[int]) -> int:
    """The stride for the deepest map: `wanted`, or the first of `preferred` that the encoder can have.

    Raises:
        IncompatibleError: The encoder cannot have it.
    """
    choice = preferred if wanted is None else (wanted,)
    for stride in choice:
        if stride in encoder.output_strides:
            return stride
    can = ", ".join(map(str, sorted(encoder.output_strides))) or "none that is known"
    raise IncompatibleError(
        f"encoder {encoder.name!r} cannot have an output stride of {' or '.join(map(str, choice))}; it can have {can}"
    )


def offered_at(encoder: EncoderPlan, output_stride: int) -> tuple[FeatureSpec, ...]:
    """The taps of the encoder at an output stride."""
    return encoder.offers(**encoder.supported(output_stride=output_stride))


def build_dilated(
    encoder: EncoderPlan,
    taps: Sequence[str],
    output_stride: int,
    *,
    whole_stages: bool = False,
    multi_grid: Sequence[int] | None = None,
) -> Encoder:
    """Build the encoder at an output stride.

    Args:
        encoder: The plan.
        taps: The taps to build, as `Encoder` takes them.
        output_stride: As `choose_output_stride` returned it.
        whole_stages: Dilate every unit of a dilated stage, its first one too. An encoder whose taps are not the ends of
            stages keeps its own rule there.
        multi_grid: One factor for each unit of the deepest stage, times the stage's rate: (1, 2, 4) at output stride 16
            dilates the three units of a ResNet's last stage by 2, 4 and 8. It implies `whole_stages`.

    Raises:
        IncompatibleError: `multi_grid` was asked for, and the deepest stage is no row of units.
        OptionError: `multi_grid` has another length than that stage.
    """
    dilated = offered_at(encoder, output_stride)
    built = encoder.build(taps, **encoder.supported(output_stride=output_stride))
    if whole_stages or multi_grid is not None:
        rates = {
            after.name: before.stride // after.stride for before, after in zip(encoder.offers(), dilated, strict=True)
        }
        for tap, rate in rates.items():
            stage = find_stage(built, tap)
            if rate > 1 and stage is not None:
                set_dilation(stage, rate)
        if multi_grid is not None:
            deepest = dilated[-1].name
            units = _units(built, deepest, encoder.name)
            factors = whole_numbers("multi_grid", multi_grid, count=len(units))
            for unit, factor in zip(units, factors, strict=True):
                set_dilation(unit, rates[deepest] * factor)
    return built


def find_stage(encoder: Encoder, tap: str) -> nn.Module | None:
    """The part of an encoder that ends in a tap, where the tap is named after it, as in timm; None elsewhere."""
    model = getattr(encoder, "model", None)
    if isinstance(model, nn.Module):
        for name in (tap, tap.replace(".", "_")):  # timm flattens the names of some models
            try:
                return model.get_submodule(name)
            except AttributeError:
                continue
    return None


def set_dilation(module: nn.Module, rate: int) -> None:
    """Dilate every convolution in `module` that is wider than 1×1; the sizes of its maps stay what they are."""
    for layer in _spatial(module):
        layer.dilation = (rate, rate)
        # What has no padding of its own is one of timm's layers that pads when it runs, by what its dilation asks for.
        if not isinstance(layer.padding, str) and any(layer.padding):
            height, width = layer.kernel_size
            layer.padding = (rate * (height - 1) // 2, rate * (width - 1) // 2)


def _units(encoder: Encoder, tap: str, name: str) -> list[nn.Module]:
    stage = find_stage(encoder, tap)
    units = list(getattr(stage, "blocks", stage).children()) if stage is not None else []
    if not units or not all(map(_spatial, units)):
        raise IncompatibleError(
            f"multi_grid dilates the units of an encoder's deepest stage one by one; in {name!r}, {tap!r} is no row of "
            "units with convolutions wider than 1×1. Any ResNet has one"
        )
    return units


def _spatial(module: nn.Module) -> list[nn.Conv2d]:
    """The convolutions that are wider than 1×1."""
    return [layer for layer in module.modules() if isinstance(layer, nn.Conv2d) and max(layer.kernel_size) > 1]
