"""VGG trunks that pad the picture by 100: the border that does not depend on the picture is computed once."""

from collections import OrderedDict
from collections.abc import Collection, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.encoders.vgg import VGG
from zoo.interfaces import Encoder, Features
from zoo.speed.packing import unpadded
from zoo.speed.sharing import replace

_BLOCKS = 4
"""Up to pool4 there are cells between picture and border that see neither; after it everything sees both."""

_PERIOD = 2**_BLOCKS
_KEPT = 8


class Stretch(NamedTuple):
    """What a block reads and gives along one axis, in cells of the whole map before its pooling.

    Attributes:
        start: The first cell that depends on the picture after the block's convolutions, rounded down to a window.
        stop: The end of these, rounded up.
        reach: How far beyond them the convolutions read.
    """

    start: int
    stop: int
    reach: int


def frame_trunks(model: nn.Module) -> int:
    """Let VGG trunks whose first layer pads by so much that there is a constant border compute less of it.

    About half of what a net with a padding of 100 computes at 512×512 does not depend on the picture: a constant, and
    around it the marks that the zeros beyond the map leave in each layer. Both are taken from a small black picture;
    equal up to rounding.

    Args:
        model: In evaluation mode; changed.

    Returns:
        How many trunks were replaced.
    """
    trunks = [module for module in model.modules() if isinstance(module, VGG) and _fits(module)]
    for trunk in trunks:
        replace(model, trunk, FramedVGG(trunk))
    return len(trunks)


class FramedVGG(Encoder):
    """A VGG trunk with a wide first padding.

    Args:
        trunk: Which it is.
    """

    def __init__(self, trunk: VGG) -> None:
        super().__init__()
        self.trunk = trunk
        self.features, self.pools, self.input = trunk.features, trunk.pools, trunk.input
        self.padding = _padding(trunk)
        self.blocks = _blocks(trunk)
        self._borders: OrderedDict[object, dict[str, Tensor]] = OrderedDict()

    def forward(self, x: Tensor, taps: Collection[str], with_pools: bool = False) -> Features:
        """Map (N, C, H, W) to the named taps; as `VGG.forward`."""
        size = (x.shape[-2], x.shape[-1])
        rows, columns = (stretches(length, self.padding, _depths(self.trunk)) for length in size)
        early = {names[-1] for names in self.blocks}
        if with_pools or not early.isdisjoint(taps) or rows is None or columns is None:
            whole: Features = self.trunk(x, taps, with_pools)
            return whole
        border = self._border(x)
        maps: dict[str, Tensor] = {}
        top = left = self.padding - 1
        around = x.new_zeros(x.shape[1])
        for block, (names, row, column) in enumerate(zip(self.blocks, rows, columns, strict=True), 1):
            x = _extended(x, around, (top, left), row, column)
            for name in names:
                x = self._unpadded(name, x)
            x = F.max_pool2d(x, 2)
            top, left = row.start // 2, column.start // 2
            pool = f"pool{block}"
            around = _middle(border[pool])
            if pool in taps or block == _BLOCKS:
                there = [_after_pools(length + 2 * self.padding - 2, block) for length in size]
                maps[pool] = _assembled(border[pool], there, x, (top, left))
        return self._rest(maps, taps)

    def _unpadded(self, name: str, x: Tensor) -> Tensor:
        x = unpadded(getattr(self.trunk, name), x)
        if name in self.trunk.norms:
            x = getattr(self.trunk, self.trunk.norms[name])(x)
        rectified: Tensor = self.trunk.relu(x)
        return rectified

    def _rest(self, maps: dict[str, Tensor], taps: Collection[str]) -> Features:
        """What comes after the blocks that were framed is computed as a whole."""
        names = [name for name, _ in self.trunk.layers]
        last = f"pool{_BLOCKS}"
        x = maps[last]
        for name, kind in self.trunk.layers[names.index(last) + 1 :]:
            x = self.trunk.halve(name, x) if kind == "pool" else self.trunk.convolve(name, x)
            maps[name] = x
        return Features({name: maps[name] for name in maps if name in taps}, {})

    def _border(self, like: Tensor) -> dict[str, Tensor]:
        """The pooled maps (1, C, h, w) of a small black picture whose poolings round as those of `like` do."""
        height, width = (length % _PERIOD + _PERIOD for length in like.shape[-2:])
        key = (height, width, like.dtype, like.device)
        if key not in self._borders:
            black = like.new_zeros(1, like.shape[1], height, width).contiguous(memory_format=torch.channels_last)
            pools = [f"pool{block}" for block in range(1, _BLOCKS + 1)]
            x, maps = black, {}
            for name, kind in self.trunk.layers[: [name for name, _ in self.trunk.layers].index(pools[-1]) + 1]:
                x = self.trunk.halve(name, x) if kind == "pool" else self.trunk.convolve(name, x)
                if kind == "pool":
                    maps[name] = x
            self._borders[key] = maps
            if len(self._borders) > _KEPT:
                self._borders.popitem(last=False)
        return self._borders[key]


def stretches(length: int, padding: int, depths: Sequence[int]) -> list[Stretch] | None:
    """What the blocks of a trunk must compute along an axis.

    Args:
        length: Of the picture.
        padding: Of the first layer.
        depths: Convolutions of each block, all 3 wide; a pooling by 2 that rounds up follows each.

    Returns:
        One stretch for each block; None where what depends on the picture meets what depends on the border.
    """
    start, stop, end = padding - 1, padding - 1 + length, length + 2 * padding - 2
    marked, unmarked = 0, end  # cells before the one and from the other on depend on where the map ends
    found = []
    for depth in depths:
        start, stop = (start - depth) // 2 * 2, -(-(stop + depth) // 2) * 2
        if start - depth < marked or stop + depth > unmarked:
            return None
        found.append(Stretch(start, stop, depth))
        start, stop = start // 2, stop // 2
        marked, unmarked = -(-(marked + depth) // 2), (unmarked - depth) // 2
    return found


def _extended(x: Tensor, around: Tensor, corner: tuple[int, int], row: Stretch, column: Stretch) -> Tensor:
    """Surround a map whose cell 0 lies at `corner` by a constant, as far as the next convolutions read."""
    top, left = corner[0] - row.start + row.reach, corner[1] - column.start + column.reach
    size = (row.stop - row.start + 2 * row.reach, column.stop - column.start + 2 * column.reach)
    wide = torch.empty((*x.shape[:2], *size), dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
    bottom, right = top + x.shape[-2], left + x.shape[-1]
    for part in (wide[:, :, :top], wide[:, :, bottom:], wide[..., top:bottom, :left], wide[..., top:bottom, right:]):
        part.copy_(around.view(-1, 1, 1))
    wide[..., top:bottom, left:right] = x
    return wide


def _assembled(border: Tensor, size: Sequence[int], x: Tensor, corner: tuple[int, int]) -> Tensor:
    """The whole map of `size`: the border, its middle row and column repeated as often as needed, and `x` within."""
    whole = border
    for dim, length in zip((2, 3), size, strict=True):
        there = border.shape[dim]
        cells = torch.arange(length, device=x.device)
        half = there // 2
        cells = torch.where(cells < half, cells, (cells - length + there).clamp_(min=half))
        whole = whole.index_select(dim, cells)
    whole = whole.expand(len(x), -1, -1, -1).clone(memory_format=torch.channels_last)
    top, left = corner
    whole[..., top : top + x.shape[-2], left : left + x.shape[-1]] = x
    return whole


def _middle(border: Tensor) -> Tensor:
    return border[0, :, border.shape[-2] // 2, border.shape[-1] // 2]


def _after_pools(length: int, count: int) -> int:
    for _ in range(count):
        length = -(-length // 2)
    return length


def _padding(trunk: VGG) -> int:
    padding = trunk.get_submodule(trunk.layers[0][0]).padding
    assert isinstance(padding, tuple)
    return int(padding[0])


def _blocks(trunk: VGG) -> list[list[str]]:
    """The convolutions of the blocks that are framed."""
    names = [name for name, kind in trunk.layers if kind == "conv"]
    return [[name for name in names if name.startswith(f"conv{block}_")] for block in range(1, _BLOCKS + 1)]


def _depths(trunk: VGG) -> list[int]:
    return [len(names) for names in _blocks(trunk)]


def _fits(trunk: VGG) -> bool:
    names = [name for name, _ in trunk.layers]
    if type(trunk).forward is not VGG.forward:  # a net built on it that does something before or after
        return False
    if f"pool{_BLOCKS}" not in names or not trunk.ceil_mode:
        return False
    return all(stretches(length, _padding(trunk), _depths(trunk)) for length in range(1, _PERIOD + 1))
