"""3×3 convolutions of a map that was enlarged to twice its size, without enlarging it.

A pixel repeated 2×2 times meets each of nine weights, or sums of them: on the small map that is a transposed
convolution with a kernel of 4×4 and a stride of 2, four multiplications per value instead of nine. U-Nets enlarge so,
and put the result beside the encoder's map of that size: each part gets its share of the weights, and the two sums are
added up. Neither the enlarged map nor the two side by side are ever in memory.

Decoders call `torch.nn.functional.interpolate` and `torch.cat` in the midst of their code. So within `postponing` what
the first returns is a tensor that is enlarged only when something looks at it: anything but a convolution made for it.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from zoo.speed.fused import FusedConv
from zoo.speed.observe import run_hollow
from zoo.speed.sharing import parameter, replace

Layout = tuple[tuple[int, bool], ...]
"""Channels of each part of a map, and whether that part is an enlarged one."""

_SPREAD = torch.tensor([[0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]], dtype=torch.float64)
"""Which of three weights add up to each of the four: ``[a, d]`` where a pixel's copies meet weight d for value a."""


class Part(NamedTuple):
    """A map (N, C, h, w) that is to be enlarged, or one that has the size already."""

    map: Tensor
    enlarged: bool
    version: int

    @classmethod
    def of(cls, map_: Tensor, enlarged: bool) -> "Part":
        """The part as it is now."""
        return cls(map_, enlarged, 0 if map_.is_inference() else map_._version)

    @property
    def changed(self) -> bool:
        """Whether the map was written to since."""
        return self.version != Part.of(self.map, self.enlarged).version

    def whole(self) -> Tensor:
        """The part in its full size."""
        # Not by F.interpolate, which is what is postponed.
        return torch.ops.aten.upsample_nearest2d(self.map, None, [2.0, 2.0]) if self.enlarged else self.map


class Postponed(Tensor):
    """What enlarging to twice the size, and putting side by side, would give; made when it is looked at."""

    parts: tuple[Part, ...]
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def of(parts: Sequence[Part], size: Sequence[int]) -> "Postponed":
        """A tensor of shape (N, C, H, W) of these parts."""
        first = parts[0].map
        found: Postponed = torch.Tensor._make_wrapper_subclass(
            Postponed, torch.Size(size), dtype=first.dtype, device=first.device
        )
        found.parts = tuple(parts)
        return found

    @property
    def made_of(self) -> Layout:
        """What it is made of."""
        return tuple((part.map.shape[1], part.enlarged) for part in self.parts)

    def whole(self) -> Tensor:
        """The tensor itself. It is made once: who writes to it writes to what everybody sees."""
        maps = [part.whole() for part in self.parts]
        made = torch.cat(maps, 1) if len(maps) > 1 else maps[0]
        self.parts = (Part.of(made, False),)
        return made

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is torch.ops.aten.detach.default:
            return args[0]
        if func is torch.ops.aten.cat.default and not kwargs and args[1:] in ((1,), (-3,)) and _alike(args[0]):
            return _beside(args[0])
        # Anything else looks at it.
        args, given = torch.utils._pytree.tree_map_only(Postponed, Postponed.whole, (args, dict(kwargs or {})))
        return func(*args, **given)


def _alike(maps: Sequence[Tensor]) -> bool:
    return len({(map_.dtype, map_.shape[:1], map_.shape[2:]) for map_ in maps}) == 1 and maps[0].ndim == 4


def _beside(maps: Sequence[Tensor]) -> Postponed:
    parts: list[Part] = []
    for map_ in maps:
        parts.extend(map_.parts if isinstance(map_, Postponed) else [Part.of(map_, False)])
    n, _, height, width = next(map_ for map_ in maps if isinstance(map_, Postponed)).shape
    return Postponed.of(parts, (n, sum(map_.shape[1] for map_ in maps), height, width))


class postponing(TorchFunctionMode):  # noqa: N801  (a context manager, named as torch.no_grad is)
    """Within the block maps are enlarged to twice their size when they are looked at, not before."""

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        if func is F.interpolate and args and _doubles(*args, **given):
            n, channels, height, width = args[0].shape
            part = Part.of(args[0], True)
            return Postponed.of([part], (n, channels, 2 * height, 2 * width))
        return func(*args, **given)


def settled(x: Tensor) -> Tensor:
    """The tensor itself, where it was postponed."""
    return x.whole() if isinstance(x, Postponed) else x


def _doubles(
    x: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest", *others: Any, **options: Any
) -> bool:
    if type(x) is not Tensor or x.ndim != 4 or mode != "nearest" or others or any(options.values()):
        return False
    height, width = x.shape[2:]
    if size is None:
        return scale_factor in (2, (2, 2), [2, 2])
    return ((size, size) if isinstance(size, int) else tuple(size)) == (2 * height, 2 * width)


def enlarge_within(model: nn.Module, example: Tensor) -> int:
    """Let the 3×3 convolutions of maps enlarged to twice their size enlarge them themselves; exact up to rounding.

    Only within `postponing` is there anything to gain for them; elsewhere they work as before.

    Args:
        model: In evaluation mode, its norms folded; changed.
        example: (N, C, H, W), small; see `zoo.speed.observe`.

    Returns:
        How many were replaced.
    """
    met = run_hollow(model, example, _watch)
    count = 0
    for layer, layouts in met.items():
        (layout,) = layouts if len(layouts) == 1 else (None,)
        if layout is not None:
            replace(model, layer, EnlargingConv(layer, layout))
            count += 1
    return count


def _watch(model: nn.Module, run: Callable[[], Any]) -> dict[nn.Conv2d, set[Layout | None]]:
    """What each convolution reads: the parts, or None for something else."""
    met: dict[nn.Conv2d, set[Layout | None]] = {}

    def note(layer: nn.Module, given: tuple[Any, ...]) -> None:
        assert isinstance(layer, nn.Conv2d)
        usable = isinstance(given[0], Postponed) and not any(part.changed for part in given[0].parts)
        usable = usable and any(part.enlarged for part in given[0].parts)
        met.setdefault(layer, set()).add(given[0].made_of if usable else None)

    watched = [layer.register_forward_pre_hook(note) for layer in model.modules() if _fits(layer)]
    try:
        with torch.no_grad(), postponing():
            run()
    finally:
        for handle in watched:
            handle.remove()
    return met


class EnlargingConv(nn.Module):
    """A 3×3 convolution that takes the parts of its map before they are enlarged and put side by side.

    Args:
        layer: Whose weights it takes.
        layout: What it reads.
    """

    def __init__(self, layer: nn.Conv2d, layout: Layout) -> None:
        super().__init__()
        self.plain = layer
        self.rectifies = bool(getattr(layer, "rectifies", False))
        self.layout = layout
        self.shares = nn.ModuleList()
        first = 0
        for enlarged, group in groupby(layout, key=lambda part: part[1]):
            for channels in [sum(width for width, _ in group)] if not enlarged else [width for width, _ in group]:
                weight = layer.weight.detach()[:, first : first + channels]
                bias = layer.bias if first == 0 else None
                self.shares.append(_spread(weight, bias) if enlarged else _plain(weight, bias))
                first += channels

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, h, w) to (N, O, h, w)."""
        if not isinstance(x, Postponed):
            return self.plain(x)  # type: ignore[no-any-return]
        if x.made_of != self.layout:
            return self.plain(x.whole())  # type: ignore[no-any-return]
        first, *others = _grouped(x.parts)
        result: Tensor = self.shares[0](first)
        for index, map_ in enumerate(others, 1):
            share = self.shares[index]
            if isinstance(share, FusedConv):
                share.add_to(result, map_, rectifies=self.rectifies and map_ is others[-1])
            else:
                result += share(map_)
        return result


def _grouped(parts: Sequence[Part]) -> list[Tensor]:
    maps: list[Tensor] = []
    for enlarged, group in groupby(parts, key=lambda part: part.enlarged):
        members = [part.map for part in group]
        maps += members if enlarged or len(members) == 1 else [torch.cat(members, 1)]
    return maps


def _spread(weight: Tensor, bias: Tensor | None) -> nn.ConvTranspose2d:
    """The transposed convolution that equals enlarging and convolving with (O, C, 3, 3)."""
    outputs, channels = weight.shape[:2]
    layer = nn.ConvTranspose2d(channels, outputs, 4, stride=2, padding=1, bias=bias is not None, device="meta")
    spread = _SPREAD.to(weight.device)
    layer.weight = parameter(torch.einsum("ai,bj,ocij->coab", spread, spread, weight.double()).to(weight.dtype))
    layer.bias = None if bias is None else parameter(bias)
    return layer.eval()


def _plain(weight: Tensor, bias: Tensor | None) -> nn.Conv2d:
    outputs, channels = weight.shape[:2]
    layer = nn.Conv2d(channels, outputs, 3, padding=1, bias=bias is not None, device="meta")
    layer.weight = parameter(weight.contiguous())
    layer.bias = None if bias is None else parameter(bias)
    layer.rectifies = False  # type: ignore[assignment]
    return layer.eval()


def _fits(layer: nn.Module) -> bool:
    return (
        type(layer) is nn.Conv2d
        and (layer.kernel_size, layer.stride, layer.dilation) == ((3, 3), (1, 1), (1, 1))
        and (layer.padding, layer.padding_mode, layer.groups) == ((1, 1), "zeros", 1)
        and layer.weight.device.type == "cpu"
        and not layer._forward_hooks
        and not layer._forward_pre_hooks
    )
